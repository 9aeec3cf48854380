//! The prompt that a judge reads.

use std::path::Path;

use vigos_core::files::read_limited;

use crate::error::JudgeError;

/// A prompt is a page of text.
const LARGEST_FILE: u64 = 1 << 20;
/// The places that a template has, each at least once.
const PLACES: [&str; 3] = ["{problem}", "{reference}", "{answer}"];

/// A prompt with places for question, reference and answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// Asks whether an answer is right: 0 or 1.
    pub fn answer() -> Self {
        Self(include_str!("../prompts/answer.txt").to_owned())
    }

    /// Asks how right an answer is, from 0 to 1, of a reference with `<AND>` and `<OR>`.
    pub fn graded() -> Self {
        Self(include_str!("../prompts/graded.txt").to_owned())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is no text, or lacks a place.
    pub fn read(path: &Path) -> Result<Self, JudgeError> {
        let bytes = read_limited(path, LARGEST_FILE)?;
        let text = String::from_utf8(bytes).map_err(|_| JudgeError::Setting {
            key: "prompt",
            found: format!("{}, which is not UTF-8", path.display()),
            wanted: "a text file",
        })?;
        Self::parse(&path.display().to_string(), text)
    }

    /// Takes a text from `file`.
    ///
    /// # Errors
    /// If it lacks a place.
    pub fn parse(file: &str, text: String) -> Result<Self, JudgeError> {
        match PLACES.into_iter().find(|place| !text.contains(place)) {
            Some(place) => Err(JudgeError::Template { file: file.to_owned(), place }),
            None => Ok(Self(text)),
        }
    }

    /// The prompt about one answer. All places are filled in a single pass, so what stands in a question or an answer stays
    /// as it is.
    pub fn filled(&self, problem: &str, reference: &str, answer: &str) -> String {
        let mut filled = String::with_capacity(self.0.len() + problem.len() + reference.len() + answer.len());
        let mut rest = self.0.as_str();
        while let Some((at, place)) = next_place(rest) {
            let text = match place {
                "{problem}" => problem,
                "{reference}" => reference,
                _ => answer,
            };
            filled.push_str(rest.get(..at).unwrap_or_default());
            filled.push_str(text);
            rest = rest.get(at + place.len()..).unwrap_or_default();
        }
        filled.push_str(rest);
        filled
    }
}

fn next_place(text: &str) -> Option<(usize, &'static str)> {
    PLACES.into_iter().filter_map(|place| Some((text.find(place)?, place))).min()
}
