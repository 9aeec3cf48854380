//! What a file holds, told in a moment, however large it is: enough to notice that it is another one.
//!
//! It does not vouch for a file as a [manifest](crate::manifest) does: of a large one only blocks are read.

use crate::files::{self, FileError};
use sha2::{Digest, Sha256};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes of a block.
const BLOCK: u64 = 16 << 10;
/// Blocks that are read of a file; one with fewer is read whole.
const BLOCKS: u64 = 128;

/// The SHA-256 of the sizes and contents of files in their order, in lower-case hexadecimal. Of a file above 2 MiB only 128
/// blocks of 16 KiB are read: the first, the last, and others at equal distances.
///
/// # Errors
/// If a file cannot be read.
pub fn fingerprint<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<String, FileError> {
    let (mut hasher, mut block) = (Sha256::new(), Vec::new());
    for path in files {
        let failed = |e| FileError::io("read", path, e);
        let mut file = files::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        hasher.update(size.to_le_bytes());
        for start in starts(size) {
            block.clear();
            file.seek(SeekFrom::Start(start)).map_err(failed)?;
            file.by_ref().take(BLOCK).read_to_end(&mut block).map_err(failed)?;
            hasher.update(&block);
        }
    }
    Ok(hexadecimal(hasher))
}

/// The SHA-256 of a text, in lower-case hexadecimal.
pub fn digest(text: &str) -> String {
    hexadecimal(Sha256::new().chain_update(text))
}

fn hexadecimal(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the blocks begin that are read of a file of so many bytes.
fn starts(size: u64) -> impl Iterator<Item = u64> {
    let whole = size.div_ceil(BLOCK);
    let (distances, last) = (BLOCKS - 1, size.saturating_sub(BLOCK));
    (0..whole.min(BLOCKS)).map(move |i| match whole <= BLOCKS {
        true => i * BLOCK,
        false => last / distances * i + last % distances * i / distances,
    })
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, BLOCKS, fingerprint, starts};
    use std::fs;

    #[test]
    fn a_small_file_is_read_whole_and_of_a_large_one_first_and_last_block() {
        assert_eq!(starts(0).count(), 0);
        assert_eq!(starts(BLOCK + 1).collect::<Vec<_>>(), [0, BLOCK]);
        let large: Vec<u64> = starts(1 << 40).collect();
        assert_eq!((large[0], large[BLOCKS as usize - 1]), (0, (1 << 40) - BLOCK));
        assert!(large.windows(2).all(|pair| pair[0] + BLOCK <= pair[1]));
    }

    #[test]
    fn another_byte_and_another_length_are_told() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a");
        let mut told = Vec::new();
        for content in [&b""[..], b"a", b"b", b"a\0"] {
            fs::write(&path, content)?;
            told.push(fingerprint([path.as_path()])?);
        }
        let mut different = told.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), told.len());
        fs::write(&path, b"a")?;
        assert_eq!(fingerprint([path.as_path()])?, told[1]);
        Ok(())
    }
}
