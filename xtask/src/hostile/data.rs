//! The data sets.

use anyhow::Result;
use image::RgbImage;
use serde_json::json;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// A data set.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// What is in it, for the table.
    pub(super) what: &'static str,
    /// Writes its files into a folder, its rows under this name.
    pub(super) make: fn(&Path, &Path) -> Result<()>,
}

pub(super) const CASES: [Case; 7] = [
    Case {
        name: "plain",
        what: "8 rows with a small picture, to compare with",
        make: |folder, rows| photos(folder, rows, "small.png", [150, 100]),
    },
    Case {
        name: "jpeg",
        what: "8 rows with a JPEG of 50 megapixels",
        make: |folder, rows| photos(folder, rows, "photo.jpg", LARGE),
    },
    Case {
        name: "png",
        what: "8 rows with a PNG of 50 megapixels",
        make: |folder, rows| photos(folder, rows, "photo.png", LARGE),
    },
    Case { name: "texts", what: "8 rows, and 40 with a question of 10 MB", make: texts },
    Case { name: "broken", what: "8 rows, and 100,000 broken ones", make: broken },
    Case { name: "million", what: "a million rows", make: |folder, rows| many(folder, rows, 1_000_000) },
    Case {
        name: "quarter",
        what: "a quarter of a million rows",
        make: |folder, rows| many(folder, rows, 250_000),
    },
];

/// Fifty megapixels.
const LARGE: [u32; 2] = [8660, 5774];
/// Rows that every set has, so that there is something to train on.
const GOOD: usize = 8;

/// A picture that compresses about as a photo does: smooth, with a little noise.
fn picture(path: &Path, [width, height]: [u32; 2]) -> Result<()> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 28;
        let shade = |v: u32| (v / 40 + noise) as u8;
        [shade(x), shade(y), shade(x + y)].into()
    });
    Ok(picture.save(path)?)
}

fn row(number: usize, image: &str, problem: &str) -> String {
    json!({"id": number.to_string(), "image": image, "problem": problem, "answer": "3"}).to_string()
}

/// The good rows and then `more`, a line each.
fn write(folder: &Path, rows: &Path, image: &str, more: impl Iterator<Item = String>) -> Result<()> {
    if !folder.join(image).exists() {
        picture(&folder.join(image), [150, 100])?;
    }
    let mut file = BufWriter::new(File::create(rows)?);
    for line in (0..GOOD).map(|number| row(number, image, "How many?")).chain(more) {
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}

/// Each row has a file of its own: nothing that is decoded once serves another.
fn photos(folder: &Path, rows: &Path, name: &str, size: [u32; 2]) -> Result<()> {
    picture(&folder.join(name), size)?;
    let mut file = BufWriter::new(File::create(rows)?);
    for number in 0..GOOD {
        let copy = format!("{number}-{name}");
        fs::hard_link(folder.join(name), folder.join(&copy))?;
        writeln!(file, "{}", row(number, &copy, "How many?"))?;
    }
    Ok(file.flush()?)
}

fn texts(folder: &Path, rows: &Path) -> Result<()> {
    let long = "word ".repeat(2_000_000);
    write(folder, rows, "small.png", (GOOD..GOOD + 40).map(|number| row(number, "small.png", &long)))
}

fn broken(folder: &Path, rows: &Path) -> Result<()> {
    let faults = [
        "{\"image\": \"small.png\", \"problem\": \"cut o".to_owned(),
        json!({"image": "small.png", "problem": null, "answer": "3"}).to_string(),
        json!({"image": "absent.png", "problem": "?", "answer": "3"}).to_string(),
        json!({"image": "../up.png", "problem": "?", "answer": "3"}).to_string(),
        "NaN".to_owned(),
    ];
    write(folder, rows, "small.png", (0..100_000).map(|number| faults[number % faults.len()].clone()))
}

fn many(folder: &Path, rows: &Path, count: usize) -> Result<()> {
    write(
        folder,
        rows,
        "small.png",
        (GOOD..count).map(|number| row(number, "small.png", "How many red squares are in the image?")),
    )
}
