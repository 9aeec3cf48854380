//! JPEG as libjpeg-turbo decodes it, to the last bit.
//!
//! The standard leaves rounding open, and decoders differ by several levels, most of all where coarser colour
//! is interpolated. Pillow uses libjpeg-turbo, so models have seen its pixels. This decoder follows its
//! arithmetic: the accurate integer transform, "fancy" upsampling and its colour conversion. It knows the
//! files that there are, Huffman-coded with 8 bits, sequential or progressive; whatever else comes is left to
//! the general library.

mod color;
mod entropy;
mod scan;
mod transform;
mod upsample;

use image::RgbImage;

use color::ColorSpace;
use entropy::HuffmanTable;
use scan::Scan;

/// Why this decoder passes on a file: it is damaged, or of a rare kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PassedOn;

type Result<T> = std::result::Result<T, PassedOn>;

/// Decodes the JPEG file in `bytes`, whose header has been found to announce `width` by `height` pixels.
pub(crate) fn decode(bytes: &[u8], width: u32, height: u32) -> Result<RgbImage> {
    let mut file = File { rest: bytes, tables: Tables::default(), frame: None, color: Markers::default() };
    file.read((width as usize, height as usize))?;
    let frame = file.frame.ok_or(PassedOn)?;
    let space = ColorSpace::of(&frame, &file.color)?;
    let planes = frame.components.iter().map(|component| component.plane()).collect::<Result<Vec<_>>>()?;
    let rgb = color::to_rgb(&frame, &planes, space)?;
    RgbImage::from_raw(width, height, rgb).ok_or(PassedOn)
}

/// What has been read of a file.
struct File<'a> {
    rest: &'a [u8],
    tables: Tables,
    frame: Option<Frame>,
    color: Markers,
}

/// Tables as they stand; a file may replace them between scans.
#[derive(Default)]
struct Tables {
    /// In natural order, not zigzag.
    quantization: [Option<[u16; 64]>; 4],
    dc: [Option<HuffmanTable>; 4],
    ac: [Option<HuffmanTable>; 4],
    /// Blocks or groups of blocks between two restarts; 0 for none.
    restart_interval: usize,
}

/// What tells the colour space.
#[derive(Default)]
struct Markers {
    has_jfif: bool,
    adobe_transform: Option<u8>,
}

/// The image as its header describes it, with what has been decoded so far.
struct Frame {
    width: usize,
    height: usize,
    is_progressive: bool,
    /// The largest sampling factors of all components.
    h_max: usize,
    v_max: usize,
    components: Vec<Component>,
}

/// One channel.
struct Component {
    id: u8,
    /// Sampling factors: samples for `h_max` by `v_max` pixels.
    h: usize,
    v: usize,
    /// Samples that the image really has.
    width: usize,
    height: usize,
    /// Blocks along the padded width and height.
    blocks_wide: usize,
    blocks_high: usize,
    table: usize,
    /// The table in force when the component was first seen.
    quantization: Option<[u16; 64]>,
    /// 64 coefficients for each block, in natural order.
    coefficients: Vec<[i16; 64]>,
}

/// Where the coefficients of a file's zigzag order belong.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

impl<'a> File<'a> {
    fn read(&mut self, announced: (usize, usize)) -> Result<()> {
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
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcf => return Err(PassedOn),
                0xda => {
                    let frame = self.frame.as_mut().ok_or(PassedOn)?;
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
            let at = self.rest.iter().position(|byte| *byte == 0xff).ok_or(PassedOn)?;
            self.rest = &self.rest[at + 1..];
            match self.rest {
                [0x00, ..] => {}
                [0xff, ..] => {}
                [marker, after @ ..] => {
                    self.rest = after;
                    return Ok(*marker);
                }
                [] => return Err(PassedOn),
            }
        }
    }

    fn segment(&mut self) -> Result<&'a [u8]> {
        let length = number(self.rest, 0)?;
        let segment = self.rest.get(2..length).ok_or(PassedOn)?;
        self.rest = &self.rest[length..];
        Ok(segment)
    }
}

impl Tables {
    fn read_quantization(&mut self, mut segment: &[u8]) -> Result<()> {
        while let [head, values @ ..] = segment {
            let is_wide = head >> 4 != 0;
            let slot = self.quantization.get_mut(usize::from(head & 15)).ok_or(PassedOn)?;
            let size = if is_wide { 128 } else { 64 };
            let (values, after) = values.split_at_checked(size).ok_or(PassedOn)?;
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

    fn read_huffman(&mut self, mut segment: &[u8]) -> Result<()> {
        while let [head, after @ ..] = segment {
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let slot = tables.get_mut(usize::from(head & 15)).ok_or(PassedOn)?;
            let (counts, after) = after.split_first_chunk::<16>().ok_or(PassedOn)?;
            let total = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, after) = after.split_at_checked(total).ok_or(PassedOn)?;
            *slot = Some(HuffmanTable::new(counts, symbols)?);
            segment = after;
        }
        Ok(())
    }
}

impl Frame {
    fn read(segment: &[u8], is_progressive: bool, announced: (usize, usize)) -> Result<Self> {
        let [precision, _, _, _, _, count, components @ ..] = segment else { return Err(PassedOn) };
        let (height, width) = (number(segment, 1)?, number(segment, 3)?);
        if *precision != 8 || (width, height) != announced || components.len() != usize::from(*count) * 3 {
            return Err(PassedOn);
        }
        // More would cost memory before anyone asked what they mean.
        if components.len() > 4 * 3 {
            return Err(PassedOn);
        }
        let factors = |entry: &[u8]| (usize::from(entry[1] >> 4), usize::from(entry[1] & 15));
        let entries = || components.chunks_exact(3);
        if !entries().all(|entry| (1..=4).contains(&factors(entry).0) && (1..=4).contains(&factors(entry).1))
        {
            return Err(PassedOn);
        }
        let h_max = entries().map(|entry| factors(entry).0).max().ok_or(PassedOn)?;
        let v_max = entries().map(|entry| factors(entry).1).max().ok_or(PassedOn)?;
        let groups = (width.div_ceil(8 * h_max), height.div_ceil(8 * v_max));
        let component = |entry: &[u8]| {
            let (h, v) = factors(entry);
            let (blocks_wide, blocks_high) = (groups.0 * h, groups.1 * v);
            Component {
                id: entry[0],
                h,
                v,
                width: (width * h).div_ceil(h_max),
                height: (height * v).div_ceil(v_max),
                blocks_wide,
                blocks_high,
                table: usize::from(entry[2]),
                quantization: None,
                coefficients: vec![[0; 64]; blocks_wide * blocks_high],
            }
        };
        let components = entries().map(component).collect();
        Ok(Self { width, height, is_progressive, h_max, v_max, components })
    }
}

/// The two bytes at `at` as a number.
fn number(bytes: &[u8], at: usize) -> Result<usize> {
    let pair = bytes.get(at..at + 2).ok_or(PassedOn)?;
    Ok(usize::from(pair[0]) << 8 | usize::from(pair[1]))
}
