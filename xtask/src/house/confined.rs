//! Unsafe code: where it may be, and how much of it there is.
//!
//! The compiler denies it elsewhere too, but a file can allow itself what a crate denies, and nobody would see it.

use crate::shell::{files, root};
use anyhow::{Context, Result, anyhow};
use proc_macro2::{TokenStream, TokenTree};
use std::str::FromStr;

/// The files that have any, with the number of `unsafe` in each. Another one is for a reviewer to see here.
const UNSAFE: [(&str, usize); 8] = [
    ("kernels/mapped/src/lib.rs", 2),
    ("kernels/operators/src/flex/few_rows.rs", 2),
    ("kernels/operators/src/flex/packed.rs", 2),
    ("kernels/products/src/library.rs", 1),
    ("kernels/products/src/unit.rs", 5),
    ("kernels/products/src/unit/machine.rs", 2),
    ("kernels/products/src/unit/parts.rs", 15),
    ("kernels/src/cube/launch.rs", 2),
];

/// What does not belong to the sources.
const ELSEWHERE: [&str; 3] = ["target", "fuzz/target", ".git"];

/// What is wrong with the repository's unsafe code, and how much there is.
pub(super) fn faults() -> Result<(Vec<String>, usize)> {
    let mut found = Vec::new();
    for path in sources()? {
        let text = std::fs::read_to_string(root().join(&path)).with_context(|| path.clone())?;
        let tokens = TokenStream::from_str(&text).map_err(|error| anyhow!("{path}: {error}"))?;
        let count = count(tokens);
        if count > 0 {
            found.push((path, count));
        }
    }
    Ok((compared(&found, &UNSAFE), found.iter().map(|(_, count)| count).sum()))
}

/// Every Rust file of the repository, by its name from the root.
fn sources() -> Result<Vec<String>> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(root())? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if folder.is_dir() && !ELSEWHERE.contains(&name.as_str()) {
            let below = files(&folder)?.into_iter().map(|path| format!("{name}/{}", path.display()));
            sources.extend(below.filter(|path| path.ends_with(".rs") && !is_elsewhere(path)));
        }
    }
    sources.sort();
    Ok(sources)
}

fn is_elsewhere(path: &str) -> bool {
    ELSEWHERE.iter().any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

/// How often the word stands in code, macros included, texts and comments not.
fn count(tokens: TokenStream) -> usize {
    let counted = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(word) => usize::from(word == "unsafe"),
        TokenTree::Group(group) => count(group.stream()),
        _ => 0,
    });
    counted.sum()
}

fn compared(found: &[(String, usize)], allowed: &[(&str, usize)]) -> Vec<String> {
    let of = |path: &str| allowed.iter().find(|(file, _)| *file == path).map_or(0, |(_, count)| *count);
    let mut faults: Vec<String> = found
        .iter()
        .filter(|(path, count)| of(path) != *count)
        .map(|(path, count)| {
            let (listed, list) = (of(path), "xtask/src/house/confined.rs");
            match path.starts_with("kernels/src/") {
                true => format!(
                    "{path}: {count} `unsafe`, {list} has {listed}: is each one sound, with its reason?"
                ),
                false => format!("{path}: {count} `unsafe`, which only the kernels may have"),
            }
        })
        .collect();
    let gone = allowed.iter().filter(|(file, _)| !found.iter().any(|(path, _)| path == file));
    faults.extend(
        gone.map(|(file, _)| format!("{file}: no `unsafe` any more; xtask/src/house/confined.rs says so")),
    );
    faults
}

#[cfg(test)]
mod tests {
    use super::{compared, count};
    use std::str::FromStr;

    #[test]
    fn the_word_counts_in_code_and_macros_but_not_in_texts() {
        let source = "// unsafe\nfn f() { unsafe { g() } m!(unsafe { \"unsafe\" }) } unsafe fn g() {}";
        assert_eq!(count(proc_macro2::TokenStream::from_str(source).unwrap()), 3);
    }

    #[test]
    fn what_is_not_listed_as_it_is_found_is_a_fault() {
        let found = |list: &[(&str, usize)]| -> Vec<(String, usize)> {
            list.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect()
        };
        let allowed = [("kernels/src/a.rs", 2)];
        assert_eq!(compared(&found(&allowed), &allowed), [""; 0]);
        assert!(compared(&found(&[("kernels/src/a.rs", 3)]), &allowed)[0].contains("has 2"));
        assert!(
            compared(&found(&[("kernels/src/a.rs", 2), ("crates/x.rs", 1)]), &allowed)[0]
                .contains("only the")
        );
        assert!(compared(&[], &allowed)[0].contains("no `unsafe` any more"));
    }
}
