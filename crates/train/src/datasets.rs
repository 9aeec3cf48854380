//! Data sets as a recipe names them.

use crate::shapes::{self, is_drawn};
use std::path::Path;
use vigos_data::{Dataset, DemonstrationFields, Demonstrations, Fields};
use vigos_hub::{Hub, Progress, is_reference};
use vigos_recipe::Recipe;
use vigos_recipe::row::{BadRow, Demonstration, Labels, Row};
use vigos_recipe::sft::SftData;
use vigos_rollout::RunError;

/// Opens the recipe's data set; `progress` sees what has to be fetched from the hub.
///
/// # Errors
/// If it cannot be had or is wrong, or has no such split.
pub fn open_dataset(recipe: &Recipe, progress: &mut Progress) -> Result<Dataset, RunError> {
    let data = &recipe.data;
    let names = data.fields.clone();
    let fields = Fields { problem: names.problem, image: names.image, answer: names.answer, id: names.id };
    let source =
        Source { section: "data", path: &data.path, split: data.split.as_deref(), limit: data.limit };
    source.open(&fields, progress)
}

/// A data set as a section of a recipe names it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The section.
    pub section: &'a str,
    /// Its `path`.
    pub path: &'a Path,
    /// Its `split`.
    pub split: Option<&'a str>,
    /// Its `limit`.
    pub limit: Option<usize>,
}

impl Source<'_> {
    /// Opens it to read rows of these fields.
    ///
    /// # Errors
    /// As [`open_dataset`].
    pub fn open(&self, fields: &Fields, progress: &mut Progress) -> Result<Dataset, RunError> {
        let drawn = is_drawn(self.path);
        if !drawn && !is_reference(self.path) {
            return Ok(Dataset::open_split(self.path, self.split, fields, self.limit)?);
        }
        if let Some(split) = self.split {
            return Err(RunError::Setting {
                key: format!("{}.split", self.section),
                found: format!("\"{split}\""),
                wanted: format!("nothing: {}.path names the split", self.section),
            });
        }
        if drawn {
            return shapes::dataset(self.path, self.limit);
        }
        let files = Hub::from_env()?.dataset(self.path, progress)?;
        Ok(Dataset::open_parquet(self.path, files, fields, self.limit)?)
    }
}

/// Opens a supervised recipe's data set.
///
/// # Errors
/// If it cannot be had or is wrong.
pub(crate) fn open_demonstrations(data: &SftData) -> Result<Dataset, RunError> {
    let names = data.fields.clone();
    let fields = DemonstrationFields {
        image: names.image,
        prompt: names.prompt,
        prefill: names.prefill,
        completion: names.completion,
        id: names.id,
    };
    let rows = match is_drawn(&data.path) {
        true => shapes::demonstrations(&data.path, data.limit)?,
        false => Demonstrations::open(&data.path, &fields, data.limit)?,
    };
    let count = rows.count().get();
    Ok(Dataset::made(&data.path, count, move |index| {
        let row = rows.load(index).map_err(|error| BadRow {
            origin: String::new(),
            id: index.to_string(),
            reason: error.to_string(),
        })??;
        let demonstration = Demonstration { prefill: row.prefill, completion: row.completion };
        Ok(Row {
            id: row.id,
            problem: row.prompt,
            answer: String::new(),
            images: row.images,
            origin: row.origin,
            labels: Labels::default(),
            demonstration: Some(demonstration),
        })
    })?)
}
