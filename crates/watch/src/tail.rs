//! The last line of a file that grows.

use serde_json::Value;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use vigos_core::files;

/// A line of metrics is shorter.
const LONGEST: u64 = 1 << 16;

/// The last line that has its line break; nothing where there is none, or it is no JSON.
pub(crate) fn last_line(path: &Path) -> Option<Value> {
    let mut file = files::open(path).ok()?;
    let begin = file.metadata().ok()?.len().saturating_sub(LONGEST);
    file.seek(SeekFrom::Start(begin)).ok()?;
    let mut end = Vec::new();
    file.take(LONGEST).read_to_end(&mut end).ok()?;
    let whole = &end[..end.iter().rposition(|b| *b == b'\n')?];
    let line = whole.rsplit(|b| *b == b'\n').next()?;
    serde_json::from_slice(line).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::last_line;
    use serde_json::json;

    #[test]
    fn the_last_line_is_the_last_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metrics.jsonl");
        let of = |text: &str| {
            std::fs::write(&file, text).unwrap();
            last_line(&file)
        };
        assert_eq!(of("{\"a\":1}\n{\"a\":2}\n"), Some(json!({"a": 2})));
        assert_eq!(of("{\"a\":1}\n{\"a\":2"), Some(json!({"a": 1})));
        assert_eq!(of("{\"a\":1}"), None);
        assert_eq!(of(""), None);
        assert_eq!(of(&format!("{}\n{{\"a\":3}}\n", "x".repeat(1 << 17))), Some(json!({"a": 3})));
    }
}
