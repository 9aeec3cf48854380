//! A data set as Parquet files in the hub's layout, read a row group at a time.
//!
//! In memory are the files' footers and the row groups that were read last, up to [`CACHE_BYTES`] of them or
//! one. Files are not trusted: what a row group needs is known from the headers of its pages, and bounded,
//! before it is decoded.

mod cells;
mod columns;
mod delta;
mod pages;
mod varint;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};
use vigos_core::files::{self, FileError, folder_of};

use crate::arrow::values;
use crate::error::DatasetError;
use crate::guard;
use crate::packing::unpacked;
use crate::reading::Reading;
use crate::row_result::RowResult;
use crate::stored::Stored;
use columns::{Columns, is_laid_out, with_views};
use serde_json::{Map, Value};
use tempfile::TempPath;
use vigos_core::order::RowGroup;
use vigos_layouts::{Reader, RowFields, is_read};
use vigos_recipe::row::BadRow;

/// Memory for decoded row groups, in bytes.
pub(crate) const CACHE_BYTES: u64 = 256 << 20;
/// Row groups that are read in turns, in bytes: somewhat less, for a footer tells a size only roughly.
pub(crate) const WINDOW_BYTES: u64 = CACHE_BYTES / 4 * 3;
/// Most bytes of a row group's columns that are read, decompressed.
const MAX_GROUP_BYTES: u64 = 1 << 30;
/// Most rows of a row group; the default of common writers.
const MAX_GROUP_ROWS: u64 = 1 << 20;
/// Most values of a row group in one column, which images in lists have more of than there are rows.
const MAX_VALUES: u64 = 4 << 20;
/// Most bytes of a file's footer.
const MAX_FOOTER: u64 = 16 << 20;
/// Rows that are decoded in one go.
const BATCH: usize = 1024;

/// Parquet files as one table.
#[derive(Debug)]
pub(crate) struct Table {
    files: Vec<TableFile>,
    reader: Reader,
    /// What image paths are relative to, instead of their file's folder.
    image_root: Option<PathBuf>,
    groups: Vec<Group>,
    rows: usize,
    cache: Mutex<Cache>,
}

/// The row groups read last, the last one at the end.
type Cache = VecDeque<Decoded>;

#[derive(Debug)]
struct TableFile {
    /// Its name in messages, and what image paths are relative to.
    path: PathBuf,
    /// Where its bytes are, if it was compressed as a whole.
    unpacked: Option<TempPath>,
    metadata: ArrowReaderMetadata,
    /// The columns of a row; none where rows are read by a layout.
    columns: Option<Columns>,
    /// Places of the leaf columns that are read.
    leaves: Vec<usize>,
}

/// A row group, and where its rows are in the table.
#[derive(Clone, Copy, Debug)]
struct Group {
    file: usize,
    /// Its number in the file.
    number: usize,
    first_row: usize,
    /// The rows of the table that it has, fewer than it stores if the table is limited.
    rows: usize,
    /// The rows that it stores.
    stored: usize,
    /// What the footer says that its columns take, decompressed.
    bytes: u64,
}

#[derive(Debug)]
struct Decoded {
    /// Place in [`Table::groups`].
    group: usize,
    /// All of [`BATCH`] rows but the last; or what is wrong with the row group.
    batches: Result<Vec<RecordBatch>, String>,
    bytes: u64,
}

impl Table {
    /// Reads the footers of `files`, and of no more files than `limit` rows need.
    pub(crate) fn open(
        files: &[PathBuf],
        fields: &RowFields,
        reading: Reading,
    ) -> Result<Self, DatasetError> {
        let limit = reading.limit.unwrap_or(usize::MAX);
        let image_root = reading.image_root.map(Path::to_owned);
        let mut table = Self {
            files: Vec::new(),
            reader: reading.reader(fields),
            image_root,
            groups: Vec::new(),
            rows: 0,
            cache: Mutex::default(),
        };
        for path in files {
            if table.rows >= limit {
                break;
            }
            let file = guarded(path, || TableFile::open(path, &table.reader))?;
            for number in 0..file.metadata.metadata().num_row_groups() {
                let group = guarded(path, || file.group(number))?;
                let rows = group.stored.min(limit - table.rows);
                if rows > 0 {
                    let (file, first_row) = (table.files.len(), table.rows);
                    table.groups.push(Group { file, first_row, rows, ..group });
                    table.rows += rows;
                }
            }
            table.files.push(file);
        }
        Ok(table)
    }

    /// Does `with` with the decoded row `index` of the table: its file, its batch, its place there, and where it stands.
    /// Nothing beyond the end. The rows of a damaged row group are bad rows, each.
    fn with_row<T>(
        &self,
        index: usize,
        with: impl Fn(&TableFile, &RecordBatch, usize, &str) -> Result<T, BadRow>,
    ) -> Result<Option<Result<T, BadRow>>, DatasetError> {
        let place = self.groups.partition_point(|group| group.first_row <= index).checked_sub(1);
        let Some((place, group)) = place.and_then(|p| Some((p, *self.groups.get(p)?))) else {
            return Ok(None);
        };
        let at = index - group.first_row;
        if at >= group.rows {
            return Ok(None);
        }
        // Of several threads one reads at a time, so that no more is in memory than is set aside.
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        self.decode(&mut cache, place, group)?;
        let (Some(decoded), Some(file)) = (cache.back(), self.files.get(group.file)) else {
            return Ok(None);
        };
        let origin = format!("{}: row group {} row {at}", file.path.display(), group.number);
        let damaged = |reason: String| {
            let reason = format!("it cannot be read as Parquet: {reason}");
            Ok(Some(Err(BadRow::new(origin.clone(), &(index + 1).to_string(), &reason))))
        };
        let batch = match &decoded.batches {
            Ok(batches) => batches.get(at / BATCH),
            Err(reason) => return damaged(reason.clone()),
        };
        let Some(batch) = batch else { return Ok(None) };
        match guarded(&file.path, || Ok(with(file, batch, at % BATCH, &origin))) {
            Err(DatasetError::Parquet { reason, .. }) => damaged(reason),
            other => other.map(Some),
        }
    }

    /// Puts a row group at the end of the cache, and out of it what no longer fits.
    fn decode(&self, cache: &mut Cache, place: usize, group: Group) -> Result<(), DatasetError> {
        if cache.back().is_some_and(|decoded| decoded.group == place) {
            return Ok(());
        }
        if let Some(found) = cache.iter().position(|decoded| decoded.group == place) {
            let decoded = cache.remove(found);
            cache.extend(decoded);
            return Ok(());
        }
        let Some(file) = self.files.get(group.file) else { return Ok(()) };
        let kept = |cache: &Cache| cache.iter().map(|decoded| decoded.bytes).sum::<u64>();
        let bytes = match sound(guarded(&file.path, || file.promised(group.number)))? {
            Ok(bytes) => bytes,
            Err(reason) => {
                cache.push_back(Decoded { group: place, batches: Err(reason), bytes: 0 });
                return Ok(());
            }
        };
        // Before decoding, so that the old and the new are never in memory together.
        while !cache.is_empty() && kept(cache) + bytes > CACHE_BYTES {
            cache.pop_front();
        }
        let batches = sound(guarded(&file.path, || file.batches(&group)))?;
        let bytes = if batches.is_ok() { bytes } else { 0 };
        cache.push_back(Decoded { group: place, batches, bytes });
        Ok(())
    }
}

impl Stored for Table {
    fn records(&self) -> usize {
        self.rows
    }

    fn rows(&self, index: usize) -> Result<Option<Vec<RowResult>>, DatasetError> {
        let made = self.with_row(index, |file, batch, at, origin| {
            let folder = self.image_root.as_deref().unwrap_or_else(|| folder_of(&file.path));
            let number = index + 1;
            match &file.columns {
                Some(columns) => {
                    let row = cells::row(batch, at, columns, number, origin.to_owned(), folder)?;
                    let (origin, id) = (row.origin.clone(), row.id.clone());
                    let row =
                        self.reader.admitted(row).map_err(|reason| BadRow::new(origin, &id, &reason))?;
                    Ok(vec![Ok(row)])
                }
                None => match values::record(batch, at) {
                    Ok(record) => Ok(self.reader.rows(&record, origin, number, folder)),
                    Err(reason) => Err(BadRow::new(origin.to_owned(), &number.to_string(), &reason)),
                },
            }
        })?;
        Ok(made.map(|made| made.unwrap_or_else(|bad| vec![Err(bad)])))
    }

    fn groups(&self) -> Option<Vec<RowGroup>> {
        Some(self.groups.iter().map(|group| RowGroup { rows: group.rows, bytes: group.bytes }).collect())
    }

    fn fields(&self, index: usize) -> Result<Option<Map<String, Value>>, DatasetError> {
        // Names alone: what the cells of a picture hold is nobody's question.
        let found = self.with_row(index, |file, _, _, _| {
            let schema = file.metadata.schema();
            Ok(schema.fields().iter().map(|field| (field.name().clone(), Value::Bool(true))).collect())
        })?;
        Ok(found.and_then(Result::ok))
    }
}

impl TableFile {
    fn open(path: &Path, reader: &Reader) -> Result<Self, DatasetError> {
        let fault = |reason: String| DatasetError::Parquet { path: path.to_owned(), reason };
        let unpacked = unpacked(path)?;
        let mut file = open(unpacked.as_deref().unwrap_or(path))?;
        check_footer(&mut file).map_err(fault)?;
        // The schema is taken from the columns themselves: the copy of it that Arrow stores may differ.
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_page_index_policy(PageIndexPolicy::Skip);
        let plain = ArrowReaderMetadata::load(&file, options.clone()).map_err(|e| fault(e.to_string()))?;
        let schema = with_views(plain.schema());
        let metadata = ArrowReaderMetadata::try_new(plain.metadata().clone(), options.with_schema(schema))
            .map_err(|e| fault(e.to_string()))?;
        let names = metadata.schema().fields().iter().map(|field| field.name().as_str());
        let (columns, roots) = match &reader.fields {
            RowFields::Questions(fields) if !is_laid_out(names.clone(), reader) => {
                let columns = Columns::find(path, metadata.schema(), fields)?;
                let roots = columns.indices();
                (Some(columns), roots)
            }
            fields => {
                let read = names.enumerate().filter(|(_, name)| is_read(name, fields));
                (None, read.map(|(place, _)| place).collect())
            }
        };
        let schema = metadata.parquet_schema();
        let leaves =
            (0..schema.num_columns()).filter(|leaf| roots.contains(&schema.get_column_root_idx(*leaf)));
        let leaves = leaves.collect();
        let file = Self { path: path.to_owned(), unpacked, leaves, metadata, columns };
        file.check_codecs()?;
        Ok(file)
    }

    /// Where its bytes are.
    fn plain(&self) -> &Path {
        self.unpacked.as_deref().unwrap_or(&self.path)
    }

    /// Refuses pages that cannot be decompressed before a run has begun on those that can.
    fn check_codecs(&self) -> Result<(), DatasetError> {
        let columns = |group: &RowGroupMetaData| -> Vec<Compression> {
            self.leaves.iter().map(|leaf| group.column(*leaf).compression()).collect()
        };
        for codec in self.metadata.metadata().row_groups().iter().flat_map(columns) {
            match codec {
                Compression::UNCOMPRESSED
                | Compression::SNAPPY
                | Compression::GZIP(_)
                | Compression::ZSTD(_) => {}
                other => {
                    let name = other.to_string();
                    let codec = name.split('(').next().unwrap_or_default().to_owned();
                    return Err(DatasetError::Codec { path: self.path.clone(), codec });
                }
            }
        }
        Ok(())
    }

    /// A row group as the footer tells of it.
    fn group(&self, number: usize) -> Result<Group, DatasetError> {
        let metadata = self.metadata.metadata().row_group(number);
        let rows = u64::try_from(metadata.num_rows())
            .map_err(|_| self.fault(format!("row group {number} has {} rows", metadata.num_rows())))?;
        self.limited(number, "rows", rows, MAX_GROUP_ROWS)?;
        let sizes = self.leaves.iter().map(|leaf| metadata.column(*leaf).uncompressed_size());
        let bytes = sizes.fold(0, |sum: u64, size| sum.saturating_add(u64::try_from(size).unwrap_or(0)));
        self.limited(number, "bytes", bytes, MAX_GROUP_BYTES)?;
        let stored = usize::try_from(rows).unwrap_or_default();
        Ok(Group { file: 0, number, first_row: 0, rows: stored, stored, bytes })
    }

    /// The memory, in bytes, that a decoded row group takes at most, as its pages tell.
    fn promised(&self, number: usize) -> Result<u64, DatasetError> {
        /// A view is 16 bytes; levels of nesting and validity take less than so many more.
        const BYTES_PER_VALUE: u64 = 24;
        let metadata = self.metadata.metadata().row_group(number);
        let mut file = open(self.plain())?;
        let mut total = 0_u64;
        for leaf in &self.leaves {
            let (start, length) = metadata.column(*leaf).byte_range();
            let promise = pages::promised(&mut file, start, length)
                .map_err(|reason| self.fault(format!("row group {number}: {reason}")))?;
            self.limited(number, "values", promise.values, MAX_VALUES)?;
            total = total.saturating_add(promise.bytes.saturating_add(promise.values * BYTES_PER_VALUE));
            self.limited(number, "bytes", total, MAX_GROUP_BYTES)?;
            if promise.has_lengths {
                let rows = usize::try_from(metadata.num_rows()).unwrap_or_default();
                let more = delta::expanded(open(self.plain())?, metadata.column(*leaf), rows)
                    .map_err(|reason| self.fault(format!("row group {number}: {reason}")))?;
                total = total.saturating_add(more);
                self.limited(number, "bytes", total, MAX_GROUP_BYTES)?;
            }
        }
        Ok(total)
    }

    fn batches(&self, group: &Group) -> Result<Vec<RecordBatch>, DatasetError> {
        let fault = |reason: String| self.fault(format!("row group {}: {reason}", group.number));
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), self.leaves.iter().copied());
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(open(self.plain())?, self.metadata.clone())
                .with_projection(mask)
                .with_row_groups(vec![group.number])
                .with_batch_size(BATCH)
                .build()
                .map_err(|e| fault(e.to_string()))?;
        let batches = reader.collect::<Result<Vec<RecordBatch>, _>>().map_err(|e| fault(e.to_string()))?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let even = batches.iter().rev().skip(1).all(|batch| batch.num_rows() == BATCH);
        if rows != group.stored || !even {
            return Err(fault(format!("found {rows} rows, its footer says {}", group.stored)));
        }
        Ok(batches)
    }

    fn limited(&self, group: usize, unit: &'static str, found: u64, limit: u64) -> Result<(), DatasetError> {
        if found <= limit {
            return Ok(());
        }
        Err(DatasetError::LargeRowGroup { path: self.path.clone(), group, found, unit, limit })
    }

    fn fault(&self, reason: String) -> DatasetError {
        DatasetError::Parquet { path: self.path.clone(), reason }
    }
}

/// Tells damage, which costs the rows of a row group, from what ends a run.
fn sound<T>(result: Result<T, DatasetError>) -> Result<Result<T, String>, DatasetError> {
    match result {
        Err(DatasetError::Parquet { reason, .. }) => Ok(Err(reason)),
        other => other.map(Ok),
    }
}

/// Runs what calls the decoder, which on some damaged files panics where it should return an error.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, DatasetError>) -> Result<T, DatasetError> {
    let fault = |reason| DatasetError::Parquet { path: path.to_owned(), reason };
    guard::guarded(|| Ok(work())).map_err(fault)?
}

fn open(path: &Path) -> Result<File, DatasetError> {
    Ok(files::open(path).map_err(|e| FileError::io("open", path, e))?)
}

/// Checks the end of the file before the decoder reads the footer whole: its length, then the magic bytes.
fn check_footer(file: &mut File) -> Result<(), String> {
    const TAIL: u64 = 8;
    let size = file.metadata().map_err(|e| e.to_string())?.len();
    if size < TAIL {
        return Err(format!("the file has {size} bytes"));
    }
    let mut tail = [0; TAIL as usize];
    file.seek(SeekFrom::Start(size - TAIL))
        .and_then(|_| file.read_exact(&mut tail))
        .map_err(|e| e.to_string())?;
    let [a, b, c, d, magic @ ..] = tail;
    if &magic != b"PAR1" {
        return Err("it does not end as a Parquet file does; it may be cut off".into());
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if length > MAX_FOOTER.min(size - TAIL) {
        let most = MAX_FOOTER.min(size - TAIL);
        return Err(format!("its footer claims {length} bytes, at most {most} are taken"));
    }
    Ok(())
}
