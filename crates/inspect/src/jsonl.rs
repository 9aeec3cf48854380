//! Rows as JSON Lines: `id`, `image` or `images`, `problem` and `answer`, images as files beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use vigos_core::files::{FileError, folder_of, write_atomic, write_atomic_bytes};
use vigos_data::{ImageSource, Row};

use crate::error::InspectError;
use crate::pictures::{below, ending};
use crate::rows::{Converted, Rows, images_of, make_folder, unused};

/// Writes all rows to `out`. An image file that lies below the folder of `out` is named where it is, every other image is
/// written to a folder beside it.
///
/// # Errors
/// As [`crate::convert()`].
pub(crate) fn write(mut rows: Rows, out: &Path) -> Result<Converted, InspectError> {
    let images = images_of(out);
    unused(&images)?;
    make_folder(folder_of(out))?;
    let folder = folder_of(out).canonicalize().map_err(|e| FileError::io("find", folder_of(out), e))?;
    let mut placed = Placed { folder, images };
    let mut fault = None;
    let written = write_atomic(out, |file| {
        let mut lines = || -> Result<(), InspectError> {
            while let Some((number, row)) = rows.next()? {
                let (names, count) = placed.names(number, &row)?;
                rows.wrote_images(count);
                let line = line(&row, names).to_string();
                writeln!(file, "{line}").map_err(|e| FileError::io("write", out, e))?;
            }
            Ok(())
        };
        lines().map_err(|error| {
            fault = Some(error);
            io::Error::other("the rows ended early")
        })
    });
    match (fault, written) {
        (Some(fault), _) => Err(fault),
        (None, written) => {
            written?;
            rows.finish()
        }
    }
}

/// Where images are.
struct Placed {
    /// The folder of the rows.
    folder: PathBuf,
    /// The folder for images that lie elsewhere.
    images: PathBuf,
}

impl Placed {
    /// The paths of a row's images relative to the rows, and how many were written.
    fn names(&mut self, number: usize, row: &Row) -> Result<(Vec<String>, usize), InspectError> {
        let (mut names, mut count) = (Vec::new(), 0);
        for (place, image) in row.images.iter().enumerate() {
            let there = match image {
                ImageSource::File(path) => below(&self.folder, path),
                ImageSource::Bytes(_) => None,
            };
            if let Some(name) = there {
                names.push(name);
                continue;
            }
            let bytes: Vec<u8> = match image {
                ImageSource::File(path) => fs::read(path).map_err(|e| FileError::io("read", path, e))?,
                ImageSource::Bytes(bytes) => bytes.to_vec(),
            };
            make_folder(&self.images)?;
            let name = format!("{number:06}-{place}.{}", ending(&bytes));
            write_atomic_bytes(&self.images.join(&name), &bytes)?;
            let folder = self.images.file_name().unwrap_or_default().to_string_lossy();
            names.push(format!("{folder}/{name}"));
            count += 1;
        }
        Ok((names, count))
    }
}

/// A row as an object. One with something before its question has it as `messages`.
fn line(row: &Row, names: Vec<String>) -> Value {
    let mut fields = Map::new();
    fields.insert("id".into(), json!(row.id));
    match names.as_slice() {
        [one] => fields.insert("image".into(), json!(one)),
        several => fields.insert("images".into(), json!(several)),
    };
    if row.before.is_empty() {
        fields.insert("problem".into(), json!(row.problem));
    } else {
        let said = row.before.iter().map(|turn| json!({"role": turn.speaker.name(), "content": turn.text}));
        let asked = json!({"role": "user", "content": row.marked_problem()});
        fields.insert("messages".into(), said.chain([asked]).collect());
    }
    match &row.demonstration {
        None => fields.insert("answer".into(), json!(row.answer)),
        Some(learnt) => {
            fields.insert("prefill".into(), json!(learnt.prefill));
            fields.insert("completion".into(), json!(learnt.completion))
        }
    };
    if let Some(kind) = &row.labels.kind {
        fields.insert("kind".into(), json!(kind));
    }
    Value::Object(fields)
}
