//! Reading a recording back.

use crate::format::{Recording, VERSION};
use std::path::Path;
use vigos_core::jsonl::{JsonLinesError, LastLine, ReadOptions, read_lines};

/// The lines of a file, those of a later version of the format left out as an error that says so. After an error nothing
/// follows.
///
/// # Errors
/// If the file does not open; each line has its own error.
pub fn read(
    path: &Path,
) -> Result<impl Iterator<Item = Result<Recording, JsonLinesError>> + use<>, JsonLinesError> {
    let options = ReadOptions { last_line: LastLine::Dropped, ..ReadOptions::default() };
    let lines = read_lines::<Recording>(path, options)?;
    let path = path.to_owned();
    Ok(lines.map(move |line| {
        let (line, recording) = line?;
        match recording.version {
            1..=VERSION => Ok(recording),
            found => Err(JsonLinesError::Line {
                path: path.clone(),
                line,
                reason: format!(
                    "found version {found} of the format, wanted at most {VERSION}; a newer vigos wrote it"
                ),
            }),
        }
    }))
}
