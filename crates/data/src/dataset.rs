//! A data set of questions about images, as JSON Lines.
//!
//! A row is `{"id", "image": "relative path" | "images": [...], "problem", "answer"}`. All rows are read and
//! checked when the file is opened, texts stay in memory, images stay on disk.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;
use vigos_core::files::folder_of;
use vigos_core::jsonl::{JsonLinesError, LastLine, ReadOptions, read_lines};
use vigos_core::paths::{PathError, contained};

/// The names that the fields of a row have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The question: a string.
    pub problem: String,
    /// The image or images: a path relative to the data set's folder, or a list of them. With the name
    /// `image` a row may use `images` instead.
    pub image: String,
    /// The reference answer: a string, a number, or true or false.
    pub answer: String,
    /// The row's name: a string or a number, or absent.
    pub id: String,
}

impl Default for Fields {
    fn default() -> Self {
        let [problem, image, answer, id] = ["problem", "image", "answer", "id"].map(str::to_owned);
        Self { problem, image, answer, id }
    }
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name; without one in the data set, the number of its line.
    pub id: String,
    /// The question.
    pub problem: String,
    /// The reference answer as the data set has it; see [`crate::reference_target`].
    pub answer: String,
    /// Absolute paths, at least one. They lie below the data set's folder.
    pub images: Vec<PathBuf>,
    /// The line of the data set that it stands on, counted from 1.
    pub line: usize,
}

/// Why a data set or one of its rows could not be read.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// Not a kind of data set that is read.
    #[error("unsupported data set {}: expected a .jsonl file", path.display())]
    Unsupported {
        /// What was named.
        path: PathBuf,
    },
    /// The file, or a line that is not a JSON object.
    #[error(transparent)]
    Lines(#[from] JsonLinesError),
    /// The file has no row, or was limited to none.
    #[error("{} has no rows to read; add rows, or raise the limit", path.display())]
    Empty {
        /// The data set.
        path: PathBuf,
    },
    /// A row lacks a field, or has null for it.
    #[error(
        "{}:{line}: no field {field:?}; found {}; write the field, or name another one under data.fields",
        path.display(), listed(found)
    )]
    MissingField {
        /// The data set.
        path: PathBuf,
        /// The row's line, counted from 1.
        line: usize,
        /// The field wanted.
        field: String,
        /// The fields found.
        found: Vec<String>,
    },
    /// A field holds what it cannot.
    #[error("{}:{line}: field {field:?}: found {found}, wanted {wanted}", path.display())]
    WrongValue {
        /// The data set.
        path: PathBuf,
        /// The row's line, counted from 1.
        line: usize,
        /// The field.
        field: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        wanted: &'static str,
    },
    /// An image's path leaves the data set's folder, or is no relative path.
    #[error("{}:{line}: field {field:?}: {source}", path.display())]
    ImagePath {
        /// The data set.
        path: PathBuf,
        /// The row's line, counted from 1.
        line: usize,
        /// The field.
        field: String,
        /// What is wrong with the path.
        source: PathError,
    },
    /// An image is not there.
    #[error(
        "{}:{line}: there is no image file {}; image paths are relative to the data set's folder",
        path.display(), image.display()
    )]
    MissingImage {
        /// The data set.
        path: PathBuf,
        /// The row's line, counted from 1.
        line: usize,
        /// The path that the row leads to.
        image: PathBuf,
    },
    /// A row beyond the end was asked for.
    #[error("{} has {rows} rows; there is no row {index}, counted from 0", path.display())]
    NoSuchRow {
        /// The data set.
        path: PathBuf,
        /// The row asked for.
        index: usize,
        /// The rows that there are.
        rows: usize,
    },
}

/// An open data set; it has at least one row.
#[derive(Clone, Debug)]
pub struct Dataset {
    path: PathBuf,
    rows: Vec<Row>,
    count: NonZeroUsize,
}

impl Dataset {
    /// Reads the rows of the `.jsonl` file at `path`, the first `limit` of them if given. Blank lines are no
    /// rows. Images need not be there yet, see [`Dataset::load`].
    ///
    /// # Errors
    /// Any [`DatasetError`] but the last two; the first row that is wrong is named.
    pub fn open(path: &Path, fields: &Fields, limit: Option<usize>) -> Result<Self, DatasetError> {
        let jsonl = path.extension().and_then(OsStr::to_str).is_some_and(|e| e.eq_ignore_ascii_case("jsonl"));
        if !jsonl || path.to_string_lossy().starts_with("hf:") || path.is_dir() {
            return Err(DatasetError::Unsupported { path: path.to_owned() });
        }
        // People write these files, often without a line break at the end.
        let options = ReadOptions { last_line: LastLine::Taken, ..ReadOptions::default() };
        let rows = read_lines::<Map<String, Value>>(path, options)?
            .take(limit.unwrap_or(usize::MAX))
            .map(|item| {
                let (line, object) = item?;
                Source { path, line, object: &object }.row(fields)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let count =
            NonZeroUsize::new(rows.len()).ok_or_else(|| DatasetError::Empty { path: path.to_owned() })?;
        Ok(Self { path: path.to_owned(), rows, count })
    }

    /// All rows, in the order of the file.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The number of rows.
    pub fn count(&self) -> NonZeroUsize {
        self.count
    }

    /// Row `index`, counted from 0, once its image files are seen to be there.
    ///
    /// # Errors
    /// [`DatasetError::MissingImage`], [`DatasetError::NoSuchRow`].
    pub fn load(&self, index: usize) -> Result<&Row, DatasetError> {
        let row = self.rows.get(index).ok_or_else(|| DatasetError::NoSuchRow {
            path: self.path.clone(),
            index,
            rows: self.rows.len(),
        })?;
        match row.images.iter().find(|image| !image.is_file()) {
            None => Ok(row),
            Some(image) => Err(DatasetError::MissingImage {
                path: self.path.clone(),
                line: row.line,
                image: image.clone(),
            }),
        }
    }
}

/// A line of the file, to be made a row.
struct Source<'a> {
    path: &'a Path,
    line: usize,
    object: &'a Map<String, Value>,
}

impl Source<'_> {
    fn row(&self, fields: &Fields) -> Result<Row, DatasetError> {
        Ok(Row {
            id: self.id(&fields.id)?,
            problem: self.problem(&fields.problem)?,
            answer: self.answer(&fields.answer)?,
            images: self.images(&fields.image)?,
            line: self.line,
        })
    }

    fn id(&self, field: &str) -> Result<String, DatasetError> {
        match self.get(field) {
            None => Ok(self.line.to_string()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(other) => Err(self.wrong(field, other, "a string or a number")),
        }
    }

    fn problem(&self, field: &str) -> Result<String, DatasetError> {
        match self.required(field)? {
            Value::String(text) => Ok(text.clone()),
            other => Err(self.wrong(field, other, "a string")),
        }
    }

    fn answer(&self, field: &str) -> Result<String, DatasetError> {
        match self.required(field)? {
            Value::String(text) if !text.trim().is_empty() => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            other => Err(self.wrong(field, other, "a string that is not blank, a number, true or false")),
        }
    }

    fn images(&self, field: &str) -> Result<Vec<PathBuf>, DatasetError> {
        let field = match (field, self.get("image"), self.get("images")) {
            ("image", Some(_), Some(other)) => {
                return Err(self.wrong("images", other, "only one of \"image\" and \"images\" in a row"));
            }
            ("image", None, Some(_)) => "images",
            _ => field,
        };
        let value = self.required(field)?;
        let wanted = "a path relative to the data set's folder, or a list of them that is not empty";
        match value {
            Value::String(path) => Ok(vec![self.image(field, path)?]),
            Value::Array(paths) if !paths.is_empty() => {
                let each = paths.iter().map(|path| match path {
                    Value::String(path) => self.image(field, path),
                    other => Err(self.wrong(field, other, wanted)),
                });
                each.collect()
            }
            other => Err(self.wrong(field, other, wanted)),
        }
    }

    fn image(&self, field: &str, relative: &str) -> Result<PathBuf, DatasetError> {
        contained(folder_of(self.path), relative).map_err(|source| DatasetError::ImagePath {
            path: self.path.to_owned(),
            line: self.line,
            field: field.to_owned(),
            source,
        })
    }

    /// A field's value; null counts as absent.
    fn get(&self, field: &str) -> Option<&Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    fn required(&self, field: &str) -> Result<&Value, DatasetError> {
        self.get(field).ok_or_else(|| DatasetError::MissingField {
            path: self.path.to_owned(),
            line: self.line,
            field: field.to_owned(),
            found: self.object.keys().cloned().collect(),
        })
    }

    fn wrong(&self, field: &str, found: &Value, wanted: &'static str) -> DatasetError {
        let found = match found {
            Value::Null => "null".to_owned(),
            Value::Array(items) if items.is_empty() => "an empty list".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
            Value::String(text) if text.trim().is_empty() => "a blank string".to_owned(),
            Value::String(_) => "a string".to_owned(),
            scalar => scalar.to_string(),
        };
        DatasetError::WrongValue {
            path: self.path.to_owned(),
            line: self.line,
            field: field.to_owned(),
            found,
            wanted,
        }
    }
}

/// Field names for a message.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "no fields".to_owned() } else { format!("the fields {}", names.join(", ")) }
}
