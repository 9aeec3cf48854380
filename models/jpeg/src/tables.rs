//! Tables between the scans of a file, and the order of what they describe.

use crate::entropy::HuffmanTable;
use crate::error::{JpegError, Result};

/// Tables as they stand; a file may replace them between scans.
#[derive(Default)]
pub(crate) struct Tables {
    /// In natural order, not zigzag.
    pub(crate) quantization: [Option<[u16; 64]>; 4],
    pub(crate) dc: [Option<HuffmanTable>; 4],
    pub(crate) ac: [Option<HuffmanTable>; 4],
    /// Blocks or groups of blocks between two restarts; 0 for none.
    pub(crate) restart_interval: usize,
}

/// Where the coefficients of a file's zigzag order belong.
pub(crate) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

impl Tables {
    pub(crate) fn read_quantization(&mut self, mut segment: &[u8]) -> Result<()> {
        while let [head, values @ ..] = segment {
            let is_wide = head >> 4 != 0;
            let slot = self
                .quantization
                .get_mut(usize::from(head & 15))
                .ok_or(JpegError::Damaged("a quantization table beyond the fourth"))?;
            let size = if is_wide { 128 } else { 64 };
            let (values, after) =
                values.split_at_checked(size).ok_or(JpegError::Short("a quantization table"))?;
            let mut table = [0; 64];
            for (index, place) in ZIGZAG.into_iter().enumerate() {
                table[usize::from(place)] =
                    if is_wide { number(values, 2 * index)? as u16 } else { u16::from(values[index]) };
            }
            *slot = Some(table);
            segment = after;
        }
        Ok(())
    }

    pub(crate) fn read_huffman(&mut self, mut segment: &[u8]) -> Result<()> {
        while let [head, after @ ..] = segment {
            let is_dc = head >> 4 == 0;
            let tables = if is_dc { &mut self.dc } else { &mut self.ac };
            let slot = tables
                .get_mut(usize::from(head & 15))
                .ok_or(JpegError::Damaged("a Huffman table beyond the fourth"))?;
            let (counts, after) =
                after.split_first_chunk::<16>().ok_or(JpegError::Short("a Huffman table"))?;
            let total = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, after) =
                after.split_at_checked(total).ok_or(JpegError::Short("a Huffman table"))?;
            // The symbol is the number of bits that follow.
            if is_dc && symbols.iter().any(|symbol| *symbol > 15) {
                return Err(JpegError::Damaged("a difference of more than 15 bits"));
            }
            *slot = Some(HuffmanTable::new(counts, symbols)?);
            segment = after;
        }
        Ok(())
    }
}

/// The two bytes at `at` as a number.
pub(crate) fn number(bytes: &[u8], at: usize) -> Result<usize> {
    let pair = bytes.get(at..at + 2).ok_or(JpegError::Short("a number of a segment"))?;
    Ok(usize::from(pair[0]) << 8 | usize::from(pair[1]))
}
