//! A data set of questions about images or of demonstrations, whatever its format.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::archive::Archives;
use crate::arrow::ArrowTable;
use crate::error::{DatasetError, not_empty};
use crate::expanded::Expanded;
use crate::format::{self, Format};
use crate::generated::Generated;
use crate::parquet::{Table, WINDOW_BYTES};
use crate::reading::Reading;
use crate::records::{Held, Texts, read_rows};
use crate::stored::Stored;
use serde_json::{Map, Value};
use vigos_core::order::Order;
use vigos_layouts::RowFields;
use vigos_links::Links;
use vigos_recipe::Turns;
use vigos_recipe::row::{BadRow, ImageSource, Row, missing_file};

/// An open data set; it has at least one row.
///
/// Of JSON the places of the rows are in memory, of tables and compressed text the rows, of Parquet, Arrow and archives
/// what tells where rows are, and what was read last, up to a fixed number of bytes. Images stay where they are.
/// Generated rows are generated anew whenever they are loaded.
#[derive(Debug)]
pub struct Dataset {
    path: PathBuf,
    files: Vec<PathBuf>,
    format: String,
    source: Source,
    count: NonZeroUsize,
    links: Links,
}

#[derive(Debug)]
enum Source {
    Held(Held),
    Stored(Expanded),
    Generated(Generated),
}

impl Dataset {
    /// Opens what is at `path`: JSON Lines or a JSON array (`.jsonl`, `.json`), a table (`.csv`, `.tsv`), `.parquet`,
    /// `.arrow` or `.feather`, an archive (`.tar`), any of these compressed by gzip or Zstandard, or a folder of files of
    /// one of these kinds and of a single split. With `limit` only the first so many rows are used. The images need not
    /// be there yet, see [`Dataset::load`].
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
    /// `SPLIT-….parquet`, or with the ending of another format.
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
        if path.is_dir() {
            let (format, files) = format::of_folder(path, split)?;
            return Self::of_files(path, format, &files, &fields, reading);
        }
        let format = match Format::of(path) {
            Some(format) => format,
            // Demonstrations may be called as somebody likes.
            None if matches!(fields, RowFields::Demonstrations(_)) => Format::Text,
            None => return Err(DatasetError::Unsupported { path: path.to_owned() }),
        };
        match split {
            Some(wanted) => Err(DatasetError::Split {
                path: path.to_owned(),
                wanted: Some(wanted.to_owned()),
                found: Vec::new(),
            }),
            None => Self::of_files(path, format, &[path.to_owned()], &fields, reading),
        }
    }

    /// Opens these Parquet files as one data set, in this order. `path` stands for it in messages.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_parquet(
        path: &Path,
        files: &[PathBuf],
        fields: &RowFields,
        reading: Reading,
    ) -> Result<Self, DatasetError> {
        Self::of_files(path, Format::Parquet, files, fields, reading)
    }

    fn of_files(
        path: &Path,
        format: Format,
        files: &[PathBuf],
        fields: &RowFields,
        reading: Reading,
    ) -> Result<Self, DatasetError> {
        let (name, links) = (format::name(format, files), reading.links.cloned().unwrap_or_default());
        let stored: Box<dyn Stored> = match format {
            Format::Parquet => Box::new(Table::open(files, fields, reading)?),
            Format::Arrow => Box::new(ArrowTable::open(files, fields, reading)?),
            Format::Archive => Box::new(Archives::open(files, fields, reading)?),
            Format::Text => match read_rows(path, files, fields, reading)? {
                Texts::Held(held) => {
                    return Self::new(path, files, name, held.rows.len(), Source::Held(held), links);
                }
                Texts::Indexed(rows) => Box::new(rows),
            },
        };
        let expanded = match reading.turns {
            Turns::Each => Expanded::each(stored, reading.limit)?,
            Turns::Refuse | Turns::Last => Expanded::one(stored),
        };
        Self::new(path, files, name, expanded.rows(), Source::Stored(expanded), links)
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
        let source = Source::Generated(Generated::new(rows, generate));
        Self::new(path, &[], "generated".into(), rows, source, Links::default())
    }

    fn new(
        path: &Path,
        files: &[PathBuf],
        format: String,
        rows: usize,
        source: Source,
        links: Links,
    ) -> Result<Self, DatasetError> {
        let count = not_empty(path, rows)?;
        Ok(Self { path: path.to_owned(), files: files.to_vec(), format, source, count, links })
    }

    /// The files that its rows are read from, in their order; none of a data set that is generated.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What it was read as: `jsonl`, `json`, `csv`, `tsv`, `parquet`, `arrow` or `webdataset`, with `.gz` or `.zst` behind
    /// it where its first file is called so, or `generated`.
    pub fn format(&self) -> &str {
        &self.format
    }

    /// The number of rows.
    pub fn count(&self) -> NonZeroUsize {
        self.count
    }

    /// The shuffled order to read the rows in under the run's seed: over all rows, but friendly to row groups
    /// over Parquet and Arrow.
    pub fn order(&self, seed: u64) -> Order {
        match &self.source {
            Source::Held(_) | Source::Generated(_) => Order::new(seed, self.count),
            Source::Stored(stored) => match stored.groups() {
                Some(groups) => Order::of_row_groups(seed, &groups, WINDOW_BYTES),
                None => Order::new(seed, self.count),
            },
        }
    }

    /// Row `index`, counted from 0, files in the place of links; or why it cannot be used: its image files are not there,
    /// a picture cannot be fetched, its cells hold what they cannot, or its row group is damaged.
    ///
    /// # Errors
    /// [`DatasetError::NoSuchRow`], and for Parquet a file that cannot be opened or a row group that is too large.
    pub fn load(&self, index: usize) -> Result<Result<Row, BadRow>, DatasetError> {
        Ok(match self.read(index)? {
            Err(bad) => Err(bad),
            Ok(mut row) => {
                let fetched = row.images.iter_mut().try_for_each(|image| self.fetch(image));
                match fetched.err().or_else(|| missing_file(&row.images)) {
                    None => Ok(row),
                    Some(reason) => Err(BadRow::new(row.origin, &row.id, &reason)),
                }
            }
        })
    }

    /// Fetches what links of these rows lead to and is not there yet, several at a time; without links nothing is done.
    /// What fails is told when the row is loaded.
    ///
    /// # Errors
    /// As [`Dataset::load`].
    pub fn look_ahead(&self, rows: impl IntoIterator<Item = usize>) -> Result<(), DatasetError> {
        if self.links.are_none() {
            return Ok(());
        }
        let mut links = Vec::new();
        for index in rows {
            let images = self.read(index)?.map(|row| row.images).unwrap_or_default();
            links.extend(images.into_iter().filter_map(|image| match image {
                ImageSource::Link(link) => Some(link),
                _ => None,
            }));
        }
        self.links.look_ahead(&links);
        Ok(())
    }

    /// Puts the file with what it leads to in the place of a link, which is fetched if it is not there yet.
    ///
    /// # Errors
    /// Why there is none.
    pub fn fetch(&self, image: &mut ImageSource) -> Result<(), String> {
        if let ImageSource::Link(link) = image {
            *image = ImageSource::File(self.links.file(link)?);
        }
        Ok(())
    }

    /// The same as the data set has it: links as links, and whether its image files are there or not.
    ///
    /// # Errors
    /// As [`Dataset::load`].
    pub fn read(&self, index: usize) -> Result<Result<Row, BadRow>, DatasetError> {
        let rows = self.count.get();
        let row = match &self.source {
            Source::Held(held) => held.rows.get(index).cloned(),
            Source::Stored(stored) => stored.load(index)?,
            Source::Generated(rows) => rows.load(index),
        };
        row.ok_or_else(|| DatasetError::NoSuchRow { path: self.path.clone(), index, rows })
    }

    /// The fields that row `index` is read from, in their order, of some formats only their names: of tables and of text
    /// that is compressed those of the first row. None of a data set that is generated.
    ///
    /// # Errors
    /// As [`Dataset::load`].
    pub fn fields(&self, index: usize) -> Result<Option<Map<String, Value>>, DatasetError> {
        match &self.source {
            Source::Stored(stored) => stored.fields(index),
            Source::Held(held) => Ok(held.fields.clone()),
            Source::Generated(_) => Ok(None),
        }
    }
}
