//! Bits of a scan, and the Huffman codes they form.

use crate::error::{JpegError, Result};

/// A Huffman code, looked up at once if short, length by length if long.
pub(crate) struct HuffmanTable {
    /// For every start of a stream: length and symbol of the code it begins with, length 0 if that is longer.
    short: Vec<(u8, u8)>,
    /// Per length: the first code beyond those of that length, moved to 16 bits.
    ends: [u32; 17],
    /// Per length: what to add to a code to find its symbol.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

const SHORT_BITS: u32 = 9;

impl HuffmanTable {
    /// The code with `counts[n]` symbols of n + 1 bits, in order. None may be all ones, as libjpeg has it.
    pub(crate) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self> {
        let mut short = vec![(0, 0); 1 << SHORT_BITS];
        let mut ends = [0; 17];
        let mut offsets = [0; 17];
        let mut code: u32 = 0;
        let mut first = 0usize;
        for (length, count) in (1u32..=16).zip(counts.iter().map(|count| usize::from(*count))) {
            let row = symbols.get(first..first + count).ok_or(JpegError::Short("a Huffman table"))?;
            offsets[length as usize] = first as i32 - code as i32;
            if count > 0 && code as usize + count >= 1 << length {
                return Err(JpegError::Damaged("more Huffman codes than there are"));
            }
            for symbol in row {
                if length <= SHORT_BITS {
                    let spread = 1usize << (SHORT_BITS - length);
                    let start = (code as usize) * spread;
                    short[start..start + spread].fill((length as u8, *symbol));
                }
                code += 1;
            }
            ends[length as usize] = code << (16 - length);
            code <<= 1;
            first += count;
        }
        Ok(Self { short, ends, offsets, symbols: symbols.to_vec() })
    }
}

/// Reads bits up to the next marker. More bits than there are is an error.
pub(crate) struct Bits<'a> {
    rest: &'a [u8],
    /// The next bits, the first one highest.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest, buffer: 0, count: 0 }
    }

    /// Fills the buffer as far as the data go.
    fn fill(&mut self) {
        while self.count <= 56 {
            let (byte, length) = match self.rest {
                // A zero is stuffed behind a byte that would look like a marker.
                [0xff, 0x00, ..] => (0xff, 2),
                [0xff, ..] | [] => return,
                [byte, ..] => (*byte, 1),
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
            self.rest = &self.rest[length..];
        }
    }

    fn consume(&mut self, count: u32) -> Result<()> {
        if count > self.count {
            return Err(JpegError::Short("the scan"));
        }
        self.buffer <<= count;
        self.count -= count;
        Ok(())
    }

    /// The next `count` bits, at most 16, as a number.
    pub(crate) fn take(&mut self, count: u32) -> Result<i32> {
        if count == 0 {
            return Ok(0);
        }
        self.fill();
        let value = (self.buffer >> (64 - count)) as i32;
        self.consume(count)?;
        Ok(value)
    }

    /// The next bit.
    pub(crate) fn flag(&mut self) -> Result<bool> {
        Ok(self.take(1)? == 1)
    }

    /// The next `count` bits as a signed number, whose lower half of values is negative.
    pub(crate) fn signed(&mut self, count: u32) -> Result<i32> {
        if count > 15 {
            return Err(JpegError::Damaged("a coefficient of more than 15 bits"));
        }
        let value = self.take(count)?;
        let is_negative = count > 0 && value < 1 << (count - 1);
        Ok(if is_negative { value - (1 << count) + 1 } else { value })
    }

    /// The next symbol of `table`.
    pub(crate) fn symbol(&mut self, table: &HuffmanTable) -> Result<u8> {
        self.fill();
        let (length, symbol) = table.short[(self.buffer >> (64 - SHORT_BITS)) as usize];
        if length > 0 {
            self.consume(u32::from(length))?;
            return Ok(symbol);
        }
        let start = (self.buffer >> 48) as u32;
        let length = (SHORT_BITS + 1..=16)
            .find(|length| start < table.ends[*length as usize])
            .ok_or(JpegError::Damaged("a code that its Huffman table lacks"))?;
        self.consume(length)?;
        let code = (start >> (16 - length)) as i32;
        let index = usize::try_from(code + table.offsets[length as usize])
            .map_err(|_| JpegError::Damaged("a code that its Huffman table lacks"))?;
        table.symbols.get(index).copied().ok_or(JpegError::Damaged("a code that its Huffman table lacks"))
    }

    /// Drops what is left before the restart marker, and the marker.
    pub(crate) fn restart(&mut self) -> Result<()> {
        match self.rest {
            [0xff, 0xd0..=0xd7, after @ ..] => {
                *self = Self::new(after);
                Ok(())
            }
            _ => Err(JpegError::Damaged("a scan without its restart marker")),
        }
    }

    /// What comes after the scan.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }
}
