//! What can be wrong with a whole data set.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use thiserror::Error;
use vigos_core::files::FileError;
use vigos_recipe::row::BadRow;

use vigos_layouts::{texts, way_out};

/// Why a data set could not be opened or read on.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// Not a kind of data set that is read.
    #[error(
        "unsupported data set {}: expected a .jsonl file or .json, .csv, .tsv, .parquet, .arrow, .feather or .tar (with .gz \
         or .zst too), or a folder of such files",
        path.display()
    )]
    Unsupported {
        /// What was named.
        path: PathBuf,
    },
    /// Nothing is at a path that would be a name of a scheme.
    #[error("there is no such data set as {}; if it is on the hub, name it `{hint}`", path.display())]
    BareName {
        /// What was named.
        path: PathBuf,
        /// What was probably meant.
        hint: String,
    },
    /// A file or folder could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file has no row, or was limited to none.
    #[error("{} has no rows to read; add rows, or raise the limit", path.display())]
    Empty {
        /// The data set.
        path: PathBuf,
    },
    /// A file is no text in UTF-8.
    #[error("{}: found {found}, wanted {wanted}", path.display())]
    NoText {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What is read, and what to do.
        wanted: &'static str,
    },
    /// A file of rows cannot be read on, in a way that is no single row's.
    #[error("{}:{line}: row {row}: {reason}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The row, counted from 1.
        row: usize,
        /// What was found and wanted.
        reason: String,
    },
    /// A row cannot be used, and none may be bad.
    #[error(
        "{} (id `{}`): {}; mend the row, or leave some out by data.max_bad_share", _0.origin, _0.id, _0.reason
    )]
    Row(BadRow),
    /// More rows cannot be used than may be, or none can.
    #[error(
        "{}: {bad} of {rows} rows cannot be used, more than data.max_bad_share = {share} allows or all; the first is {} \
         (id `{}`): {}", path.display(), first.origin, first.id, first.reason
    )]
    BadRows {
        /// The data set.
        path: PathBuf,
        /// Rows that cannot be used.
        bad: usize,
        /// All rows.
        rows: usize,
        /// What the recipe allows.
        share: f64,
        /// The first of them.
        first: BadRow,
    },
    /// The rows of a text file, which are all in memory, take too much of it.
    #[error("{}: {what} take more than {limit} bytes together; {advice}", path.display())]
    TooMuch {
        /// The data set.
        path: PathBuf,
        /// What takes too much.
        what: &'static str,
        /// The most bytes that are taken.
        limit: usize,
        /// What to do.
        advice: &'static str,
    },
    /// A folder has no file of rows.
    #[error(
        "{} has no file of rows (.parquet, .arrow, .tar, .jsonl, .csv, .json), nor has its folder data; name the folder \
         that holds the files",
        path.display()
    )]
    NoFiles {
        /// The folder.
        path: PathBuf,
    },
    /// The split asked for is not there, or there are several and none was asked for.
    #[error(
        "{}: {}; found {}; set data.split to one that is there",
        path.display(),
        wanted.as_ref().map_or("there are several splits".to_owned(), |w| format!("there is no split {w:?}")),
        listed("splits", found)
    )]
    Split {
        /// The data set.
        path: PathBuf,
        /// What was asked for.
        wanted: Option<String>,
        /// What the names of the files tell.
        found: Vec<String>,
    },
    /// A compressed file becomes far larger than data does.
    #[error(
        "{}: found {size} bytes that unpack to more than {most}, which no data does; unpack it by hand if it is meant so",
        path.display()
    )]
    Unpacks {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        size: u64,
        /// The most bytes that it may become.
        most: u64,
    },
    /// An Arrow file or an archive is damaged or has a feature that is not read.
    #[error("{}: cannot be read as {kind}: {reason}", path.display())]
    Container {
        /// The file.
        path: PathBuf,
        /// What it should be.
        kind: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// A Parquet file is damaged or has a feature that is not read.
    #[error("{}: cannot be read as Parquet: {reason}; fetch or write the file again", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A Parquet file is compressed as few are.
    #[error(
        "{}: its pages are compressed by {codec}; read are SNAPPY, GZIP, ZSTD and none at all; write the file again with \
         one of them, in Python pyarrow.parquet.write_table(table, path, compression=\"zstd\")",
        path.display()
    )]
    Codec {
        /// The file.
        path: PathBuf,
        /// The codec.
        codec: String,
    },
    /// A Parquet file lacks a column.
    #[error(
        "{}: no column {column:?}; found {}; {}",
        path.display(), listed("columns", found), way_out(column, found.iter().map(String::as_str))
    )]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column wanted.
        column: String,
        /// The columns found.
        found: Vec<String>,
    },
    /// A column has a type that it cannot.
    #[error("{}: column {column:?}: found {found}, wanted {wanted}", path.display())]
    WrongColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// The types that it may have.
        wanted: &'static str,
    },
    /// A row group does not fit into the memory set aside for one.
    #[error(
        "{}: row group {group} has {found} {unit}, at most {limit} are taken; write the file with smaller row \
         groups, 100 rows of images in each for example",
        path.display()
    )]
    LargeRowGroup {
        /// The file.
        path: PathBuf,
        /// The row group, counted from 0.
        group: usize,
        /// How much it has.
        found: u64,
        /// Of what: rows, values, bytes.
        unit: &'static str,
        /// The most that is taken.
        limit: u64,
    },
    /// A name begins with a scheme that was not registered.
    #[error(
        "{}: no data sets are known by the scheme {scheme:?}; found {}; name one of them, or a file or folder",
        path.display(), listed("schemes", known)
    )]
    UnknownScheme {
        /// What was named.
        path: PathBuf,
        /// What stands before its colon.
        scheme: String,
        /// The schemes that were registered.
        known: Vec<String>,
    },
    /// A setting that does not fit the data set that is named.
    #[error("{key}: found {found}, wanted {wanted}")]
    Setting {
        /// What was set, by its key.
        key: String,
        /// What it says.
        found: String,
        /// What would fit.
        wanted: String,
    },
    /// What the source of a scheme says.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What a recipe's key names is not to be had.
    #[error("{key}: {error}")]
    Named {
        /// The key.
        key: String,
        /// Why.
        #[source]
        error: Box<DatasetError>,
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

impl DatasetError {
    /// The same of what `key` names, if it is about the name; what is wrong within a data set says where.
    pub(crate) fn of(self, key: &str) -> Self {
        match self {
            Self::BareName { .. }
            | Self::UnknownScheme { .. }
            | Self::Source(_)
            | Self::Unsupported { .. } => Self::Named { key: key.to_owned(), error: Box::new(self) },
            other => other,
        }
    }

    /// Whether the user's input is at fault, rather than the machine or the network.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Source(error) => error.is_input,
            Self::Named { error, .. } => error.is_input(),
            _ => true,
        }
    }
}

/// An error of a registered source, which only that source knows.
#[derive(Debug)]
pub struct SourceError {
    error: Box<dyn Error + Send + Sync>,
    is_input: bool,
}

impl SourceError {
    /// `error`, which is the user's input's fault or not.
    pub fn new(error: impl Error + Send + Sync + 'static, is_input: bool) -> Self {
        Self { error: Box::new(error), is_input }
    }
}

impl Display for SourceError {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.error, out)
    }
}

impl Error for SourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Names for a message.
fn listed(what: &str, names: &[String]) -> String {
    texts::listed(what, names.iter().map(String::as_str))
}

/// The number of rows of the data set at `path`, if there are any.
pub(crate) fn not_empty(path: &Path, rows: usize) -> Result<NonZeroUsize, DatasetError> {
    NonZeroUsize::new(rows).ok_or_else(|| DatasetError::Empty { path: path.to_owned() })
}
