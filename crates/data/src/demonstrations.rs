//! Demonstrations: prompts with the completion that a model is to learn, one a line of a JSON Lines file, or made
//! when they are asked for.
//!
//! A line is `{"id", "image": "relative path" | "images": [...], "prompt", "prefill", "completion"}`; `prompt` and
//! `prefill` may be empty or absent, other fields are left alone, and each field may have another name. All lines
//! are read and checked when the file is opened, texts stay in memory, images stay on disk.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::error::{DatasetError, not_empty};
use crate::json_lines::{Source as Line, each_line};
use crate::made::Made;
use crate::order::Order;
use vigos_recipe::row::{BadRow, ImageSource, missing_file};

/// One demonstration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demonstration {
    /// Its name; without one in the file, the number of its line, counted from 1.
    pub id: String,
    /// At least one image, shown before the prompt.
    pub images: Vec<ImageSource>,
    /// What the user says; empty where the images alone are shown.
    pub prompt: String,
    /// How the answer begins; given, not learnt.
    pub prefill: String,
    /// How the answer goes on; what is learnt.
    pub completion: String,
    /// Where it stands: `FILE:LINE`.
    pub origin: String,
}

/// The names that the fields of a demonstration have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemonstrationFields {
    /// The image or images. With the name `image` a row may have `images` instead.
    pub image: String,
    /// The user's text: a string, empty or absent where the images alone are shown.
    pub prompt: String,
    /// How the answer begins: a string, empty or absent where it begins with the completion.
    pub prefill: String,
    /// What is learnt: a string that is not blank.
    pub completion: String,
    /// The row's name: a string or a number, or absent.
    pub id: String,
}

impl Default for DemonstrationFields {
    fn default() -> Self {
        let [image, prompt, prefill, completion, id] =
            ["image", "prompt", "prefill", "completion", "id"].map(str::to_owned);
        Self { image, prompt, prefill, completion, id }
    }
}

/// Open demonstrations; there is at least one.
#[derive(Debug)]
pub struct Demonstrations {
    path: PathBuf,
    source: Source,
    count: NonZeroUsize,
}

#[derive(Debug)]
enum Source {
    JsonLines(Vec<Demonstration>),
    Made(Made<Demonstration>),
}

impl Demonstrations {
    /// Opens the file at `path`. With `limit` only the first so many rows are used. The images need not be
    /// there yet, see [`Demonstrations::load`].
    ///
    /// # Errors
    /// [`DatasetError`]; the first row that is wrong is named.
    pub fn open(
        path: &Path,
        fields: &DemonstrationFields,
        limit: Option<usize>,
    ) -> Result<Self, DatasetError> {
        let rows = each_line(path, limit, |line| demonstration(&line, fields))?;
        Self::new(path, rows.len(), Source::JsonLines(rows))
    }

    /// So many demonstrations that are made when they are loaded: `make` gives the same for the same index every
    /// time. `path` stands for them in messages.
    ///
    /// # Errors
    /// [`DatasetError::Empty`].
    pub fn made(
        path: &Path,
        rows: usize,
        make: impl Fn(usize) -> Result<Demonstration, BadRow> + Send + Sync + 'static,
    ) -> Result<Self, DatasetError> {
        Self::new(path, rows, Source::Made(Made::new(rows, make)))
    }

    fn new(path: &Path, rows: usize, source: Source) -> Result<Self, DatasetError> {
        Ok(Self { count: not_empty(path, rows)?, path: path.to_owned(), source })
    }

    /// The number of rows.
    pub fn count(&self) -> NonZeroUsize {
        self.count
    }

    /// The shuffled order to read the rows in under the run's seed.
    pub fn order(&self, seed: u64) -> Order {
        Order::new(seed, self.count)
    }

    /// Row `index`, counted from 0; or why it cannot be used: its image files are not there.
    ///
    /// # Errors
    /// [`DatasetError::NoSuchRow`].
    pub fn load(&self, index: usize) -> Result<Result<Demonstration, BadRow>, DatasetError> {
        let row = match &self.source {
            Source::JsonLines(rows) => rows.get(index).cloned().map(Ok),
            Source::Made(rows) => rows.load(index),
        };
        match row {
            None => {
                let rows = self.count.get();
                Err(DatasetError::NoSuchRow { path: self.path.clone(), index, rows })
            }
            Some(Err(bad)) => Ok(Err(bad)),
            Some(Ok(row)) => Ok(match missing_file(&row.images) {
                None => Ok(row),
                Some(reason) => Err(BadRow { origin: row.origin, id: row.id, reason }),
            }),
        }
    }
}

fn demonstration(line: &Line, fields: &DemonstrationFields) -> Result<Demonstration, DatasetError> {
    Ok(Demonstration {
        id: line.id(&fields.id)?,
        images: line.images(&fields.image)?,
        prompt: line.optional_text(&fields.prompt)?,
        prefill: line.optional_text(&fields.prefill)?,
        completion: line.filled_text(&fields.completion)?,
        origin: line.origin(),
    })
}
