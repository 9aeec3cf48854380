//! A data set as files or streams of Arrow, Feather among them, read a batch of records at a time.
//!
//! In memory are the places of the batches, and those that were read last. Files are not trusted: what a batch says that
//! it takes is bounded before anything is made room for.

mod messages;
pub(crate) mod values;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arrow_array::RecordBatch;
use serde_json::{Map, Value};
use tempfile::TempPath;
use vigos_core::files::folder_of;
use vigos_layouts::{Reader, RowFields};
use vigos_recipe::row::BadRow;

use crate::error::DatasetError;
use crate::guard::guarded;
use crate::packing::unpacked;
use crate::reading::Reading;
use crate::row_result::RowResult;
use crate::stored::{RecordFields, Stored};
use messages::{ArrowFile, Batch};
use vigos_core::order::RowGroup;

/// What messages call it.
const KIND: &str = "Arrow";

/// Arrow files as one table.
#[derive(Debug)]
pub(crate) struct ArrowTable {
    files: Vec<TableFile>,
    groups: Vec<Group>,
    records: usize,
    reader: Reader,
    image_root: Option<PathBuf>,
    last: Mutex<Option<Decoded>>,
}

#[derive(Debug)]
struct TableFile {
    /// Its name in messages, and what image paths are relative to.
    path: PathBuf,
    opened: ArrowFile,
    /// What was unpacked, as long as it is needed.
    _unpacked: Option<TempPath>,
}

/// A batch, and where its records are in the table.
#[derive(Clone, Copy, Debug)]
struct Group {
    file: usize,
    batch: Batch,
    first: usize,
    records: usize,
}

/// The batch that was read last.
#[derive(Debug)]
struct Decoded {
    group: usize,
    batch: Result<RecordBatch, String>,
}

impl ArrowTable {
    /// Finds the batches of `files`, and of no more files than `limit` records need.
    pub(crate) fn open(
        files: &[PathBuf],
        fields: &RowFields,
        reading: Reading,
    ) -> Result<Self, DatasetError> {
        let limit = reading.limit.unwrap_or(usize::MAX);
        let reader = reading.reader(fields);
        let mut table = Self {
            files: Vec::new(),
            groups: Vec::new(),
            records: 0,
            image_root: reading.image_root.map(Path::to_owned),
            reader,
            last: Mutex::default(),
        };
        for path in files {
            if table.records >= limit {
                break;
            }
            let temporary = unpacked(path)?;
            let plain = temporary.as_deref().unwrap_or(path);
            let wanted = |name: &str| vigos_layouts::is_read(name, fields);
            let opened = guarded(|| ArrowFile::open(plain, wanted)).map_err(|reason| fault(path, reason))?;
            let file = table.files.len();
            for batch in opened.batches() {
                let records = batch.records.min(limit - table.records);
                if records > 0 {
                    table.groups.push(Group { file, batch: *batch, first: table.records, records });
                    table.records += records;
                }
            }
            table.files.push(TableFile { path: path.clone(), opened, _unpacked: temporary });
        }
        Ok(table)
    }

    /// The fields of record `index`, or why there are none, with where it stands and the folder of its file; nothing
    /// beyond the last.
    fn record(&self, index: usize) -> Option<(RecordFields, String, &Path)> {
        let place = self.groups.partition_point(|group| group.first <= index).checked_sub(1)?;
        let group = self.groups.get(place).filter(|group| index - group.first < group.records)?;
        let file = self.files.get(group.file)?;
        let at = index - group.first;
        let origin = format!("{}: batch {} row {at}", file.path.display(), group.batch.number);
        // Of several threads one reads at a time, so that one batch is in memory.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|decoded| decoded.group != place) {
            // Before decoding, so that the old and the new are never in memory together.
            *last = None;
            let batch = guarded(|| file.opened.read(&group.batch));
            *last = Some(Decoded { group: place, batch });
        }
        let batch = last.as_ref().map_or(Err("it was not read".to_owned()), |decoded| {
            decoded.batch.as_ref().map_err(Clone::clone)
        });
        let record = match batch {
            Ok(batch) => guarded(|| values::record(batch, at)),
            Err(reason) => Err(format!("it cannot be read as {KIND}: {reason}")),
        };
        let root = self.image_root.as_deref().unwrap_or_else(|| folder_of(&file.path));
        Some((record, origin, root))
    }
}

impl Stored for ArrowTable {
    fn records(&self) -> usize {
        self.records
    }

    fn rows(&self, index: usize) -> Result<Option<Vec<RowResult>>, DatasetError> {
        Ok(self.record(index).map(|(record, origin, root)| match record {
            Ok(record) => self.reader.rows(&record, &origin, index + 1, root),
            Err(reason) => vec![Err(BadRow::new(origin, &(index + 1).to_string(), &reason))],
        }))
    }

    fn groups(&self) -> Option<Vec<RowGroup>> {
        Some(
            self.groups
                .iter()
                .map(|group| RowGroup { rows: group.records, bytes: group.batch.bytes() })
                .collect(),
        )
    }

    fn fields(&self, index: usize) -> Result<Option<Map<String, Value>>, DatasetError> {
        let place = self.groups.partition_point(|group| group.first <= index).checked_sub(1);
        let file = place.and_then(|place| self.files.get(self.groups.get(place)?.file));
        // Names alone: what the cells of a picture hold is nobody's question.
        let named = |name: &str| (name.to_owned(), Value::Bool(true));
        Ok(file.map(|file| file.opened.names().map(named).collect()))
    }
}

fn fault(path: &Path, reason: String) -> DatasetError {
    DatasetError::Container { path: path.to_owned(), kind: KIND, reason }
}
