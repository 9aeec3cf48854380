//! A world on disk: JSON Lines with PNG files beside them, Parquet as the hub has it, and the dials.
//!
//! `world.toml` is written last: a folder without it is not finished, and is written anew.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use image::{RgbImage, imageops};
use rayon::prelude::*;
use vigos_core::files::{FileError, write_atomic_bytes};
use vigos_recipe::RunRecipe;

use crate::error::WorldError;
use crate::png::png;
use crate::row::Row;
use crate::table::Shards;
use crate::warmup::Warmup;
use crate::world::{Split, World};

/// The dials beside the rows.
const DIALS: &str = "world.toml";
/// Samples that are in memory together while a split is written.
const CHUNK: u64 = 2048;
/// Rows of a Parquet file.
const SHARD: usize = 10_000;
/// Columns and rows of the sheet of pictures.
const SHEET: (u32, u32) = (8, 5);

/// In which formats rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JSON Lines, and PNG files in `images/`.
    #[default]
    JsonLines,
    /// Parquet files with the images inside, in `parquet/`.
    Parquet,
    /// Both.
    Both,
}

/// A picture as a PNG file's bytes, with the rows that are about it.
struct Written {
    name: String,
    png: Vec<u8>,
    rows: Vec<Row>,
}

/// Writes a world.
pub struct Writer<'a, R> {
    /// The world.
    pub world: &'a World,
    /// In which formats.
    pub format: Format,
    /// Gives the user's text of a warm-up sample that has one: the template of its form, rendered.
    pub render: R,
}

impl<R, E> Writer<'_, R>
where
    R: Fn(&Warmup) -> Result<String, E> + Sync,
    E: Display,
{
    /// Writes every split to `out`, and `world.toml` last. `progress` is told how many of how many samples are
    /// done.
    ///
    /// # Errors
    /// [`WorldError::Taken`] for a folder that holds a world, [`WorldError::Prompt`] for a sample that cannot be
    /// rendered, and the errors of files.
    pub fn write(&self, out: &Path, mut progress: impl FnMut(u64, u64)) -> Result<(), WorldError> {
        if out.join(DIALS).exists() {
            return Err(WorldError::Taken { folder: out.display().to_string() });
        }
        let toml = self.world.config().to_toml()?;
        let folders = match self.format {
            Format::JsonLines => vec!["images"],
            Format::Parquet => vec!["parquet"],
            Format::Both => vec!["images", "parquet"],
        };
        for folder in folders {
            let folder = out.join(folder);
            fs::create_dir_all(&folder).map_err(|e| FileError::io("create", &folder, e))?;
        }
        let total: u64 = Split::ALL.iter().map(|split| self.world.samples(*split)).sum();
        let mut done = 0;
        for split in Split::ALL {
            self.split(out, split, |more| {
                done += more;
                progress(done, total);
            })?;
        }
        write_atomic_bytes(&out.join("sheet.png"), &png("sheet.png", &sheet(self.world))?)?;
        Ok(write_atomic_bytes(&out.join(DIALS), toml.as_bytes())?)
    }

    fn split(&self, out: &Path, split: Split, mut done: impl FnMut(u64)) -> Result<(), WorldError> {
        let (json, table) = match self.format {
            Format::JsonLines => (true, false),
            Format::Parquet => (false, true),
            Format::Both => (true, true),
        };
        let count = self.world.samples(split);
        let rows = if split == Split::Prior { count as usize * 6 } else { count as usize };
        let mut lines = Vec::new();
        let mut shards = Shards::new(out.join("parquet"), split.word(), rows, SHARD);
        for start in (0..count).step_by(CHUNK as usize) {
            let numbers = start..count.min(start + CHUNK);
            let samples = numbers.clone().into_par_iter().map(|number| self.sample(split, number));
            let written = samples.map(|made| {
                let made = made?;
                if json {
                    for Written { name, png, .. } in &made {
                        let path = out.join(name);
                        // Not synced one by one: the rows that name them come later, the dials last.
                        fs::write(&path, png).map_err(|e| FileError::io("write", &path, e))?;
                    }
                }
                Ok(made)
            });
            for made in written.collect::<Result<Vec<_>, WorldError>>()?.into_iter().flatten() {
                for row in made.rows {
                    if json {
                        serde_json::to_writer(&mut lines, &row).map_err(|e| WorldError::Encode {
                            file: format!("{}.jsonl", split.word()),
                            reason: e.to_string(),
                        })?;
                        lines.push(b'\n');
                    }
                    if table {
                        shards.push(row, &made.png)?;
                    }
                }
            }
            done(numbers.end - numbers.start);
        }
        if json {
            write_atomic_bytes(&out.join(format!("{}.jsonl", split.word())), &lines)?;
        }
        if table { shards.finish() } else { Ok(()) }
    }

    /// The pictures and rows of a sample; a triple has three pictures.
    fn sample(&self, split: Split, number: u64) -> Result<Vec<Written>, WorldError> {
        let world = self.world;
        let one = |image: &RgbImage, row: Row| written(image, vec![row]);
        Ok(match split {
            Split::Warmup => {
                let warmup = world.warmup(number);
                let prompt = (self.render)(&warmup).map_err(|e| WorldError::Prompt(e.to_string()))?;
                vec![one(&warmup.sample.draw(), Row::warmup(&warmup, prompt))?]
            }
            Split::Train => {
                let sample = world.train(number);
                vec![one(&sample.draw(), Row::train(&sample))?]
            }
            Split::Test => {
                let sample = world.test(number);
                vec![one(&sample.draw(), Row::test(&sample))?]
            }
            Split::Prior => {
                let Some(triple) = world.prior(number) else { return Ok(Vec::new()) };
                let rows = Row::prior(&triple);
                let pictures = triple.members.iter().zip(rows.chunks(2));
                pictures
                    .map(|(member, rows)| written(&member.sample.draw(), rows.to_vec()))
                    .collect::<Result<_, _>>()?
            }
        })
    }
}

fn written(image: &RgbImage, rows: Vec<Row>) -> Result<Written, WorldError> {
    let name = rows.first().map(|row| row.image.clone()).unwrap_or_default();
    Ok(Written { png: png(&name, image)?, name, rows })
}

/// A look at a world: the pictures of its first training questions, side by side.
pub fn sheet(world: &World) -> RgbImage {
    const GAP: u32 = 6;
    let (columns, rows) = SHEET;
    let pictures: Vec<RgbImage> = (0..u64::from(columns * rows)).map(|n| world.train(n).draw()).collect();
    let widest = pictures.iter().map(RgbImage::width).max().unwrap_or(1) + GAP;
    let highest = pictures.iter().map(RgbImage::height).max().unwrap_or(1) + GAP;
    let white = image::Rgb([255, 255, 255]);
    let mut sheet = RgbImage::from_pixel(widest * columns, highest * rows, white);
    for (index, picture) in (0..).zip(&pictures) {
        let x = (index % columns) * widest + (widest - picture.width()) / 2;
        let y = (index / columns) * highest + (highest - picture.height()) / 2;
        imageops::replace(&mut sheet, picture, i64::from(x), i64::from(y));
    }
    sheet
}
