//! A scan: some of the coefficients of some of the components, or some of their bits.

use crate::entropy::{Bits, HuffmanTable};
use crate::error::{JpegError, Result};
use crate::frame::Frame;
use crate::tables::{Tables, ZIGZAG};

/// What a scan's header says.
pub(crate) struct Scan {
    members: Vec<Member>,
    /// The first and the last coefficient, in zigzag order.
    start: usize,
    end: usize,
    /// The lowest bit that is known after the scan, and whether higher ones were known before.
    low: u32,
    refines: bool,
}

/// A component in a scan.
struct Member {
    component: usize,
    dc: usize,
    ac: usize,
}

/// What goes from block to block.
#[derive(Default)]
struct State {
    /// The last DC value of each member.
    last: [i32; 4],
    /// Blocks to come whose bands are empty.
    empty_blocks: u32,
}

impl Scan {
    /// Reads a scan's header, and fixes the quantization of components that come for the first time.
    pub(crate) fn read(segment: &[u8], frame: &mut Frame, tables: &Tables) -> Result<Self> {
        let (count, rest) = segment.split_first().ok_or(JpegError::Short("a scan's header"))?;
        let (entries, tail) =
            rest.split_at_checked(usize::from(*count) * 2).ok_or(JpegError::Short("a scan's header"))?;
        let [start, end, bits] = *tail else {
            return Err(JpegError::Damaged("a scan's header of another length"));
        };
        let mut members: Vec<Member> = Vec::new();
        for entry in entries.chunks_exact(2) {
            let component = frame
                .components
                .iter()
                .position(|c| c.id == entry[0])
                .ok_or(JpegError::Damaged("a scan of an unknown component"))?;
            let (dc, ac) = (usize::from(entry[1] >> 4), usize::from(entry[1] & 15));
            if dc > 3 || ac > 3 || members.iter().any(|member| member.component == component) {
                return Err(JpegError::Damaged("a scan that names a table or a component wrongly"));
            }
            let is_sequential = !frame.is_progressive;
            let target = &mut frame.components[component];
            // Each scan of a sequential file has all there is of its components; libjpeg ends where the first had them all.
            if is_sequential && target.quantization.is_some() {
                return Err(JpegError::Damaged("a second scan of a component whose first had all of it"));
            }
            if target.quantization.is_none() {
                let table = tables
                    .quantization
                    .get(target.table)
                    .ok_or(JpegError::Damaged("a quantization table beyond the fourth"))?;
                // One that comes after the scan is too late, as for libjpeg.
                target.quantization =
                    Some(table.ok_or(JpegError::Damaged("a component before its quantization table"))?);
            }
            members.push(Member { component, dc, ac });
        }
        let mut scan = Self {
            members,
            start: usize::from(start),
            end: usize::from(end),
            low: u32::from(bits & 15),
            refines: bits >> 4 != 0,
        };
        if !frame.is_progressive {
            (scan.start, scan.end, scan.low, scan.refines) = (0, 63, 0, false);
        }
        let spans_both = frame.is_progressive && scan.start == 0 && scan.end > 0;
        let mixes_bands = scan.start > 0 && scan.members.len() != 1;
        if scan.members.is_empty() || scan.members.len() > 4 || spans_both || mixes_bands {
            return Err(JpegError::Damaged("a scan of components or coefficients that do not go together"));
        }
        if scan.start > scan.end || scan.end > 63 || scan.low > 13 {
            return Err(JpegError::Damaged("a scan of coefficients that there are not"));
        }
        Ok(scan)
    }

    /// Decodes the scan at the start of `data` into the frame, and gives what follows it.
    pub(crate) fn decode<'a>(&self, data: &'a [u8], frame: &mut Frame, tables: &Tables) -> Result<&'a [u8]> {
        let mut bits = Bits::new(data);
        let mut state = State::default();
        let (wide, high) = self.units(frame)?;
        for unit in 0..wide * high {
            if tables.restart_interval > 0 && unit > 0 && unit % tables.restart_interval == 0 {
                bits.restart()?;
                state = State::default();
            }
            self.decode_unit(unit % wide, unit / wide, &mut bits, &mut state, frame, tables)?;
        }
        Ok(bits.rest())
    }

    /// How many units there are along each axis: single blocks if the component is alone, else groups of all
    /// members' blocks for the same pixels.
    fn units(&self, frame: &Frame) -> Result<(usize, usize)> {
        if let [member] = &self.members[..] {
            let component = frame
                .components
                .get(member.component)
                .ok_or(JpegError::Damaged("a scan of an unknown component"))?;
            return Ok((component.width.div_ceil(8), component.height.div_ceil(8)));
        }
        Ok((frame.width.div_ceil(8 * frame.h_max), frame.height.div_ceil(8 * frame.v_max)))
    }

    fn decode_unit(
        &self,
        x: usize,
        y: usize,
        bits: &mut Bits,
        state: &mut State,
        frame: &mut Frame,
        tables: &Tables,
    ) -> Result<()> {
        let is_alone = self.members.len() == 1;
        for (index, member) in self.members.iter().enumerate() {
            let component = frame
                .components
                .get_mut(member.component)
                .ok_or(JpegError::Damaged("a scan of an unknown component"))?;
            let (h, v) = if is_alone { (1, 1) } else { (component.h, component.v) };
            for (row, column) in (0..v).flat_map(|row| (0..h).map(move |column| (row, column))) {
                let at = (y * v + row) * component.blocks_wide + x * h + column;
                let block = component
                    .coefficients
                    .get_mut(at)
                    .ok_or(JpegError::Damaged("a block outside the image"))?;
                let last = &mut state.last[index];
                let (dc, ac) = (tables.dc[member.dc].as_ref(), tables.ac[member.ac].as_ref());
                if self.start == 0 {
                    self.decode_dc(block, bits, dc, last)?;
                }
                match (frame.is_progressive, self.refines) {
                    (false, _) => decode_sequential(block, bits, ac)?,
                    (true, _) if self.start == 0 => {}
                    (true, false) => self.decode_band(block, bits, ac, &mut state.empty_blocks)?,
                    (true, true) => self.refine_band(block, bits, ac, &mut state.empty_blocks)?,
                }
            }
        }
        Ok(())
    }

    fn decode_dc(
        &self,
        block: &mut [i16; 64],
        bits: &mut Bits,
        table: Option<&HuffmanTable>,
        last: &mut i32,
    ) -> Result<()> {
        if self.refines {
            if bits.flag()? {
                block[0] |= 1 << self.low;
            }
            return Ok(());
        }
        let size = bits.symbol(table.ok_or(JpegError::Damaged("a scan without its Huffman table"))?)?;
        *last = last.wrapping_add(bits.signed(u32::from(size))?);
        block[0] = (*last << self.low) as i16;
        Ok(())
    }

    /// First bits of a band of a progressive file.
    fn decode_band(
        &self,
        block: &mut [i16; 64],
        bits: &mut Bits,
        table: Option<&HuffmanTable>,
        empty_blocks: &mut u32,
    ) -> Result<()> {
        if *empty_blocks > 0 {
            *empty_blocks -= 1;
            return Ok(());
        }
        let table = table.ok_or(JpegError::Damaged("a scan without its Huffman table"))?;
        let mut at = self.start;
        while at <= self.end {
            let symbol = bits.symbol(table)?;
            let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 && run < 15 {
                // This block and so many more have nothing further in this band.
                *empty_blocks = (1 << run) - 1 + bits.take(run as u32)? as u32;
                return Ok(());
            }
            at += run;
            if size > 0 {
                let place = *ZIGZAG.get(at).ok_or(JpegError::Damaged("a coefficient beyond the 64th"))?;
                block[usize::from(place)] = (bits.signed(size)? << self.low) as i16;
            }
            at += 1;
        }
        Ok(())
    }

    /// One more bit of a band of a progressive file: of each value that is there already, and new values of
    /// that bit's size in between.
    fn refine_band(
        &self,
        block: &mut [i16; 64],
        bits: &mut Bits,
        table: Option<&HuffmanTable>,
        empty_blocks: &mut u32,
    ) -> Result<()> {
        let bit = 1i16 << self.low;
        let mut at = self.start;
        if *empty_blocks == 0 {
            let table = table.ok_or(JpegError::Damaged("a scan without its Huffman table"))?;
            while at <= self.end {
                let symbol = bits.symbol(table)?;
                let (mut run, size) = (u32::from(symbol >> 4), symbol & 15);
                let mut value = 0;
                match size {
                    0 if run < 15 => {
                        *empty_blocks = (1 << run) + bits.take(run)? as u32;
                        break;
                    }
                    0 => {}
                    1 => value = if bits.flag()? { bit } else { -bit },
                    _ => return Err(JpegError::Damaged("a refined coefficient of several bits")),
                }
                // The run counts zeros only; values on the way get their bit.
                while let Some(place) = ZIGZAG.get(at).filter(|_| at <= self.end) {
                    let coefficient = &mut block[usize::from(*place)];
                    at += 1;
                    if *coefficient != 0 {
                        refine(coefficient, bit, bits)?;
                    } else if run == 0 {
                        *coefficient = value;
                        break;
                    } else {
                        run -= 1;
                    }
                }
            }
        }
        if *empty_blocks > 0 {
            for place in ZIGZAG.get(at..=self.end).unwrap_or_default() {
                let coefficient = &mut block[usize::from(*place)];
                if *coefficient != 0 {
                    refine(coefficient, bit, bits)?;
                }
            }
            *empty_blocks -= 1;
        }
        Ok(())
    }
}

/// All but the first coefficient of a sequential file's block.
fn decode_sequential(block: &mut [i16; 64], bits: &mut Bits, table: Option<&HuffmanTable>) -> Result<()> {
    let table = table.ok_or(JpegError::Damaged("a scan without its Huffman table"))?;
    let mut at = 1;
    while at < 64 {
        let symbol = bits.symbol(table)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && run < 15 {
            break;
        }
        at += run;
        if size > 0 {
            let place = *ZIGZAG.get(at).ok_or(JpegError::Damaged("a coefficient beyond the 64th"))?;
            block[usize::from(place)] = bits.signed(size)? as i16;
        }
        at += 1;
    }
    Ok(())
}

fn refine(coefficient: &mut i16, bit: i16, bits: &mut Bits) -> Result<()> {
    if bits.flag()? && *coefficient & bit == 0 {
        let change = if *coefficient > 0 { bit } else { -bit };
        *coefficient = coefficient.wrapping_add(change);
    }
    Ok(())
}
