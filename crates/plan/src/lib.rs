//! How much memory a run or a generation takes, estimated before anything is loaded.
//!
//! An estimate is a list of parts, each with its formula. Some are there all the time; the others belong to a phase
//! of the step, and only one phase's are there at once: the peak is the permanent parts and the largest phase. What
//! a part of the model takes is [`vigos_models::memory::Footprint`]'s to say; [`distillation`] and [`supervised`] put it together
//! for a recipe, [`fit`] says what to change where it is too much. docs/memory.md explains the formulas.

pub mod distillation;
pub mod fit;
pub mod growth;
pub mod micro_batches;
pub mod supervised;

use serde::Serialize;
use vigos_data::{Dataset, Row};
use vigos_models::Architecture;
use vigos_models::gradient::Keep;
use vigos_models::memory::Footprint;
use vigos_models::source::Kept;
use vigos_recipe::Recompute;
use vigos_recipe::sample::{Sample, SampleError, Skip};
use vigos_rollout::{PREFILL_TOKENS, RunError};

/// Tokens of a prompt where nobody says: an image of a megapixel and a half, and a question.
pub const PROMPT_TOKENS: usize = 2048;
/// Rows of a data set that are looked at before a run.
const FIRST_ROWS: u64 = 16;

/// What decides how much memory a run takes, whatever kind of run it is.
pub trait Planned {
    /// What training this model takes.
    fn estimate(&self, model: &Architecture) -> Estimate;
}

/// What is taken, part by part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Parameters of the model.
    pub parameters: u64,
    /// Values of the adapter.
    pub adapter_parameters: u64,
    /// Tokens of the longest prompt that it holds for.
    pub prompt_tokens: usize,
    /// Tokens of the longest completion.
    pub completion_tokens: usize,
    /// Every part.
    pub parts: Vec<Part>,
}

/// One part of the memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// When it is there.
    pub phase: Phase,
    /// What it is.
    pub name: &'static str,
    /// Its size.
    pub bytes: u64,
    /// What the size is made of.
    pub formula: String,
}

/// When a part is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// All the time.
    Always,
    /// While the weights are read.
    Loading,
    /// While completions are sampled.
    Rollout,
    /// While teachers read them.
    Scoring,
    /// In the student's training forward, and in the loss behind it.
    Loss,
    /// In the student's backward.
    Backward,
    /// While gradients are added up and the adapter is changed.
    Optimiser,
}

/// What lies between a training forward and its backward: of `tokens` packed tokens and of images of `traced`
/// tokens.
fn kept_bytes(of: &Footprint, keep: Keep, [tokens, traced]: [u64; 2]) -> u64 {
    match keep {
        Keep::Inputs => of.kept(tokens, traced),
        Keep::Graphs => of.kept_graphs(tokens, traced),
    }
}

/// What a training forward keeps as a recipe says: where that leaves it open, all activations if their `bytes` are no more
/// than a quarter of the memory that is free.
pub fn keep(recompute: Recompute, bytes: u64, available: Option<u64>) -> Keep {
    match (recompute, available) {
        (Recompute::None, _) => Keep::Graphs,
        (Recompute::Auto, Some(available)) if bytes <= available / 4 => Keep::Graphs,
        _ => Keep::Inputs,
    }
}

impl Phase {
    /// Those of which one is there at a time, in their order.
    pub const IN_TURN: [Self; 6] =
        [Self::Loading, Self::Rollout, Self::Scoring, Self::Loss, Self::Backward, Self::Optimiser];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Loading => "loading",
            Self::Rollout => "rollout",
            Self::Scoring => "scoring",
            Self::Loss => "loss",
            Self::Backward => "backward",
            Self::Optimiser => "optimiser",
        }
    }
}

impl Estimate {
    /// Bytes of the parts of a phase.
    pub fn phase(&self, phase: Phase) -> u64 {
        let parts = self.parts.iter().filter(|part| part.phase == phase);
        parts.map(|part| part.bytes).fold(0, u64::saturating_add)
    }

    /// The phase that takes most.
    pub fn largest_phase(&self) -> Phase {
        Phase::IN_TURN.into_iter().max_by_key(|phase| self.phase(*phase)).unwrap_or(Phase::Always)
    }

    /// Most bytes that are taken at once.
    pub fn peak(&self) -> u64 {
        self.phase(Phase::Always).saturating_add(self.phase(self.largest_phase()))
    }

    /// What is there all the time for completions: the weights, and the adapter's values in f32.
    fn of_model(of: &Footprint, adapter: u64, prompt: u64, completion: u64) -> Self {
        let count = |n| usize::try_from(n).unwrap_or(usize::MAX);
        let mut all = Self {
            parameters: of.parameters(),
            adapter_parameters: adapter,
            prompt_tokens: count(prompt),
            completion_tokens: count(completion),
            parts: Vec::new(),
        };
        let formula = format!("{} parameters x {}", of.parameters(), of.formats());
        all.push(Phase::Always, "weights", of.weights(), formula);
        all.push(Phase::Always, "adapter", adapter.saturating_mul(4), format!("{adapter} values x 4 bytes"));
        all.push(Phase::Loading, "one tensor", of.loading(), "the largest, as it is stored".into());
        all
    }

    /// Sampling `rows` completions together, in a cache of `columns` tokens a row; of every prompt's tokens
    /// `image_tokens` are an image's.
    fn push_rollout(&mut self, of: &Footprint, rows: u64, columns: u64, image_tokens: u64) {
        let (prompt, adapted) = (self.prompt_tokens as u64, self.adapter_parameters > 0);
        let cached = rows.saturating_mul(columns);
        let formula = format!("{rows} rows x {columns} tokens x {} bytes", of.keys_and_values(1));
        self.push(Phase::Rollout, "KV cache", of.keys_and_values(cached), formula);
        let together = (PREFILL_TOKENS as u64 / prompt.max(1)).clamp(1, rows.max(1));
        let (prompts, images) = (together.saturating_mul(prompt), together.saturating_mul(image_tokens));
        let prefill = of
            .text_forward(prompts, adapted)
            .saturating_add(of.keys_and_values(prompts))
            .saturating_add(of.features(images))
            .max(of.vision_forward(images, adapted))
            .max(of.decoding(cached));
        let formula = format!("{together} prompts of {prompt} tokens read at once");
        self.push(Phase::Rollout, "activations", prefill, formula);
        self.push(Phase::Rollout, "logits", of.logits(rows), format!("{rows} rows of the vocabulary"));
    }

    fn push(&mut self, phase: Phase, name: &'static str, bytes: u64, formula: String) {
        self.parts.push(Part { phase, name, bytes, formula });
    }
}

/// What it takes to complete one prompt of `prompt` tokens, `images` of them its images', with up to `completion`
/// new ones; `adapter` is the number of an adapter's values, or zero.
pub fn generation(
    model: &Architecture,
    kept: Kept,
    adapter: u64,
    [prompt, images, completion]: [u64; 3],
) -> Estimate {
    let of = Footprint::new(model, kept);
    let mut all = Estimate::of_model(&of, adapter, prompt, completion);
    all.push(Phase::Always, "images", of.patches(images), "pixels in f32, on the host".into());
    all.push_rollout(&of, 1, prompt.saturating_add(completion), images);
    all
}

/// Hands the samples of the first rows of a data set, in the order of `seed`, to `see`; rows that cannot be used are passed
/// over.
fn see_first_rows(
    dataset: &Dataset,
    seed: u64,
    make: impl Fn(u64, &Row) -> Result<Result<Sample, Skip>, SampleError>,
    mut see: impl FnMut(Sample),
) -> Result<(), RunError> {
    let mut order = dataset.order(seed);
    for number in 0..FIRST_ROWS.min(dataset.count().get() as u64) {
        let Ok(row) = dataset.load(order.at(number).1)? else { continue };
        if let Ok(sample) = make(number, &row)? {
            see(sample);
        }
    }
    Ok(())
}
