//! The paths that a source file names inside its own crate, in `use` and anywhere else.
//!
//! The file is read as tokens, not parsed: that sees into macros, and passes comments and texts.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::str::FromStr;

/// A path inside the crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// From the crate's root: modules, then perhaps an item, then perhaps more.
    pub(super) path: Vec<String>,
    /// Under which name a `use` makes it known here; nothing for a path in other code.
    pub(super) name: Option<String>,
    /// Whether others see that name too.
    pub(super) public: bool,
    /// Whether the path may as well begin with another crate or an item: it has neither `crate`, `self` nor `super`.
    pub(super) relative: bool,
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) imports: Vec<Import>,
    /// Modules that are in other files, as `mod name;` or by `#[path = "…"]`.
    pub(super) modules: Vec<String>,
}

/// Reads the source of the module `module` of a crate.
pub(super) fn read(source: &str, module: &[String]) -> Result<Said> {
    let tokens = TokenStream::from_str(source).map_err(|error| anyhow!("{error}"))?;
    let mut said = Said::default();
    walk(tokens, module, &mut said);
    Ok(said)
}

fn walk(tokens: TokenStream, module: &[String], said: &mut Said) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut public = false;
    let mut at = 0;
    while at < tokens.len() {
        let word = ident(&tokens, at);
        match (&tokens[at], word.as_deref()) {
            (_, Some("pub")) => {
                public = true;
                // What is in the parentheses says who sees it, and is no use of anything.
                at += if group(&tokens, at + 1, Delimiter::Parenthesis).is_some() { 2 } else { 1 };
                continue;
            }
            (_, Some("use")) => {
                // Behind `::` is another crate, whatever the modules here are called.
                let foreign = joined(&tokens, at + 1);
                let mut leaves = Vec::new();
                at = tree(&tokens, if foreign { at + 3 } else { at + 1 }, &[], &mut leaves);
                leaves.retain(|_| !foreign);
                said.imports.extend(leaves.into_iter().filter_map(|leaf| import(leaf, module, public)));
            }
            (_, Some("mod")) => {
                let name = ident(&tokens, at + 1).unwrap_or_default();
                match group(&tokens, at + 2, Delimiter::Brace) {
                    Some(inner) => walk(inner, &[module, &[name]].concat(), said),
                    None => said.modules.push(name),
                }
                at += 3;
            }
            (_, Some("path")) if punct(&tokens, at + 1, '=') => {
                if let Some(TokenTree::Literal(text)) = tokens.get(at + 2) {
                    said.modules.push(text.to_string().trim_matches('"').to_owned());
                }
                at += 1;
            }
            (_, Some(_)) if joined(&tokens, at + 1) => {
                let mut leaf = Leaf { path: Vec::new(), name: None };
                at = chain(&tokens, at, &mut leaf.path);
                said.imports.extend(import(leaf, module, false));
            }
            (TokenTree::Group(inner), _) => {
                walk(inner.stream(), module, said);
                at += 1;
            }
            _ => at += 1,
        }
        public = false;
    }
}

/// A path as written, and under which name it is known.
struct Leaf {
    path: Vec<String>,
    name: Option<String>,
}

/// A written path from the crate's root on.
fn import(leaf: Leaf, module: &[String], public: bool) -> Option<Import> {
    let mut written = leaf.path.into_iter().peekable();
    let (mut path, mut relative) = (module.to_vec(), false);
    match written.peek()?.as_str() {
        "crate" => {
            written.next();
            path.clear();
        }
        "self" => {
            written.next();
        }
        "super" => {}
        _ => relative = true,
    }
    while written.next_if(|word| word == "super").is_some() {
        path.pop();
    }
    path.extend(written);
    Some(Import { path, name: leaf.name, public, relative })
}

/// Adds the leaves of a tree of `use` that begins at `at`; where it ends.
fn tree(tokens: &[TokenTree], mut at: usize, before: &[String], leaves: &mut Vec<Leaf>) -> usize {
    let mut path = before.to_vec();
    at = chain(tokens, at, &mut path);
    if let Some(inner) = group(tokens, at, Delimiter::Brace) {
        let inner: Vec<TokenTree> = inner.into_iter().collect();
        for branch in inner.split(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == ',')) {
            if !branch.is_empty() {
                tree(branch, 0, &path, leaves);
            }
        }
        return at + 1;
    }
    let mut name = path.last().cloned();
    // `a::{self}` is `a`.
    if path.len() > 1 && name.as_deref() == Some("self") {
        path.pop();
        name = path.last().cloned();
    }
    if punct(tokens, at, '*') {
        (name, at) = (Some("*".into()), at + 1);
    } else if ident(tokens, at).as_deref() == Some("as") {
        (name, at) = (ident(tokens, at + 1), at + 2);
    }
    leaves.push(Leaf { path, name });
    at
}

/// Words joined by `::` from `at` on; where they end, behind the last `::` if something else follows that.
fn chain(tokens: &[TokenTree], mut at: usize, path: &mut Vec<String>) -> usize {
    while let Some(word) = ident(tokens, at) {
        path.push(word);
        at += 1;
        if !joined(tokens, at) {
            break;
        }
        at += 2;
    }
    at
}

fn ident(tokens: &[TokenTree], at: usize) -> Option<String> {
    match tokens.get(at)? {
        TokenTree::Ident(ident) => Some(ident.to_string().trim_start_matches("r#").to_owned()),
        _ => None,
    }
}

fn punct(tokens: &[TokenTree], at: usize, wanted: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(found)) if found.as_char() == wanted)
}

/// Whether `::` is there.
fn joined(tokens: &[TokenTree], at: usize) -> bool {
    punct(tokens, at, ':') && punct(tokens, at + 1, ':')
}

fn group(tokens: &[TokenTree], at: usize, delimiter: Delimiter) -> Option<TokenStream> {
    match tokens.get(at)? {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group.stream()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Import, read};

    fn paths(source: &str, module: &[&str]) -> Vec<String> {
        let module: Vec<String> = module.iter().map(|word| (*word).to_owned()).collect();
        let shown = |import: &Import| {
            let name = import.name.as_ref().map_or(String::new(), |name| format!(" as {name}"));
            let marks = [(import.public, "pub "), (import.relative, "? ")];
            let marks: String = marks.iter().filter(|(set, _)| *set).map(|(_, mark)| *mark).collect();
            format!("{marks}{}{name}", import.path.join("::"))
        };
        read(source, &module).unwrap().imports.iter().map(shown).collect()
    }

    #[test]
    fn trees_of_use_are_taken_apart() {
        let source =
            "use crate::{a::{self, B as C}, d::*}; use super::super::e::F; use ::crate_of_others::x;";
        assert_eq!(paths(source, &["m", "n", "o"]), ["a as a", "a::B as C", "d as *", "m::e::F as F"]);
    }

    #[test]
    fn a_path_in_code_and_in_a_macro_counts_like_a_use() {
        let source = "fn f(x: &super::Y) { vec![crate::a::b(1)]; let _ = self::z::<crate::T>(); }";
        assert_eq!(paths(source, &["m", "n"]), ["m::Y", "a::b", "m::n::z", "T"]);
    }

    #[test]
    fn comments_texts_and_visibilities_are_no_paths() {
        let source = "/// [`crate::a`]\n// crate::b\npub(in crate::c) const X: &str = \"crate::d::e\"; pub(super) fn f() {}";
        assert_eq!(paths(source, &[]), [""; 0]);
    }

    #[test]
    fn what_others_see_is_told_from_what_is_used_here() {
        assert_eq!(
            paths("mod child; pub use child::A; pub(crate) use child::B; use child::C;", &["m"]),
            ["pub ? m::child::A as A", "pub ? m::child::B as B", "? m::child::C as C"]
        );
    }

    #[test]
    fn a_module_in_the_file_has_paths_of_its_own() {
        assert_eq!(paths("mod tests { use super::*; use crate::a::B; }", &["m"]), ["m as *", "a::B as B"]);
    }

    #[test]
    fn modules_in_other_files_are_listed() {
        let said = read("mod a; pub mod b { mod c; } #[path = \"d_tests.rs\"] mod tests;", &[]).unwrap();
        assert_eq!(said.modules, ["a", "c", "d_tests.rs", "tests"]);
    }
}
