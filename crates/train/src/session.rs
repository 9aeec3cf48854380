//! Everything that a recipe names, loaded: model, adapter, processor, prompts.

use crate::objective::Rollout;
use crate::shapes::{self, is_drawn};
use burn::tensor::Device;
use std::ops::Deref;
use std::path::Path;
use vigos_data::{Dataset, Fields};
use vigos_hub::{Hub, Progress, is_reference};
use vigos_models::{Adapter, Dropout, DropoutPair, Families};
use vigos_processor::ImagePatches;
use vigos_recipe::Recipe;
use vigos_rollout::RunError;
use vigos_rollout::adapter::{lora_config, open_adapter};
use vigos_rollout::base::{Base, sampling};

/// A loaded recipe: the base with an adapter to train.
#[derive(Debug)]
pub struct Session<'a> {
    base: Base<'a>,
    /// The adapter to start from.
    pub adapter: Adapter,
}

impl<'a> Deref for Session<'a> {
    type Target = Base<'a>;

    fn deref(&self) -> &Base<'a> {
        &self.base
    }
}

impl<'a> Session<'a> {
    /// Loads all that `recipe` names onto `device`, a model of one of `families`; `progress` sees what has to be
    /// fetched from the hub.
    ///
    /// # Errors
    /// If a file is missing or wrong, or the recipe asks for what the model does not have.
    pub fn open(
        recipe: &'a Recipe,
        families: &Families,
        device: &Device,
        progress: &mut Progress,
    ) -> Result<Self, RunError> {
        let wanted = lora_config(&recipe.lora)?;
        sampling(recipe).check()?;
        let base = Base::open(recipe, families, device, progress)?;
        let (from, seed) = (recipe.model.adapter.as_deref(), recipe.train.seed);
        let adapter = open_adapter(&wanted, from, base.model.architecture(), seed, device, progress)?;
        Ok(Self { base, adapter })
    }

    /// The training forward's dropout over the packed rows of a micro-batch whose samples have these numbers
    /// in the run; nothing if the recipe has none.
    pub fn dropout(&self, step: u64, numbers: &[u64], rollouts: &[Rollout]) -> Option<DropoutPair> {
        let samples: Vec<DroppedSample> = numbers
            .iter()
            .zip(rollouts)
            .map(|(&number, r)| DroppedSample {
                number,
                tokens: r.sample.student.ids.len() + r.completion.len(),
                images: &r.sample.images,
            })
            .collect();
        let (probability, seed) = (self.recipe.lora.dropout, self.recipe.train.seed);
        dropout(probability, seed, step, &samples, self.model.device())
    }
}

/// A sample of a micro-batch, as dropout sees it.
pub(crate) struct DroppedSample<'a> {
    /// Its number in the run.
    pub(crate) number: u64,
    /// Its tokens.
    pub(crate) tokens: usize,
    /// Its images.
    pub(crate) images: &'a [ImagePatches],
}

/// The training forward's dropout over the packed rows of these samples; nothing at probability 0.
pub(crate) fn dropout(
    probability: f64,
    seed: u64,
    step: u64,
    samples: &[DroppedSample],
    device: &Device,
) -> Option<DropoutPair> {
    if probability <= 0.0 {
        return None;
    }
    let text = samples.iter().flat_map(|s| (0..s.tokens as u64).map(move |position| (s.number, position)));
    // A patch is named by its image and its place in it.
    let vision = samples.iter().flat_map(|s| {
        s.images.iter().zip(1u64..).flat_map(move |(image, order)| {
            (0..image.grid.patches() as u64).map(move |patch| (s.number, (order << 32) + patch))
        })
    });
    Some(DropoutPair {
        vision: Dropout::new(probability, seed, step, vision, device),
        text: Dropout::new(probability, seed, step, text, device),
    })
}

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
