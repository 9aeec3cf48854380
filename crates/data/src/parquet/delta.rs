//! How much memory the delta encodings of texts and bytes ask for, told before they are decoded.
//!
//! Their pages state lengths instead of values: how many there are and, in DELTA_BYTE_ARRAY, how much of its
//! predecessor each value repeats. A page of a megabyte can so become a terabyte. The lengths alone are small and are
//! summed up here; the decoder does the rest.

use std::fs::File;
use std::sync::Arc;

use super::varint;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

/// Bytes that the values of a column chunk's delta pages take beyond the pages themselves.
pub(super) fn expanded(file: File, column: &ColumnChunkMetaData, rows: usize) -> Result<u64, String> {
    let mut pages =
        SerializedPageReader::new(Arc::new(file), column, rows, None).map_err(|e| e.to_string())?;
    let mut bytes = 0_u64;
    while let Some(page) = pages.get_next_page().map_err(|e| e.to_string())? {
        let encoding = page.encoding();
        if !matches!(encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) {
            continue;
        }
        let most = page.num_values() as usize;
        let mut values = Lengths { data: values_of(&page, column)? };
        // The decoder makes room for as many lengths as the page claims.
        let first = values.next(most)?;
        if encoding == Encoding::DELTA_BYTE_ARRAY {
            let second = values.next(most)?;
            bytes = bytes.saturating_add(repeated(&first, &second)?);
        }
    }
    Ok(bytes)
}

/// The part of a page behind its levels.
fn values_of<'a>(page: &'a Page, column: &ColumnChunkMetaData) -> Result<&'a [u8], String> {
    let short = || "a page ends within its levels".to_owned();
    let mut data: &[u8] = page.buffer();
    match page {
        Page::DataPageV2 { rep_levels_byte_len, def_levels_byte_len, .. } => {
            let levels = u64::from(*rep_levels_byte_len) + u64::from(*def_levels_byte_len);
            data.get(levels as usize..).ok_or_else(short)
        }
        _ => {
            let descriptor = column.column_descr();
            for most in [descriptor.max_rep_level(), descriptor.max_def_level()] {
                if most > 0 {
                    let length = u32::from_le_bytes(*data.first_chunk().ok_or_else(short)?) as usize;
                    data = data.get(length.saturating_add(4)..).ok_or_else(short)?;
                }
            }
            Ok(data)
        }
    }
}

/// The bytes of all values that repeat `prefixes` of their predecessors and go on for `suffixes`.
fn repeated(prefixes: &[i32], suffixes: &[i32]) -> Result<u64, String> {
    let (mut last, mut bytes) = (0_u64, 0_u64);
    for (prefix, suffix) in prefixes.iter().zip(suffixes) {
        let (Ok(prefix), Ok(suffix)) = (u64::try_from(*prefix), u64::try_from(*suffix)) else {
            return Err("a page has a negative length".into());
        };
        if prefix > last {
            return Err("a value repeats more than its predecessor has".into());
        }
        last = prefix + suffix;
        bytes = bytes.saturating_add(last);
    }
    Ok(bytes)
}

/// Blocks of lengths in DELTA_BINARY_PACKED.
struct Lengths<'a> {
    data: &'a [u8],
}

impl<'a> Lengths<'a> {
    /// The next block of lengths, at most so many.
    fn next(&mut self, most: usize) -> Result<Vec<i32>, String> {
        let (block, parts, count) = (self.size()?, self.size()?, self.size()?);
        let first = self.signed()?;
        if count > most {
            return Err(format!("a page claims {count} lengths for {most} values"));
        }
        // The bounds of the format; larger blocks are padded to sizes that no page has.
        let part = block.checked_div(parts).unwrap_or(0);
        if part == 0 || !part.is_multiple_of(32) || block > 1 << 20 || part * parts != block {
            return Err(format!("a page has blocks of {block} lengths in {parts} parts"));
        }
        let mut lengths = Vec::new();
        if count > 0 {
            lengths.push(first as i32);
        }
        let mut last = first as i32;
        while lengths.len() < count {
            let least = self.signed()? as i32;
            let widths = self.take(parts)?;
            for width in widths {
                let left = count - lengths.len();
                if left == 0 {
                    break;
                }
                let bits = usize::from(*width);
                if bits > 32 {
                    return Err(format!("a length has {bits} bits"));
                }
                let packed = self.take(bits * part / 8)?;
                for number in 0..left.min(part) {
                    last = last.wrapping_add(least).wrapping_add(unpacked(packed, number * bits, bits));
                    lengths.push(last);
                }
            }
        }
        Ok(lengths)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.data.split_at_checked(bytes).ok_or("a page ends within its lengths")?;
        self.data = rest;
        Ok(taken)
    }

    fn size(&mut self) -> Result<usize, String> {
        usize::try_from(self.number()?).map_err(|_| "a page has a number that is too large".to_owned())
    }

    fn signed(&mut self) -> Result<i64, String> {
        Ok(varint::signed(self.number()?))
    }

    fn number(&mut self) -> Result<u64, String> {
        varint::unsigned(|| self.take(1).map(|byte| byte[0]))?
            .ok_or_else(|| "a page has a number that is too long".into())
    }
}

/// The number of `bits` bits from bit `at` on, the lowest bits first.
fn unpacked(packed: &[u8], at: usize, bits: usize) -> i32 {
    let mut value = 0_u64;
    let first = at / 8;
    for (place, byte) in packed.iter().skip(first).take(5).enumerate() {
        value |= u64::from(*byte) << (8 * place);
    }
    ((value >> (at % 8)) & ((1 << bits) - 1)) as u32 as i32
}
