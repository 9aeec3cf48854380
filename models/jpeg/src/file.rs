//! From one marker of a file to the next.

use crate::error::{JpegError, Result};
use crate::frame::{Frame, Markers};
use crate::scan::Scan;
use crate::tables::{Tables, number};

/// What has been read of a file.
pub(crate) struct File<'a> {
    rest: &'a [u8],
    tables: Tables,
    pub(crate) frame: Option<Frame>,
    pub(crate) color: Markers,
}

impl<'a> File<'a> {
    /// Reads the file to its end marker; its image must be of the size `announced`.
    pub(crate) fn read(bytes: &'a [u8], announced: (usize, usize)) -> Result<Self> {
        let mut file =
            Self { rest: bytes, tables: Tables::default(), frame: None, color: Markers::default() };
        file.segments(announced)?;
        Ok(file)
    }

    fn segments(&mut self, announced: (usize, usize)) -> Result<()> {
        loop {
            let marker = self.next_marker()?;
            if marker == 0xd9 {
                return Ok(());
            }
            if matches!(marker, 0x01 | 0xd0..=0xd8) {
                continue;
            }
            let segment = self.segment()?;
            match marker {
                0xdb => self.tables.read_quantization(segment)?,
                0xc4 => self.tables.read_huffman(segment)?,
                0xdd => self.tables.restart_interval = number(segment, 0)?,
                0xc0..=0xc2 if self.frame.is_none() => {
                    self.frame = Some(Frame::read(segment, marker == 0xc2, announced)?);
                }
                // A second frame, lossless and arithmetic coding.
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcf => {
                    return Err(JpegError::Unsupported("arithmetic or lossless coding, or a second frame"));
                }
                0xda => {
                    let frame = self
                        .frame
                        .as_mut()
                        .ok_or(JpegError::Damaged("a scan before the header of its frame"))?;
                    self.rest =
                        Scan::read(segment, frame, &self.tables)?.decode(self.rest, frame, &self.tables)?;
                }
                0xe0 if segment.starts_with(b"JFIF\0") => self.color.has_jfif = true,
                0xee if segment.starts_with(b"Adobe") => {
                    self.color.adobe_transform = segment.get(11).copied()
                }
                _ => {}
            }
        }
    }

    /// Skips whatever is no marker.
    fn next_marker(&mut self) -> Result<u8> {
        loop {
            let at = self.rest.iter().position(|byte| *byte == 0xff).ok_or(JpegError::Short("the file"))?;
            self.rest = &self.rest[at + 1..];
            match self.rest {
                [0x00, ..] => {}
                [0xff, ..] => {}
                [marker, after @ ..] => {
                    self.rest = after;
                    return Ok(*marker);
                }
                [] => return Err(JpegError::Short("the file")),
            }
        }
    }

    fn segment(&mut self) -> Result<&'a [u8]> {
        let length = number(self.rest, 0)?;
        let segment = self.rest.get(2..length).ok_or(JpegError::Short("a segment"))?;
        self.rest = &self.rest[length..];
        Ok(segment)
    }
}
