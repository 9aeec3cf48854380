//! Data sets by name: a file, a folder, or what is registered under the scheme that a name begins with.
//!
//! Nothing here knows a scheme. Whoever links one registers it, and the command registers those that it comes with.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use vigos_core::files::Progress;
use vigos_layouts::RowFields;
use vigos_links::Links;
use vigos_recipe::sft::SftData;
use vigos_recipe::{Data, DataLayout, Rows, Turns};

use crate::dataset::Dataset;
use crate::error::DatasetError;
use crate::reading::Reading;

/// A data set as a section of a recipe names it.
#[derive(Clone, Debug)]
pub struct DataRequest<'a> {
    /// The key that names it, for messages.
    pub key: &'a str,
    /// A file, a folder, or a name such as `SCHEME:NAME`.
    pub path: &'a Path,
    /// The `split` of the key's section.
    pub split: Option<&'a str>,
    /// What its rows are, and the names of their fields.
    pub fields: RowFields,
    /// Use the first so many rows only.
    pub limit: Option<usize>,
    /// The folder that image paths are relative to, instead of the data set's own.
    pub image_root: Option<&'a Path>,
    /// Share of the rows that may be unusable.
    pub max_bad_share: f64,
    /// Where rows say what.
    pub layout: DataLayout,
    /// What becomes of conversations of several questions.
    pub turns: Turns,
    /// The links of pictures that are followed.
    pub links: Links,
}

/// Opens the data sets whose names begin with a scheme.
pub trait Scheme: Debug + Send + Sync {
    /// What names begin with, before the colon: two or more lower-case letters or digits.
    fn name(&self) -> &str;

    /// The name with its scheme that was probably meant by one without, for a message; nothing is at `path`.
    fn meant(&self, _path: &Path) -> Option<String> {
        None
    }

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
        self.open_named(request, progress).map_err(|error| error.of(request.key))
    }

    fn open_named(&self, request: &DataRequest, progress: &mut Progress) -> Result<Dataset, DatasetError> {
        let DataRequest { path, split, fields, .. } = request;
        request.check_image_root()?;
        let open = || Dataset::open_with(path, *split, fields.clone(), request.reading());
        let Some(word) = scheme_of(path) else {
            let meant = || self.schemes.iter().find_map(|scheme| scheme.meant(path));
            return match if path.exists() { None } else { meant() } {
                Some(hint) => Err(DatasetError::BareName { path: (*path).to_owned(), hint }),
                None => open(),
            };
        };
        match self.schemes.iter().find(|scheme| scheme.name() == word) {
            Some(scheme) => scheme.open(request, progress),
            // A file may have a colon in its name.
            None if path.exists() => open(),
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
    /// Which rows are to be read, and how.
    pub fn reading(&self) -> Reading<'_> {
        let Self { limit, image_root, max_bad_share, layout, turns, ref links, .. } = *self;
        Reading { limit, image_root, max_bad_share, layout, turns, links: Some(links) }
    }

    fn check_image_root(&self) -> Result<(), DatasetError> {
        match self.image_root {
            Some(folder) if !folder.is_dir() => Err(DatasetError::Setting {
                key: "data.image_root".into(),
                found: format!("\"{}\"", folder.display()),
                wanted: "a folder that is there".into(),
            }),
            _ => Ok(()),
        }
    }

    /// For a scheme whose names say which split is meant: refuses a `split` beside such a name.
    ///
    /// # Errors
    /// [`DatasetError::Setting`].
    pub fn names_its_split(&self) -> Result<(), DatasetError> {
        let Some(split) = self.split else { return Ok(()) };
        let section = self.key.split_once('.').map_or(self.key, |(section, _)| section);
        Err(DatasetError::Setting {
            key: format!("{section}.split"),
            found: format!("\"{split}\""),
            wanted: format!("nothing: {} names the split", self.key),
        })
    }
}

impl<'a> DataRequest<'a> {
    fn of(path: &'a Path, fields: RowFields, rows: &'a Rows) -> Self {
        let (limit, image_root) = (rows.limit, rows.image_root.as_deref());
        let Rows { max_bad_share, layout, turns, .. } = *rows;
        let key = "data.path";
        let links = rows.links();
        Self { key, path, split: None, fields, limit, image_root, max_bad_share, layout, turns, links }
    }
}

impl<'a> From<&'a Data> for DataRequest<'a> {
    fn from(data: &'a Data) -> Self {
        let (split, fields) = (data.split.as_deref(), RowFields::from(&data.fields));
        Self { split, ..Self::of(&data.path, fields, &data.rows) }
    }
}

impl<'a> From<&'a SftData> for DataRequest<'a> {
    fn from(data: &'a SftData) -> Self {
        Self::of(&data.path, RowFields::from(&data.fields), &data.rows)
    }
}
