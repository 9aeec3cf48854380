//! Checks the headers of a row group's pages before anything is decompressed.
//!
//! A page says how large it becomes, and the decoder believes it: a damaged or hostile file of a few bytes could
//! ask for gigabytes. The headers are small, so all of a row group's are read first and summed up. What they
//! promise bounds what the decoder allocates for encodings that store each value in full, once in a dictionary, or as
//! a number; of those that store lengths of texts instead it is only known that they are there.

use super::varint;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

// Encodings of values, by the numbers of <https://parquet.apache.org/docs/file-format/data-pages/encodings/>.
const PLAIN: i64 = 0;
const PLAIN_DICTIONARY: i64 = 2;
const RLE: i64 = 3;
const DELTA_BINARY_PACKED: i64 = 5;
const DELTA_LENGTH_BYTE_ARRAY: i64 = 6;
const DELTA_BYTE_ARRAY: i64 = 7;
const RLE_DICTIONARY: i64 = 8;
const BYTE_STREAM_SPLIT: i64 = 9;

// Types of fields in Thrift's compact encoding.
const I32: u8 = 5;
const STRUCT: u8 = 12;

/// Longest header of a page; its statistics may hold two values.
const MAX_HEADER: u64 = 1 << 20;
const USUAL_HEADER: u64 = 4 << 10;
const MAX_DEPTH: usize = 16;

/// What the pages of a column chunk promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Promise {
    /// Values, nulls and empty lists included.
    pub(super) values: u64,
    /// Bytes once decompressed.
    pub(super) bytes: u64,
    /// Whether a page stores lengths of texts, which says nothing of the memory that they take.
    pub(super) has_lengths: bool,
}

/// Sums up the headers of the pages in `length` bytes from `start` of `file`.
pub(super) fn promised(file: &mut File, start: u64, length: u64) -> Result<Promise, String> {
    let end = start.checked_add(length).ok_or("a column chunk ends beyond any file")?;
    let size = file.metadata().map_err(|e| e.to_string())?.len();
    if end > size {
        return Err(format!("a column chunk ends at byte {end}, the file has {size} bytes"));
    }
    let mut promise = Promise::default();
    let mut at = start;
    while at < end {
        let (header, header_length) = header_at(file, at, end).map_err(|fault| match fault {
            Fault::Short => format!("the page header at byte {at} does not end"),
            Fault::Wrong(what) => format!("the page header at byte {at} is damaged: {what}"),
            Fault::Unread(encoding) => {
                format!("the page at byte {at} has the encoding {encoding}, which is not read; write the file again")
            }
            Fault::Io(error) => error,
        })?;
        at += header_length + header.compressed;
        if at > end {
            return Err(format!("a page goes on to byte {at}, its column chunk ends at byte {end}"));
        }
        promise.values = promise.values.saturating_add(header.values);
        promise.bytes = promise.bytes.saturating_add(header.bytes);
        promise.has_lengths |= header.has_lengths;
    }
    Ok(promise)
}

/// A page's header, as far as it matters here.
#[derive(Default)]
struct Header {
    compressed: u64,
    bytes: u64,
    values: u64,
    has_lengths: bool,
}

enum Fault {
    /// The bytes end within the header.
    Short,
    Wrong(String),
    /// An encoding by its number.
    Unread(i64),
    Io(String),
}

/// The header at byte `at`, which ends before byte `end`, and its length.
fn header_at(file: &mut File, at: u64, end: u64) -> Result<(Header, u64), Fault> {
    let mut fault = Fault::Short;
    for most in [USUAL_HEADER, MAX_HEADER] {
        let mut bytes = Vec::new();
        let io = |e: std::io::Error| Fault::Io(e.to_string());
        file.seek(SeekFrom::Start(at)).map_err(io)?;
        file.by_ref().take(most.min(end - at)).read_to_end(&mut bytes).map_err(io)?;
        let mut cursor = Cursor { bytes: &bytes, at: 0 };
        match cursor.page_header() {
            Ok(header) => return Ok((header, cursor.at as u64)),
            Err(Fault::Short) => {}
            Err(other) => fault = other,
        }
        if !matches!(fault, Fault::Short) {
            break;
        }
    }
    Err(fault)
}

fn wrong_type(field: i16, wire: u8) -> Fault {
    Fault::Wrong(format!("its field {field} has the type {wire}"))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// `PageHeader`: 1 type, 2 uncompressed size, 3 compressed size, then one header per type of page.
    fn page_header(&mut self) -> Result<Header, Fault> {
        let mut header = Header::default();
        let (mut kind, mut data, mut dictionary, mut data_2) = (-1, None, None, None);
        let mut field = 0;
        while let Some((id, wire)) = self.field(field)? {
            field = id;
            match (id, wire) {
                (1, I32) => kind = self.integer()?,
                (2, I32) => header.bytes = self.size("uncompressed size")?,
                (3, I32) => header.compressed = self.size("compressed size")?,
                (5, STRUCT) => data = Some(self.values(2, &mut header.has_lengths)?),
                (7, STRUCT) => dictionary = Some(self.values(2, &mut false)?),
                (8, STRUCT) => data_2 = Some(self.values(4, &mut header.has_lengths)?),
                (1..=3 | 5 | 7 | 8, wire) => return Err(wrong_type(id, wire)),
                (_, wire) => self.skip(wire, 0)?,
            }
        }
        header.values = match (kind, data, dictionary, data_2) {
            (0, Some(values), None, None) | (3, None, None, Some(values)) => values,
            // Every value of a dictionary takes a byte at least; the decoder makes room for so many.
            (2, None, Some(values), None) if values <= header.bytes => 0,
            (2, None, Some(values), None) => {
                let bytes = header.bytes;
                return Err(Fault::Wrong(format!("a dictionary of {values} values in {bytes} bytes")));
            }
            // An index page, which is passed over.
            (1, None, None, None) => 0,
            _ => return Err(Fault::Wrong(format!("its type {kind} does not fit its content"))),
        };
        Ok(header)
    }

    /// The number of values of a data or dictionary page, whose encoding is in field `encoding`; of a page with lengths
    /// `has_lengths` is set.
    fn values(&mut self, encoding: i16, has_lengths: &mut bool) -> Result<u64, Fault> {
        let (mut values, mut field) = (0, 0);
        while let Some((id, wire)) = self.field(field)? {
            field = id;
            match (id, wire) {
                (1, I32) => values = self.size("number of values")?,
                (id, I32) if id == encoding => match self.integer()? {
                    PLAIN | PLAIN_DICTIONARY | RLE | RLE_DICTIONARY | DELTA_BINARY_PACKED
                    | BYTE_STREAM_SPLIT => {}
                    DELTA_LENGTH_BYTE_ARRAY | DELTA_BYTE_ARRAY => *has_lengths = true,
                    other => return Err(Fault::Unread(other)),
                },
                (id, wire) if id == 1 || id == encoding => return Err(wrong_type(id, wire)),
                (_, wire) => self.skip(wire, 0)?,
            }
        }
        Ok(values)
    }

    /// The next field's number and type, or nothing at the end of the struct.
    fn field(&mut self, before: i16) -> Result<Option<(i16, u8)>, Fault> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        let id = match i16::from(byte >> 4) {
            0 => i16::try_from(self.integer()?).ok(),
            step => before.checked_add(step),
        };
        Ok(Some((id.ok_or_else(|| Fault::Wrong("a field number is too large".into()))?, byte & 0x0f)))
    }

    fn skip(&mut self, wire: u8, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Wrong("it is nested too deeply".into()));
        }
        match wire {
            // True and false are in the type.
            1 | 2 => Ok(()),
            3 => self.advance(1),
            4..=6 => self.integer().map(|_| ()),
            7 => self.advance(8),
            8 => {
                let length = self.varint()?;
                self.advance(length)
            }
            9 | 10 => {
                let byte = self.byte()?;
                let length = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                // A list of truth values has a byte each.
                let wire = if matches!(byte & 0x0f, 1 | 2) { 3 } else { byte & 0x0f };
                (0..length).try_for_each(|_| self.skip(wire, depth + 1))
            }
            STRUCT => {
                let mut field = 0;
                while let Some((id, wire)) = self.field(field)? {
                    field = id;
                    self.skip(wire, depth + 1)?;
                }
                Ok(())
            }
            other => Err(Fault::Wrong(format!("it has a field of type {other}"))),
        }
    }

    /// A number of bytes or values: not negative.
    fn size(&mut self, what: &str) -> Result<u64, Fault> {
        let number = self.integer()?;
        u64::try_from(number).map_err(|_| Fault::Wrong(format!("its {what} is {number}")))
    }

    fn integer(&mut self) -> Result<i64, Fault> {
        Ok(varint::signed(self.varint()?))
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        varint::unsigned(|| self.byte())?.ok_or_else(|| Fault::Wrong("a number is too long".into()))
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = self.bytes.get(self.at).copied().ok_or(Fault::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn advance(&mut self, bytes: u64) -> Result<(), Fault> {
        let at = usize::try_from(bytes).ok().and_then(|n| self.at.checked_add(n)).ok_or(Fault::Short)?;
        if at > self.bytes.len() {
            return Err(Fault::Short);
        }
        self.at = at;
        Ok(())
    }
}
