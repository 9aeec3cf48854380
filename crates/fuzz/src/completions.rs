//! Lines of completions: what `replay` and `score` read.

use std::path::Path;

use serde_json::Value;
use vigos_data::given::{Completion, Given, given};
use vigos_data::recorded::{Recorded, recorded};
use vigos_recipe::row::ImageSource;

use crate::parts::is_a_line;
use crate::scratch;

/// A vocabulary that ids may lie within or beyond.
const VOCABULARY: usize = 300;

/// A recorded line that passes its check has tokens of the vocabulary and images of its folder.
pub fn replay(data: &[u8]) {
    scratch::there("a.png");
    let path = scratch::write("recorded.jsonl", data);
    let folder = scratch::folder();
    let lines = || recorded(&path).expect("the file is there").map(|line| line.map_err(|e| e.to_string()));
    let read: Vec<Result<Recorded, String>> = lines().collect();
    assert!(lines().eq(read.iter().cloned()), "read again, another");
    for (at, line) in read.iter().enumerate() {
        let line = match line {
            Ok(line) => line,
            Err(message) => {
                assert!(is_a_line(message), "{message}");
                assert_eq!(at + 1, read.len(), "something follows an error");
                continue;
            }
        };
        match line.check(VOCABULARY) {
            Ok(()) => {
                assert!(!line.completion_token_ids.is_empty());
                assert!(line.completion_token_ids.iter().all(|id| (*id as usize) < VOCABULARY));
            }
            Err(fault) => assert!(fault.origin.starts_with(&path.display().to_string())),
        }
        if let Ok(row) = line.own_row(&folder) {
            assert_eq!(row.images.is_empty(), !line.has_image());
            for image in &row.images {
                assert!(matches!(image, ImageSource::File(file) if lies_in(file, &folder)), "{image:?}");
            }
        }
    }
}

/// A given line has a name, one completion of the vocabulary's tokens, and images of its folder.
pub fn score(data: &[u8]) {
    scratch::there("a.png");
    let path = scratch::write("given.jsonl", data);
    let folder = scratch::folder();
    let lines = || given(&path).expect("the file is there").map(|line| line.map_err(|e| e.to_string()));
    let read: Vec<Result<Given, String>> = lines().take(100).collect();
    assert!(lines().take(100).eq(read.iter().cloned()), "read again, another");
    for line in read {
        let line = match line {
            Ok(line) => line,
            Err(message) => {
                assert!(is_a_line(&message), "{message}");
                continue;
            }
        };
        assert!(matches!(line.id, Value::String(_) | Value::Number(_)));
        assert!(!line.images.is_empty() && line.images.iter().all(|image| lies_in(image, &folder)));
        let bytes = |text: &str| Ok::<_, String>(text.bytes().map(u32::from).collect::<Vec<u32>>());
        let length = match &line.completion {
            Completion::Text(text) => text.len(),
            Completion::Ids(ids) => ids.len(),
        };
        match line.tokens(VOCABULARY, bytes) {
            Ok(ids) => assert!(ids.len() == length && ids.iter().all(|id| (*id as usize) < VOCABULARY)),
            Err(error) => assert!(error.to_string().starts_with(&path.display().to_string())),
        }
    }
}

/// Whether a path says that it lies in the folder, and if something is there, it does.
fn lies_in(path: &Path, folder: &Path) -> bool {
    path.starts_with(folder) && path.canonicalize().map_or(true, |real| real.starts_with(folder))
}
