//! Pages of the documentation with parts that come from the code, between marks.

use crate::files::{FileError, read_limited, write_atomic_bytes};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// No page is larger.
const LARGEST_PAGE: u64 = 1 << 20;

/// Makes a schema.
pub type Make = fn() -> Value;

/// A file of the documentation, as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The file, below the repository's root.
    pub path: PathBuf,
    /// What it has to hold.
    pub text: String,
}

/// A part of a page that is made here.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The page, below the repository's root.
    pub page: &'static str,
    /// What its marks are called.
    pub name: &'static str,
    /// Makes it.
    pub make: fn() -> String,
}

/// Every page with one of these parts and every file of these schemas, as it has to be in the repository at `root`.
///
/// # Errors
/// If a page cannot be read.
pub fn pages(root: &Path, parts: &[Part], schemas: &[(&str, Make)]) -> Result<Vec<Page>, FileError> {
    let mut pages: Vec<Page> = Vec::new();
    for Part { page, name, make } in parts {
        let path = PathBuf::from(page);
        let known = pages.iter_mut().find(|known| known.path == path);
        match known {
            Some(page) => page.text = replace(&page.text, name, &make()),
            None => {
                let text = read_limited(&root.join(&path), LARGEST_PAGE)?;
                pages.push(Page { text: replace(&String::from_utf8_lossy(&text), name, &make()), path });
            }
        }
    }
    for (name, make) in schemas {
        let path = PathBuf::from(format!("docs/schema/{name}.json"));
        pages.push(Page { path, text: format!("{:#}\n", make()) });
    }
    Ok(pages)
}

/// Writes pages in place.
///
/// # Errors
/// If a file cannot be written.
pub fn write(root: &Path, pages: &[Page]) -> Result<(), FileError> {
    pages.iter().try_for_each(|page| {
        let path = root.join(&page.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| FileError::io("create", folder, e))?;
        }
        write_atomic_bytes(&path, page.text.as_bytes())
    })
}

/// The pages that differ from the files in the repository at `root`.
pub fn behind(root: &Path, pages: &[Page]) -> Vec<PathBuf> {
    let is = |page: &Page| fs::read(root.join(&page.path)).is_ok_and(|found| found == page.text.as_bytes());
    pages.iter().filter(|page| !is(page)).map(|page| page.path.clone()).collect()
}

/// The text with what stands between a part's marks replaced; a text without them gets the part at its end.
fn replace(text: &str, name: &str, part: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let (before, rest) = text.split_once(&begin).unwrap_or((text, ""));
    let (_, after) = rest.split_once(&end).unwrap_or(("", rest));
    format!("{before}{begin}\n{part}\n{end}{after}")
}
