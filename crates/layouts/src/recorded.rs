//! Completions that were recorded, by a run or by anyone, a JSON object a line.

use std::path::Path;

use serde::{Deserialize, Serialize};
use vigos_core::jsonl::{JsonLinesError, LastLine, ReadOptions, read_lines};
use vigos_core::paths::contained;
use vigos_recipe::row::{ImageSource, Labels, Row};
use vigos_recipe::sample::{SampleError, UserTexts};

/// Why a completion ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// A stop token was drawn.
    #[default]
    Stop,
    /// The token limit was reached.
    Length,
}

/// One line of the file. What else it says, as a snapshot of a run's rollouts does, is left alone.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Recorded {
    /// `FILE:LINE`
    #[serde(skip)]
    pub origin: String,
    /// The row's name.
    pub id: String,
    /// The question.
    pub problem: String,
    /// The reference answer.
    pub answer: String,
    /// The completion.
    pub completion_token_ids: Vec<u32>,
    /// Why it ended.
    #[serde(default)]
    pub finish_reason: Finish,
    /// User texts that take the place of rendered ones.
    #[serde(default)]
    pub prompts: UserTexts,
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    images: Vec<String>,
}

/// The lines of a file in their order; after an error nothing follows.
///
/// # Errors
/// If the file cannot be opened; each line has its own error.
pub fn recorded(
    path: &Path,
) -> Result<impl Iterator<Item = Result<Recorded, JsonLinesError>>, JsonLinesError> {
    let options = ReadOptions { last_line: LastLine::Taken, ..ReadOptions::default() };
    let lines = read_lines::<Recorded>(path, options)?;
    let file = path.display().to_string();
    let placed = move |(number, line)| Recorded { origin: format!("{file}:{number}"), ..line };
    Ok(lines.map(move |line| line.map(&placed)))
}

impl Recorded {
    /// Whether the line names its images itself.
    pub fn has_image(&self) -> bool {
        self.image.is_some() || !self.images.is_empty()
    }

    /// What is wrong with a field of the line.
    pub fn fault(&self, field: &str, message: String) -> SampleError {
        let (origin, id) = (self.origin.clone(), self.id.clone());
        SampleError { origin, id, field: field.to_owned(), message }
    }

    /// Refuses a completion that no model of this vocabulary can have written.
    ///
    /// # Errors
    /// If it has no token, or one that is not below `vocabulary`.
    pub fn check(&self, vocabulary: usize) -> Result<(), SampleError> {
        let ids = &self.completion_token_ids;
        if ids.is_empty() {
            return Err(self.fault("completion_token_ids", "found no token, wanted at least one".into()));
        }
        match ids.iter().find(|id| **id as usize >= vocabulary) {
            None => Ok(()),
            Some(id) => {
                let wanted = format!("found {id}, wanted ids below the vocabulary's size {vocabulary}");
                Err(self.fault("completion_token_ids", wanted))
            }
        }
    }

    /// The row that the line itself is, with images from below `folder`.
    ///
    /// # Errors
    /// If an image's path leads out of the folder.
    pub fn own_row(&self, folder: &Path) -> Result<Row, SampleError> {
        let file = |relative: &String| {
            contained(folder, relative).map(ImageSource::File).map_err(|e| self.fault("image", e.to_string()))
        };
        Ok(Row {
            id: self.id.clone(),
            origin: self.origin.clone(),
            problem: self.problem.clone(),
            before: Vec::new(),
            answer: self.answer.clone(),
            images: self.image.iter().chain(&self.images).map(file).collect::<Result<_, _>>()?,
            labels: Labels::default(),
            demonstration: None,
        })
    }
}
