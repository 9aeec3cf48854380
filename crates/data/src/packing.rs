//! How files are compressed as a whole: gzip or Zstandard, told by their first bytes.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tempfile::{NamedTempFile, TempPath};
use vigos_core::files::{self, FileError};

use crate::error::DatasetError;

/// Bytes that a file may always unpack to.
const ALWAYS: u64 = 1 << 30;
/// Times its own size that a larger one may unpack to: more than rows or pictures come to, far less than what is packed
/// to fill a disk.
const MOST_TIMES: u64 = 100;
/// Bits of the window that Zstandard looks back into: 128 MB, as its own command takes without being asked.
const WINDOW_BITS: u32 = 27;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Zstandard,
}

impl Packing {
    /// How a file that begins with these bytes is compressed, if it is.
    pub(crate) fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstandard),
            _ => None,
        }
    }

    /// What it unpacks to.
    pub(crate) fn unpacked(self, packed: impl BufRead + 'static) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(packed)),
            Self::Zstandard => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.window_log_max(WINDOW_BITS)?;
                Box::new(decoder)
            }
        })
    }
}

/// The file at `path` unpacked into a temporary one, if it is packed: formats that are read here and there need it plain.
///
/// # Errors
/// If it cannot be read or unpacked, or is packed to become far larger than data does.
pub(crate) fn unpacked(path: &Path) -> Result<Option<TempPath>, DatasetError> {
    unpacked_to(path, ALWAYS)
}

/// The same; `always` is how large it may become however small it is.
fn unpacked_to(path: &Path, always: u64) -> Result<Option<TempPath>, DatasetError> {
    let failed = |action| move |e| DatasetError::from(FileError::io(action, path, e));
    let file = files::open(path).map_err(failed("open"))?;
    let size = file.metadata().map_err(failed("read"))?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let Some(packing) = Packing::of(reader.fill_buf().map_err(failed("read"))?) else { return Ok(None) };
    let most = size.saturating_mul(MOST_TIMES).max(always);
    let mut plain = packing.unpacked(reader).map_err(failed("unpack"))?.take(most.saturating_add(1));
    let temporary = NamedTempFile::new().map_err(failed("make room to unpack"))?;
    let mut writer = BufWriter::new(temporary);
    let written = io::copy(&mut plain, &mut writer).map_err(failed("unpack"))?;
    if written > most {
        return Err(DatasetError::Unpacks { path: path.to_owned(), size, most });
    }
    writer.flush().map_err(failed("unpack"))?;
    let temporary = writer.into_inner().map_err(|e| failed("unpack")(e.into_error()))?;
    Ok(Some(temporary.into_temp_path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_unpacks_to_far_more_than_data_does_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.tar.zst");
        for (name, packed) in [
            ("zst", zstd::encode_all(&vec![0; 1 << 20][..], 1).unwrap()),
            ("gz", {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                encoder.write_all(&vec![0; 1 << 20]).unwrap();
                encoder.finish().unwrap()
            }),
        ] {
            std::fs::write(&path, packed).unwrap();
            let error = unpacked_to(&path, 1000).unwrap_err().to_string();
            assert!(
                error.contains("unpack to more than") && error.contains("set.tar.zst"),
                "{name}: {error}"
            );
            let whole = unpacked_to(&path, 1 << 20).unwrap().unwrap();
            assert_eq!(std::fs::metadata(&whole).unwrap().len(), 1 << 20, "{name}");
        }
        std::fs::write(&path, "plain").unwrap();
        assert!(unpacked_to(&path, 1000).unwrap().is_none());
    }
}
