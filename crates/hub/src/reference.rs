//! Names of models and data sets on the hub.

use std::path::Path;

use crate::error::HubError;

const PREFIX: &str = "hf:";
const MODEL: &str = "hf:ORG/NAME or hf:ORG/NAME@REVISION, of letters, digits, `-`, `_` and `.`";
const DATASET: &str = "hf:ORG/NAME@SPLIT or hf:ORG/NAME@FOLDER/SPLIT, of letters, digits, `-`, `_` and `.`";
const REPOSITORY: &str = "ORG/NAME, of letters, digits, `-`, `_` and `.`";
/// The hub's own limit on a name.
const MAX_NAME: usize = 96;
const MAX_REVISION: usize = 200;
/// Stands for all the folders that a split has files in.
pub(crate) const ALL_FOLDERS: &str = "*";

/// Whether a path names something on the hub instead of a file or folder.
pub fn is_reference(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with(PREFIX))
}

/// The name of a path that would be one on the hub with `hf:` before it.
pub fn bare_name(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let (organisation, name) = text.split_once('@').map_or(text, |(id, _)| id).split_once('/')?;
    (is_name(organisation) && is_name(name)).then(|| text.to_owned())
}

/// A checked name. No part of it can lead out of a folder or into another URL.
///
/// ```
/// use std::path::Path;
/// use vigos_hub::Reference;
///
/// let model = Reference::model(Path::new("hf:org/name@v1"))?;
/// assert_eq!((model.id.as_str(), model.at.as_deref()), ("org/name", Some("v1")));
/// assert!(Reference::model(Path::new("hf:org/../name")).is_err());
/// # Ok::<(), vigos_hub::HubError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `ORG/NAME`.
    pub id: String,
    /// What follows the `@`, if anything: a revision of a model, a split of a data set.
    pub at: Option<String>,
}

impl Reference {
    /// Reads `hf:ORG/NAME` or `hf:ORG/NAME@REVISION`.
    ///
    /// # Errors
    /// [`HubError::Reference`].
    pub fn model(path: &Path) -> Result<Self, HubError> {
        let fault = || HubError::Reference { found: path.display().to_string(), wanted: MODEL };
        let reference = Self::parse(path).ok_or_else(fault)?;
        if reference.at.as_deref().is_none_or(is_revision) { Ok(reference) } else { Err(fault()) }
    }

    /// Reads `ORG/NAME`, a repository to send something to; `hf:` before it is as good.
    ///
    /// # Errors
    /// [`HubError::Reference`].
    pub fn repository(text: &str) -> Result<Self, HubError> {
        let id = text.strip_prefix(PREFIX).unwrap_or(text);
        let fault = || HubError::Reference { found: text.to_owned(), wanted: REPOSITORY };
        Self::parse(Path::new(&format!("{PREFIX}{id}"))).filter(|found| found.at.is_none()).ok_or_else(fault)
    }

    /// Reads `hf:ORG/NAME@SPLIT`, or `hf:ORG/NAME@FOLDER/SPLIT` for the files of a split that are in one folder of
    /// several; `*` stands for all of them.
    ///
    /// # Errors
    /// [`HubError::Reference`].
    pub fn dataset(path: &Path) -> Result<Self, HubError> {
        let fault = || HubError::Reference { found: path.display().to_string(), wanted: DATASET };
        let reference = Self::parse(path).ok_or_else(fault)?;
        if reference.at.as_deref().is_some_and(is_split) { Ok(reference) } else { Err(fault()) }
    }

    fn parse(path: &Path) -> Option<Self> {
        let text = path.to_str()?.strip_prefix(PREFIX)?;
        let (id, at) = text.split_once('@').map_or((text, None), |(id, at)| (id, Some(at)));
        let (organisation, name) = id.split_once('/')?;
        (is_name(organisation) && is_name(name))
            .then(|| Self { id: id.to_owned(), at: at.map(str::to_owned) })
    }
}

fn is_name(text: &str) -> bool {
    let usual = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let starts = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    // The cache writes a slash as two dashes.
    starts
        && text.len() <= MAX_NAME
        && text.bytes().all(usual)
        && !text.contains("..")
        && !text.contains("--")
}

fn is_split(text: &str) -> bool {
    match text.rsplit_once('/') {
        Some((ALL_FOLDERS, split)) => is_name(split),
        Some((folder, split)) => is_folder(folder) && is_name(split),
        None => is_name(text),
    }
}

/// Configurations of data sets have names such as `standard (10 options)`.
fn is_folder(text: &str) -> bool {
    let plain: String = text.chars().filter(|letter| !matches!(letter, ' ' | '(' | ')')).collect();
    text.len() <= MAX_NAME && plain.split('/').all(is_name)
}

/// Branches may have slashes.
fn is_revision(text: &str) -> bool {
    text.len() <= MAX_REVISION && text.split('/').all(is_name)
}

/// Whether a revision is a commit, whose content never changes.
pub(crate) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit())
}
