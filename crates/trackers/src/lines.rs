//! Whole lines of a file that grows.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use vigos_core::files;

/// Most bytes that are read at once; no line of metrics is longer.
const MOST: u64 = 1 << 20;

/// The whole lines of a file from a place on, at most some of them, and the place behind them. A file that has become shorter
/// is read from its beginning.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn whole_lines(path: &Path, place: u64) -> io::Result<(Vec<String>, u64)> {
    let mut file = files::open(path)?;
    let place = if file.metadata()?.len() < place { 0 } else { place };
    file.seek(SeekFrom::Start(place))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    let end = match bytes.iter().rposition(|b| *b == b'\n') {
        Some(at) => at + 1,
        // A line without an end is none of metrics: it is passed over.
        None if bytes.len() as u64 == MOST => bytes.len(),
        None => 0,
    };
    let lines = String::from_utf8_lossy(&bytes[..end]).lines().map(str::to_owned).collect();
    Ok((lines, place + end as u64))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::whole_lines;

    #[test]
    fn lines_come_when_they_are_whole_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metrics.jsonl");
        std::fs::write(&file, "one\ntwo\nthr").unwrap();
        assert_eq!(whole_lines(&file, 0).unwrap(), (vec!["one".into(), "two".into()], 8));
        std::fs::write(&file, "one\ntwo\nthree\n").unwrap();
        assert_eq!(whole_lines(&file, 8).unwrap(), (vec!["three".into()], 14));
        assert_eq!(whole_lines(&file, 14).unwrap(), (vec![], 14));
        std::fs::write(&file, "one\n").unwrap();
        assert_eq!(whole_lines(&file, 14).unwrap(), (vec!["one".into()], 4), "it was cut");
    }
}
