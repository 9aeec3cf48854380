//! The files of a crate as modules, and which of them use which.

use super::imports::{Import, Said, read};
use crate::shell::files;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A source file.
pub(super) struct File {
    /// Below the crate's root file's folder.
    pub(super) path: PathBuf,
    pub(super) lines: usize,
    module: Vec<String>,
    said: Said,
}

/// The files of a crate, or of a test that has several.
pub(super) struct Tree {
    folder: PathBuf,
    files: Vec<File>,
    /// The file of each module that has one.
    places: BTreeMap<Vec<String>, usize>,
}

impl Tree {
    /// All of a folder's `.rs` files.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let rust = files(folder)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
        Self::of(folder, rust.collect())
    }

    /// These files of a folder.
    pub(super) fn of(folder: &Path, paths: Vec<PathBuf>) -> Result<Self> {
        let sources = paths.into_iter().map(|path| {
            let full = folder.join(&path);
            let text = std::fs::read_to_string(&full).with_context(|| full.display().to_string())?;
            Ok((path, text))
        });
        Self::parse(folder, sources.collect::<Result<_>>()?)
    }

    fn parse(folder: &Path, sources: Vec<(PathBuf, String)>) -> Result<Self> {
        let (mut files, mut places) = (Vec::new(), BTreeMap::new());
        for (path, text) in sources {
            let module = module(&path);
            let said = read(&text, &module).with_context(|| path.display().to_string())?;
            // A library's root before a command's.
            places.entry(module.clone()).or_insert(files.len());
            files.push(File { path, lines: text.lines().count(), module, said });
        }
        Ok(Self { folder: folder.to_owned(), files, places })
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// For each file those that it uses.
    pub(super) fn edges(&self) -> Vec<Vec<usize>> {
        let mut edges = vec![Vec::new(); self.files.len()];
        for (from, to, _) in self.uses() {
            edges[from].push(to);
        }
        edges
    }

    /// What files of a circle use of each other.
    pub(super) fn ties(&self, circle: &[usize]) -> Vec<(usize, usize, Vec<String>)> {
        let mut ties: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
        for (from, to, item) in self.uses() {
            if circle.contains(&from) && circle.contains(&to) {
                let items = ties.entry((from, to)).or_default();
                if !items.contains(&item) {
                    items.push(item);
                }
            }
        }
        ties.into_iter().map(|((from, to), items)| (from, to, items)).collect()
    }

    /// Files that no `mod` names.
    pub(super) fn unnamed(&self) -> Vec<PathBuf> {
        let named: Vec<&str> = self.files.iter().flat_map(|f| &f.said.modules).map(String::as_str).collect();
        let is_named = |file: &File| {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            file.module.last().is_none_or(|module| named.contains(&module.as_str()))
                || named.iter().any(|path| path.rsplit('/').next() == Some(&name))
        };
        self.files.iter().filter(|file| !is_named(file)).map(|file| self.folder.join(&file.path)).collect()
    }

    /// Every use of another file: from, to, of what. A re-export of what is below is none: whoever uses it through
    /// the module above is taken to use the file that has it.
    fn uses(&self) -> Vec<(usize, usize, String)> {
        let mut uses = Vec::new();
        for (from, file) in self.files.iter().enumerate() {
            for import in &file.said.imports {
                let Some((to, item)) = self.place(import, &file.module) else { continue };
                let handed_on = import.public && self.files[to].module.starts_with(&file.module);
                if to != from && !handed_on {
                    uses.push((from, to, item));
                }
            }
        }
        uses
    }

    /// The file that has what a path names, and the item's name.
    fn place(&self, import: &Import, here: &[String]) -> Option<(usize, String)> {
        if import.relative && !self.places.contains_key(import.path.get(..=here.len())?) {
            return None;
        }
        let mut path = import.path.clone();
        // A name that a module has from elsewhere; the bound is for those that name each other.
        for _ in 0..8 {
            let depth = (0..=path.len()).rev().find(|depth| self.places.contains_key(&path[..*depth]))?;
            let place = self.places[&path[..depth]];
            let Some(item) = path.get(depth) else {
                return Some((place, path.last().cloned().unwrap_or_else(|| "the root".into())));
            };
            let file = &self.files[place];
            let elsewhere = file.said.imports.iter().find(|known| {
                let inside = !known.relative
                    || known.path.get(..=depth).is_some_and(|child| self.places.contains_key(child));
                known.name.as_ref() == Some(item) && inside && known.path != path
            });
            match elsewhere {
                Some(known) => path = [&known.path[..], &path[depth + 1..]].concat(),
                None => return Some((place, item.clone())),
            }
        }
        None
    }
}

/// The module of a file.
fn module(path: &Path) -> Vec<String> {
    let mut words: Vec<String> =
        path.with_extension("").iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let last = words.last().map(String::as_str);
    if last == Some("mod") || (words.len() == 1 && matches!(last, Some("lib" | "main"))) {
        words.pop();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::Tree;
    use std::path::{Path, PathBuf};

    fn tree(sources: &[(&str, &str)]) -> Tree {
        let owned = sources.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
        Tree::parse(Path::new("src"), owned.collect()).unwrap()
    }

    fn edges(sources: &[(&str, &str)]) -> Vec<String> {
        let tree = tree(sources);
        let name = |file: usize| tree.files()[file].path.display().to_string();
        let mut edges: Vec<String> = tree
            .uses()
            .into_iter()
            .map(|(from, to, item)| format!("{} {} {item}", name(from), name(to)))
            .collect();
        edges.sort();
        edges
    }

    #[test]
    fn a_use_points_at_the_file_of_the_module() {
        let sources = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::c::Thing; fn f() { crate::b::g() }"),
            ("b/mod.rs", "mod c; pub fn g() {}"),
            ("b/c.rs", "pub struct Thing;"),
        ];
        assert_eq!(edges(&sources), ["a.rs b/c.rs Thing", "a.rs b/mod.rs g"]);
    }

    #[test]
    fn a_parent_that_hands_its_children_on_is_in_no_circle() {
        let sources = [
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("a.rs", "use crate::B; pub struct A(B);"),
            ("b.rs", "pub struct B;"),
        ];
        assert_eq!(edges(&sources), ["a.rs b.rs B"]);
    }

    #[test]
    fn a_parent_that_uses_a_child_which_uses_it_is() {
        let sources = [
            ("lib.rs", "mod a;"),
            ("a.rs", "mod b; pub struct Kind; pub fn f() { b::g(Kind) }"),
            ("a/b.rs", "use super::Kind; pub fn g(_: Kind) {}"),
        ];
        assert_eq!(edges(&sources), ["a.rs a/b.rs g", "a/b.rs a.rs Kind"]);
    }

    #[test]
    fn another_crate_of_a_modules_name_is_not_the_module() {
        let sources = [("lib.rs", "mod a; mod parquet;"), ("a.rs", "use parquet::File;"), ("parquet.rs", "")];
        assert_eq!(edges(&sources), [""; 0]);
    }

    #[test]
    fn a_file_that_no_module_names_is_found() {
        let tree = tree(&[("main.rs", "mod a;"), ("a.rs", ""), ("b.rs", "")]);
        assert_eq!(tree.unnamed(), [PathBuf::from("src/b.rs")]);
    }
}
