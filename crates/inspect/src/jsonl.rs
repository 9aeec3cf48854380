//! Rows as JSON Lines: `id`, `image` or `images`, `problem` and `answer`, images as files beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use vigos_core::files::{FileError, folder_of, write_atomic, write_atomic_bytes};
use vigos_data::{ImageSource, Labels, Place, Row};

use crate::error::InspectError;
use crate::pictures::{below, encoded, ending};
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
    let mut placed = Placed { folder, images, written: None };
    let mut fault = None;
    let mut converted = Converted::default();
    let written = write_atomic(out, |file| {
        let lines = || -> Result<Converted, InspectError> {
            while let Some((number, row)) = rows.next()? {
                let (names, count) = placed.names(number, &row)?;
                rows.wrote_images(count);
                let line = line(&row, names).to_string();
                writeln!(file, "{line}").map_err(|e| FileError::io("write", out, e))?;
            }
            let converted = rows.finish()?;
            placed.keep()?;
            Ok(converted)
        };
        let done = lines().map_err(|error| {
            fault = Some(error);
            io::Error::other("the rows ended early")
        })?;
        converted = done;
        Ok(())
    });
    match (fault, written) {
        (Some(fault), _) => Err(fault),
        (None, Ok(())) => Ok(converted),
        (None, Err(error)) => {
            // The images were in their place already, where a retry would find them.
            if converted.images > 0 {
                let _ = fs::remove_dir_all(images_of(out));
            }
            Err(error.into())
        }
    }
}

/// Where images are.
struct Placed {
    /// The folder of the rows.
    folder: PathBuf,
    /// The folder for images that lie elsewhere.
    images: PathBuf,
    /// What that is until all rows are written; gone if they never are.
    written: Option<TempDir>,
}

impl Placed {
    /// The paths of a row's images relative to the rows, and how many were written.
    fn names(&mut self, number: usize, row: &Row) -> Result<(Vec<String>, usize), InspectError> {
        let (mut names, mut count) = (Vec::new(), 0);
        for (place, image) in row.images.iter().enumerate() {
            let there = match image {
                ImageSource::File(path) => below(&self.folder, path),
                ImageSource::Bytes(_) | ImageSource::Link(_) => None,
            };
            if let Some(name) = there {
                names.push(name);
                continue;
            }
            let bytes = encoded(image)?;
            let written = match &mut self.written {
                Some(written) => written,
                none => none.insert(temporary(&self.folder)?),
            };
            let name = format!("{number:06}-{place}.{}", ending(&bytes));
            write_atomic_bytes(&written.path().join(&name), &bytes)?;
            let folder = self.images.file_name().unwrap_or_default().to_string_lossy();
            names.push(format!("{folder}/{name}"));
            count += 1;
        }
        Ok((names, count))
    }

    /// Puts the images where the rows say that they are.
    fn keep(&mut self) -> Result<(), InspectError> {
        let Some(written) = self.written.take() else { return Ok(()) };
        unused(&self.images)?;
        fs::rename(written.path(), &self.images).map_err(|e| FileError::io("create", &self.images, e))?;
        // It is no longer there to be removed.
        let _ = written.keep();
        Ok(())
    }
}

/// A folder in `folder` that goes when it is dropped.
fn temporary(folder: &Path) -> Result<TempDir, InspectError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    // Temporary folders are private by default; this one becomes an ordinary one, so the umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    Ok(builder.tempdir_in(folder).map_err(|e| FileError::io("create a folder in", folder, e))?)
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
    let Labels { kind, place, wrong_answers, .. } = &row.labels;
    if let Some(kind) = kind {
        fields.insert("kind".into(), json!(kind));
    }
    if let Some(Place { triple, role, wording }) = place {
        fields.extend([("triple".to_owned(), json!(triple)), ("role".to_owned(), json!(role))]);
        fields.extend(wording.as_ref().map(|wording| ("wording".to_owned(), json!(wording))));
    }
    if !wrong_answers.is_empty() {
        fields.insert("wrong_answers".into(), json!(wrong_answers));
    }
    Value::Object(fields)
}
