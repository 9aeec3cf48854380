//! A data set of questions about images or of demonstrations, whatever its format.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::error::{DatasetError, not_empty};
use crate::fields::RowFields;
use crate::generated::Generated;
use crate::order::{Order, RowGroup};
use crate::parquet::{Table, WINDOW_BYTES, files};
use crate::reading::Reading;
use crate::records::{self, RowResult, read_rows};
use vigos_recipe::Fields;
use vigos_recipe::row::{BadRow, Row, missing_file};

/// An open data set; it has at least one row.
///
/// Of a text file all rows are in memory and their images on disk. Of Parquet only the footers are in memory,
/// and the row groups that were read last, up to a fixed number of bytes. Generated rows are generated anew whenever
/// they are loaded.
#[derive(Debug)]
pub struct Dataset {
    path: PathBuf,
    source: Source,
    count: NonZeroUsize,
}

#[derive(Debug)]
enum Source {
    Text(Vec<RowResult>),
    Parquet(Table),
    Generated(Generated),
}

impl Dataset {
    /// Opens what is at `path`: JSON Lines or a JSON array (`.jsonl`, `.json`), a table (`.csv`, `.tsv`), these
    /// compressed by gzip too, a `.parquet` file, or a folder of Parquet files of a single split; demonstrations are in
    /// a text file, whatever it is called. With `limit` only the first so many rows are used. The images need not be
    /// there yet, see [`Dataset::load`].
    ///
    /// ```
    /// use std::path::Path;
    /// use vigos_data::{Dataset, Fields};
    ///
    /// let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/easy-vqa/train.jsonl");
    /// let set = Dataset::open(&path, &Fields::default(), Some(10))?;
    /// assert_eq!(set.count().get(), 10);
    /// // The samples of a run come in an order of their own, which is the same for the same seed.
    /// let (_, row) = set.order(42).at(0);
    /// println!("{}", set.load(row)?.expect("a row that can be used").problem);
    /// # Ok::<(), vigos_data::DatasetError>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError`]; of a text file the first row that is wrong is named.
    pub fn open(
        path: &Path,
        fields: impl Into<RowFields>,
        limit: Option<usize>,
    ) -> Result<Self, DatasetError> {
        Self::open_with(path, None, fields, Reading { limit, ..Reading::default() })
    }

    /// The same with more to say of how; `split` is one of a folder: the files called `SPLIT.parquet` or
    /// `SPLIT-….parquet`.
    ///
    /// # Errors
    /// As [`Dataset::open`], and [`DatasetError::Split`] if there is no such split or nothing to choose from. Of a text
    /// file with more bad rows than may be [`DatasetError::BadRows`].
    pub fn open_with(
        path: &Path,
        split: Option<&str>,
        fields: impl Into<RowFields>,
        reading: Reading,
    ) -> Result<Self, DatasetError> {
        let fields = fields.into();
        let no_split = |wanted: &str| DatasetError::Split {
            path: path.to_owned(),
            wanted: Some(wanted.to_owned()),
            found: Vec::new(),
        };
        let names = match (&fields, split) {
            (RowFields::Questions(names), _) => names,
            (RowFields::Demonstrations(_), None) => return Self::open_text(path, &fields, reading),
            (RowFields::Demonstrations(_), Some(split)) => return Err(no_split(split)),
        };
        if path.is_dir() {
            return Self::open_parquet(path, files::of_folder(path, split)?, names, reading);
        }
        let is_parquet =
            path.extension().and_then(OsStr::to_str).is_some_and(|e| e.eq_ignore_ascii_case("parquet"));
        match (records::is_text(path), is_parquet, split) {
            (false, false, _) => Err(DatasetError::Unsupported { path: path.to_owned() }),
            (_, _, Some(split)) => Err(no_split(split)),
            (true, ..) => Self::open_text(path, &fields, reading),
            (_, true, _) => Self::open_parquet(path, vec![path.to_owned()], names, reading),
        }
    }

    fn open_text(path: &Path, fields: &RowFields, reading: Reading) -> Result<Self, DatasetError> {
        let rows = read_rows(path, fields, reading)?;
        Self::new(path, rows.len(), Source::Text(rows))
    }

    /// Opens these Parquet files as one data set of questions, in this order. `path` stands for it in messages.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_parquet(
        path: &Path,
        files: Vec<PathBuf>,
        fields: &Fields,
        reading: Reading,
    ) -> Result<Self, DatasetError> {
        let table = Table::open(files, fields, reading)?;
        Self::new(path, table.rows(), Source::Parquet(table))
    }

    /// A data set of `rows` rows that are generated when they are loaded: `generate` gives the same row for the same
    /// index every time. `path` stands for it in messages.
    ///
    /// # Errors
    /// [`DatasetError::Empty`].
    pub fn generated(
        path: &Path,
        rows: usize,
        generate: impl Fn(usize) -> Result<Row, BadRow> + Send + Sync + 'static,
    ) -> Result<Self, DatasetError> {
        Self::new(path, rows, Source::Generated(Generated::new(rows, generate)))
    }

    fn new(path: &Path, rows: usize, source: Source) -> Result<Self, DatasetError> {
        Ok(Self { count: not_empty(path, rows)?, path: path.to_owned(), source })
    }

    /// The number of rows.
    pub fn count(&self) -> NonZeroUsize {
        self.count
    }

    /// The shuffled order to read the rows in under the run's seed: over all rows, but friendly to row groups
    /// over Parquet.
    pub fn order(&self, seed: u64) -> Order {
        match &self.source {
            Source::Text(_) | Source::Generated(_) => Order::new(seed, self.count),
            Source::Parquet(table) => {
                let groups: Vec<RowGroup> = table.groups().collect();
                Order::of_row_groups(seed, &groups, WINDOW_BYTES)
            }
        }
    }

    /// Row `index`, counted from 0; or why it cannot be used: its image files are not there, its cells hold what
    /// they cannot, or its row group is damaged.
    ///
    /// # Errors
    /// [`DatasetError::NoSuchRow`], and for Parquet a file that cannot be opened or a row group that is too large.
    pub fn load(&self, index: usize) -> Result<Result<Row, BadRow>, DatasetError> {
        let rows = self.count.get();
        let row = match &self.source {
            Source::Text(rows) => rows.get(index).cloned(),
            Source::Parquet(table) => table.load(index)?,
            Source::Generated(rows) => rows.load(index),
        };
        match row {
            None => Err(DatasetError::NoSuchRow { path: self.path.clone(), index, rows }),
            Some(Err(bad)) => Ok(Err(bad)),
            Some(Ok(row)) => Ok(match missing_file(&row.images) {
                None => Ok(row),
                Some(reason) => Err(BadRow::new(row.origin, &row.id, &reason)),
            }),
        }
    }
}
