//! Scalars as a TensorBoard event file.
//!
//! The file is a chain of records (length, checksum of the length, data, checksum of the data), each holding
//! one `Event` message. Of that message four fields are needed, so they are encoded here by hand.
//! A resumed run writes a file of its own beside the old one; TensorBoard reads both as one run and forgets
//! the steps of the old file that the new one repeats.
//!
//! ```
//! # fn main() -> Result<(), vigos_core::files::FileError> {
//! # let folder = tempfile::tempdir().map_err(|e| vigos_core::files::FileError::io("create", "x".as_ref(), e))?;
//! let mut board = vigos_tensorboard::TensorBoard::create(folder.path())?;
//! board.scalars(1, 0.0, [("loss", 0.5), ("lr", 1e-4)])?;
//! assert!(board.path().starts_with(folder.path()));
//! # Ok(())
//! # }
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use vigos_core::files::FileError;

/// What every event file says in its first event.
const FILE_VERSION: &str = "brain.Event:2";
/// More runs than this never start in one folder within one second.
const MAX_SAME_SECOND: u32 = 1000;

/// Field numbers of the messages, as the published `event.proto` and `summary.proto` number them.
mod field {
    pub(super) const WALL_TIME: u64 = 1;
    pub(super) const STEP: u64 = 2;
    pub(super) const FILE_VERSION: u64 = 3;
    pub(super) const SUMMARY: u64 = 5;
    pub(super) const SESSION_LOG: u64 = 7;
    pub(super) const SUMMARY_VALUE: u64 = 1;
    pub(super) const VALUE_TAG: u64 = 1;
    pub(super) const VALUE_SIMPLE: u64 = 2;
    pub(super) const SESSION_STATUS: u64 = 1;
}
/// The session status that makes TensorBoard drop older events from this step on.
const SESSION_START: u64 = 1;

/// An event file that is being written.
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    file: File,
    started: bool,
}

impl TensorBoard {
    /// Starts a new event file in `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// If the folder or the file cannot be made or written.
    pub fn create(folder: &Path) -> Result<Self, FileError> {
        fs::create_dir_all(folder).map_err(|e| FileError::io("create", folder, e))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (path, file) = create_new(folder, now.as_secs())?;
        let mut board = Self { path, file, started: false };
        let mut event = Message::default();
        event.double(field::WALL_TIME, now.as_secs_f64());
        event.bytes(field::FILE_VERSION, FILE_VERSION.as_bytes());
        board.append(&record(&event))?;
        Ok(board)
    }

    /// Appends the values of one step, each under its name; `wall_time` is in seconds since 1970.
    ///
    /// The values are in the file when this returns; they are kept as f32.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scalars<'a>(
        &mut self,
        step: u64,
        wall_time: f64,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<(), FileError> {
        let mut bytes = Vec::new();
        if !self.started {
            let mut session = Message::default();
            session.integer(field::SESSION_STATUS, SESSION_START);
            bytes.extend(record(&event(step, wall_time, field::SESSION_LOG, &session)));
        }
        let mut summary = Message::default();
        for (name, value) in values {
            let mut entry = Message::default();
            entry.bytes(field::VALUE_TAG, name.as_bytes());
            entry.float(field::VALUE_SIMPLE, value as f32);
            summary.bytes(field::SUMMARY_VALUE, &entry.0);
        }
        bytes.extend(record(&event(step, wall_time, field::SUMMARY, &summary)));
        self.append(&bytes)?;
        self.started = true;
        Ok(())
    }

    /// The file being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whole records in one write, so that a reader who looks in between seldom meets a part.
    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(|e| FileError::io("write", &self.path, e))
    }
}

/// A file of this second that did not exist; its name sorts behind those of earlier files.
fn create_new(folder: &Path, seconds: u64) -> Result<(PathBuf, File), FileError> {
    let mut attempt = 0;
    loop {
        let suffix = if attempt == 0 { String::new() } else { format!(".{attempt:03}") };
        let path = folder.join(format!("events.out.tfevents.{seconds}.vigos{suffix}"));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && attempt + 1 < MAX_SAME_SECOND => {
                attempt += 1;
            }
            Err(e) => return Err(FileError::io("create", &path, e)),
        }
    }
}

fn event(step: u64, wall_time: f64, what: u64, content: &Message) -> Message {
    let mut event = Message::default();
    event.double(field::WALL_TIME, wall_time);
    event.integer(field::STEP, step);
    event.bytes(what, &content.0);
    event
}

/// The message framed with its length and both checksums.
fn record(message: &Message) -> Vec<u8> {
    let data = &message.0;
    let length = (data.len() as u64).to_le_bytes();
    let mut bytes = Vec::with_capacity(data.len() + 16);
    bytes.extend(length);
    bytes.extend(masked(crc32c::crc32c(&length)).to_le_bytes());
    bytes.extend(data);
    bytes.extend(masked(crc32c::crc32c(data)).to_le_bytes());
    bytes
}

/// The record format rotates checksums and adds a constant, since a checksum of checksums is weak.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// A protocol buffer message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn integer(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    /// Seven bits a byte, lowest first; the top bit says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of a message as the wire has it.
    #[derive(Debug, PartialEq)]
    enum Wire<'a> {
        Varint(u64),
        Double(f64),
        Float(f32),
        Bytes(&'a [u8]),
    }

    /// CRC-32C bit by bit, independent of the crate that the writer uses.
    fn crc(data: &[u8]) -> u32 {
        !data.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0x82F6_3B78 } else { c >> 1 })
        })
    }

    /// The data of each record; every checksum must hold.
    fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
        let number = |b: &[u8]| u32::from_le_bytes(b.try_into().unwrap());
        // The inverse of the writer's mask.
        let unmask = |m: u32| m.wrapping_sub(0xA282_EAD8).rotate_left(15);
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            assert_eq!(unmask(number(&bytes[8..12])), crc(&bytes[..8]));
            let data = &bytes[12..12 + length];
            assert_eq!(unmask(number(&bytes[12 + length..16 + length])), crc(data));
            found.push(data);
            bytes = &bytes[16 + length..];
        }
        found
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    fn fields(mut bytes: &[u8]) -> Vec<(u64, Wire<'_>)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let mut take = |n: usize| {
                let (head, tail) = bytes.split_at(n);
                bytes = tail;
                head
            };
            let value = match key & 7 {
                0 => Wire::Varint(varint(&mut bytes)),
                1 => Wire::Double(f64::from_le_bytes(take(8).try_into().unwrap())),
                5 => Wire::Float(f32::from_le_bytes(take(4).try_into().unwrap())),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    let (head, tail) = bytes.split_at(length);
                    bytes = tail;
                    Wire::Bytes(head)
                }
                other => panic!("wire type {other}"),
            };
            found.push((key >> 3, value));
        }
        found
    }

    fn bytes_of<'a>(field: &(u64, Wire<'a>)) -> &'a [u8] {
        match field.1 {
            Wire::Bytes(bytes) => bytes,
            ref other => panic!("found {other:?}, wanted bytes"),
        }
    }

    #[test]
    fn a_file_holds_its_version_then_a_start_then_the_scalars_of_each_step() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::create(&folder.path().join("made/on/the/way")).unwrap();
        board.scalars(300, 1_700_000_000.25, [("loss/total", 1.5), ("größe", -2e-7)]).unwrap();
        board.scalars(u64::from(u32::MAX) + 7, 1_700_000_001.5, [("loss/total", f64::NAN)]).unwrap();

        let bytes = fs::read(board.path()).unwrap();
        let events: Vec<_> = records(&bytes).into_iter().map(fields).collect();
        assert_eq!(events.len(), 4);
        assert!(matches!(events[0][0], (1, Wire::Double(t)) if t > 1.6e9));
        assert_eq!(events[0][1], (3, Wire::Bytes(b"brain.Event:2")));
        assert_eq!(events[1][1], (2, Wire::Varint(300)));
        assert_eq!(fields(bytes_of(&events[1][2])), [(1, Wire::Varint(1))]);
        assert_eq!(events[1][2].0, 7);

        assert_eq!(events[2][0], (1, Wire::Double(1_700_000_000.25)));
        assert_eq!(events[2][1], (2, Wire::Varint(300)));
        assert_eq!(events[2][2].0, 5);
        let values: Vec<_> = fields(bytes_of(&events[2][2])).iter().map(|v| fields(bytes_of(v))).collect();
        assert_eq!(values[0], [(1, Wire::Bytes(b"loss/total")), (2, Wire::Float(1.5))]);
        assert_eq!(values[1], [(1, Wire::Bytes("größe".as_bytes())), (2, Wire::Float(-2e-7))]);

        assert_eq!(events[3][1], (2, Wire::Varint(4_294_967_302)));
        let value = fields(bytes_of(&fields(bytes_of(&events[3][2]))[0]));
        assert!(matches!(value[1], (2, Wire::Float(v)) if v.is_nan()));
    }

    #[test]
    fn a_resumed_run_gets_a_file_of_its_own_that_sorts_behind_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> =
            (0..12).map(|_| TensorBoard::create(folder.path()).unwrap().path().to_owned()).collect();
        let mut sorted = paths.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(paths, sorted);
        for path in paths {
            assert!(path.file_name().unwrap().to_str().unwrap().starts_with("events.out.tfevents."));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::write(&taken, b"a file").unwrap();
        let message = TensorBoard::create(&taken).unwrap_err().to_string();
        assert!(message.contains("taken"), "{message}");
    }
}
