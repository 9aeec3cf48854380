//! Data sets by name: a file, a folder, or what is registered under the scheme that a name begins with.
//!
//! Nothing here knows a scheme. Whoever links one registers it, and the command registers those that it comes with.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use vigos_core::files::Progress;
use vigos_recipe::Data;
use vigos_recipe::sft::SftData;

use crate::dataset::Dataset;
use crate::error::DatasetError;
use crate::fields::RowFields;

/// A data set as a section of a recipe names it.
#[derive(Clone, Debug)]
pub struct DataRequest<'a> {
    /// The section, for messages.
    pub section: &'a str,
    /// Its `path`: a file, a folder, or a name such as `SCHEME:NAME`.
    pub path: &'a Path,
    /// Its `split`.
    pub split: Option<&'a str>,
    /// What its rows are, and the names of their fields.
    pub fields: RowFields,
    /// Use the first so many rows only.
    pub limit: Option<usize>,
}

/// Opens the data sets whose names begin with a scheme.
pub trait Scheme: Debug + Send + Sync {
    /// What names begin with, before the colon: two or more lower-case letters or digits.
    fn name(&self) -> &str;

    /// Opens a data set of such a name; `progress` sees what has to be fetched.
    ///
    /// # Errors
    /// [`DatasetError`]; for what only this scheme knows [`DatasetError::Source`].
    fn open(&self, request: &DataRequest, progress: &mut Progress) -> Result<Dataset, DatasetError>;
}

/// Where data sets come from: files and folders, and the schemes that were registered. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    schemes: Vec<Arc<dyn Scheme>>,
}

impl Sources {
    /// The same with one more scheme; of two of one name the later counts.
    #[must_use]
    pub fn with(mut self, scheme: impl Scheme + 'static) -> Self {
        self.schemes.insert(0, Arc::new(scheme));
        self
    }

    /// Opens what a request names; `progress` sees what has to be fetched.
    ///
    /// # Errors
    /// [`DatasetError`], [`DatasetError::UnknownScheme`] for a name that begins with a scheme that nobody
    /// registered.
    pub fn open(&self, request: &DataRequest, progress: &mut Progress) -> Result<Dataset, DatasetError> {
        let DataRequest { path, split, fields, limit, .. } = request;
        let Some(word) = scheme_of(path) else {
            return Dataset::open_split(path, *split, fields.clone(), *limit);
        };
        match self.schemes.iter().find(|scheme| scheme.name() == word) {
            Some(scheme) => scheme.open(request, progress),
            // A file may have a colon in its name.
            None if path.exists() => Dataset::open_split(path, *split, fields.clone(), *limit),
            None => Err(DatasetError::UnknownScheme {
                path: (*path).to_owned(),
                scheme: word.to_owned(),
                known: self.schemes.iter().map(|scheme| scheme.name().to_owned()).collect(),
            }),
        }
    }
}

/// What stands before the colon, if that is as schemes are; a single letter is a drive.
fn scheme_of(path: &Path) -> Option<&str> {
    let (word, _) = path.to_str()?.split_once(':')?;
    let usual = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (word.len() > 1 && word.bytes().all(usual)).then_some(word)
}

impl DataRequest<'_> {
    /// For a scheme whose names say which split is meant: refuses a `split` beside such a name.
    ///
    /// # Errors
    /// [`DatasetError::Setting`].
    pub fn names_its_split(&self) -> Result<(), DatasetError> {
        let Some(split) = self.split else { return Ok(()) };
        Err(DatasetError::Setting {
            key: format!("{}.split", self.section),
            found: format!("\"{split}\""),
            wanted: format!("nothing: {}.path names the split", self.section),
        })
    }
}

impl<'a> From<&'a Data> for DataRequest<'a> {
    fn from(data: &'a Data) -> Self {
        let (split, fields) = (data.split.as_deref(), RowFields::from(&data.fields));
        Self { section: "data", path: &data.path, split, fields, limit: data.rows.limit }
    }
}

impl<'a> From<&'a SftData> for DataRequest<'a> {
    fn from(data: &'a SftData) -> Self {
        let fields = RowFields::from(&data.fields);
        Self { section: "data", path: &data.path, split: None, fields, limit: data.rows.limit }
    }
}
