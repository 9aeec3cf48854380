//! The messages that Arrow's files and streams are made of: where they are, and what is in them.
//!
//! A file is a stream between two marks, so both are read by going from message to message.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vigos_core::files;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{read_dictionary, read_record_batch};
use arrow_ipc::{MessageHeader, MetadataVersion, root_as_message};
use arrow_schema::SchemaRef;

/// What files begin with; a stream begins with a message.
const MAGIC: &[u8] = b"ARROW1\0\0";
/// Most bytes between a file's mark and its first message.
const PADDING: u64 = 56;
/// What a message begins with, where its writer is not an old one.
const CONTINUATION: u32 = u32::MAX;
/// Most bytes of what a message says of itself.
const MAX_HEADER: u32 = 16 << 20;
/// Most bytes of a batch's columns, unpacked.
const MAX_BATCH: u64 = 1 << 30;
/// Most bytes of all dictionaries together.
const MAX_DICTIONARIES: u64 = 256 << 20;
/// Most records of a batch.
const MAX_RECORDS: i64 = 1 << 24;
/// Most messages of a file.
const MAX_MESSAGES: usize = 1 << 22;

/// An open file with its schema and the places of its batches.
#[derive(Debug)]
pub(super) struct ArrowFile {
    path: PathBuf,
    schema: SchemaRef,
    /// The columns that are read.
    columns: Vec<usize>,
    dictionaries: HashMap<i64, ArrayRef>,
    batches: Vec<Batch>,
}

/// Where a batch of records is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    /// Its number in the file, from 0 on.
    pub(super) number: usize,
    /// How many records it has.
    pub(super) records: usize,
    message: Message,
}

impl Batch {
    /// The bytes of its columns, as they are stored.
    pub(super) fn bytes(&self) -> u64 {
        self.message.body
    }
}

/// Where a message is.
#[derive(Clone, Copy, Debug)]
struct Message {
    /// Its first byte behind its length.
    start: u64,
    /// Bytes of what it says of itself.
    header: u32,
    /// Bytes of what follows.
    body: u64,
}

impl ArrowFile {
    /// Goes through the messages of the file; of its columns those are read that are `wanted` by their name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn open(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self, String> {
        let mut file = files::open(path).map_err(|e| e.to_string())?;
        let size = file.metadata().map_err(|e| e.to_string())?.len();
        let mut at = start(&mut file)?;
        let (mut schema, mut dictionaries, mut batches) = (None, HashMap::new(), Vec::new());
        let mut kept = 0;
        for _ in 0..MAX_MESSAGES {
            let Some(message) = message_at(&mut file, at, size)? else {
                let schema: SchemaRef = schema.ok_or("found no schema, wanted one before anything else")?;
                let columns = schema.fields().iter().enumerate().filter(|(_, field)| wanted(field.name()));
                let columns = columns.map(|(place, _)| place).collect();
                return Ok(Self { path: path.to_owned(), schema, columns, dictionaries, batches });
            };
            let header = message.read_header(&mut file)?;
            let said =
                root_as_message(&header).map_err(|e| format!("the message at byte {at} is damaged: {e}"))?;
            match (said.header_type(), &schema) {
                (MessageHeader::Schema, None) => {
                    let found = said.header_as_schema().ok_or("its schema is damaged")?;
                    schema = Some(Arc::new(try_fb_to_schema(found).map_err(|e| e.to_string())?));
                }
                (MessageHeader::Schema, Some(_)) => return Err("found two schemas, wanted one".into()),
                (MessageHeader::DictionaryBatch, Some(schema)) => {
                    let batch = said.header_as_dictionary_batch().ok_or("a dictionary is damaged")?;
                    let data = batch.data().ok_or("a dictionary has no values")?;
                    let body = message.read_body(&mut file)?;
                    kept += unpacked(&data, &body)?;
                    if kept > MAX_DICTIONARIES {
                        return Err(format!("its dictionaries take more than {MAX_DICTIONARIES} bytes"));
                    }
                    read_dictionary(&Buffer::from(body), batch, schema, &mut dictionaries, &said.version())
                        .map_err(|e| e.to_string())?;
                }
                (MessageHeader::RecordBatch, Some(_)) => {
                    let batch = said.header_as_record_batch().ok_or("a batch is damaged")?;
                    let number = batches.len();
                    let records = batch.length();
                    if !(0..=MAX_RECORDS).contains(&records) {
                        return Err(format!(
                            "batch {number} has {records} records, at most {MAX_RECORDS} are taken"
                        ));
                    }
                    batches.push(Batch { number, records: usize::try_from(records).unwrap_or(0), message });
                }
                (_, None) => return Err("found no schema, wanted one before anything else".into()),
                (other, Some(_)) => {
                    return Err(format!("found a message of type {other:?}, wanted batches of records"));
                }
            }
            at = message.end();
        }
        Err(format!("found more than {MAX_MESSAGES} messages, wanted fewer; write it with larger batches"))
    }

    /// The names of all columns.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }

    pub(super) fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// The records of a batch.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(&self, batch: &Batch) -> Result<RecordBatch, String> {
        let mut file = files::open(&self.path).map_err(|e| e.to_string())?;
        let header = batch.message.read_header(&mut file)?;
        let said = root_as_message(&header).map_err(|e| e.to_string())?;
        let stored = said.header_as_record_batch().ok_or("it is no batch of records any more")?;
        let body = batch.message.read_body(&mut file)?;
        unpacked(&stored, &body)?;
        let version: MetadataVersion = said.version();
        let schema = self.schema.clone();
        read_record_batch(
            &Buffer::from(body),
            stored,
            schema,
            &self.dictionaries,
            Some(&self.columns),
            &version,
        )
        .map_err(|e| e.to_string())
    }
}

impl Message {
    fn end(&self) -> u64 {
        self.start + u64::from(self.header) + self.body
    }

    fn read_header(&self, file: &mut File) -> Result<Vec<u8>, String> {
        read(file, self.start, u64::from(self.header))
    }

    fn read_body(&self, file: &mut File) -> Result<Vec<u8>, String> {
        if self.body > MAX_BATCH {
            return Err(format!(
                "a batch has {} bytes, at most {MAX_BATCH} are taken; write it with fewer records in a batch",
                self.body
            ));
        }
        read(file, self.start + u64::from(self.header), self.body)
    }
}

/// The byte that the first message begins at.
fn start(file: &mut File) -> Result<u64, String> {
    let mut first = [0; 8];
    file.read_exact(&mut first).map_err(|_| "the file is cut off".to_owned())?;
    match &first {
        magic if magic.as_slice() == MAGIC => {
            // Some writers go on at the next multiple of a line of the processor's cache.
            let mut padding = Vec::new();
            file.take(PADDING).read_to_end(&mut padding).map_err(|e| e.to_string())?;
            let zeros = padding.iter().take_while(|byte| **byte == 0).count() as u64;
            Ok(8 + zeros / 8 * 8)
        }
        [b'F', b'E', b'A', b'1', ..] => {
            Err("found Feather's first version, wanted its second; in Python pyarrow.feather.write_feather(table, path)".into())
        }
        [0xff, 0xff, 0xff, 0xff, ..] => Ok(0),
        _ => Err("it does not begin as Arrow's files and streams do".into()),
    }
}

/// The message at byte `at` of a file of `size` bytes; none at its end.
fn message_at(file: &mut File, at: u64, size: u64) -> Result<Option<Message>, String> {
    if at == size {
        return Ok(None);
    }
    let cut = || format!("the message at byte {at} does not end; the file may be cut off");
    let word = |file: &mut File, at: u64| -> Result<u32, String> {
        let bytes = read(file, at, 4).map_err(|_| cut())?;
        Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| cut())?))
    };
    let (start, header) = match word(file, at)? {
        CONTINUATION => (at + 8, word(file, at + 4)?),
        length => (at + 4, length),
    };
    if header == 0 {
        return Ok(None);
    }
    if header > MAX_HEADER || start + u64::from(header) > size {
        return Err(cut());
    }
    let mut message = Message { start, header, body: 0 };
    let said = message.read_header(file)?;
    let said = root_as_message(&said).map_err(|e| format!("the message at byte {at} is damaged: {e}"))?;
    message.body = u64::try_from(said.bodyLength()).map_err(|_| cut())?;
    match start.checked_add(u64::from(header)).and_then(|end| end.checked_add(message.body)) {
        Some(end) if end <= size => Ok(Some(message)),
        _ => Err(cut()),
    }
}

/// The bytes that the buffers of a batch take together once they are unpacked, each as its first eight bytes say.
fn unpacked(batch: &arrow_ipc::RecordBatch, body: &[u8]) -> Result<u64, String> {
    let is_packed = batch.compression().is_some();
    let mut sum = 0_u64;
    for buffer in batch.buffers().iter().flat_map(|buffers| buffers.iter()) {
        let place = || Some((usize::try_from(buffer.offset()).ok()?, usize::try_from(buffer.length()).ok()?));
        let (start, length) = place().ok_or("a buffer has no place in its batch")?;
        let bytes = start.checked_add(length).and_then(|end| body.get(start..end));
        let bytes = bytes.ok_or("a buffer lies beyond its batch")?;
        let becomes = match bytes.first_chunk() {
            Some(first) if is_packed => u64::try_from(i64::from_le_bytes(*first)).unwrap_or(length as u64),
            _ => length as u64,
        };
        sum = sum.saturating_add(becomes);
    }
    match sum {
        0..=MAX_BATCH => Ok(sum),
        more => Err(format!(
            "a batch takes {more} bytes, at most {MAX_BATCH} are taken; write it with fewer records in a batch"
        )),
    }
}

/// `length` bytes from `at` on; the caller knows that there are so many, or that there is an error.
fn read(file: &mut File, at: u64, length: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))
        .and_then(|_| file.take(length).read_to_end(&mut bytes))
        .map_err(|e| e.to_string())?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err("the file ends before it should".into()),
    }
}
