//! What supervised training by a recipe takes.

use crate::distillation::computed_again;
use crate::fit::{Knob, Tunable, change};
use crate::micro_batches::MicroBatches;
use crate::{Estimate, PROMPT_TOKENS, Phase, Planned, keep, kept_bytes, see_first_rows};
use vigos_data::{Dataset, Row};
use vigos_kernels::LOGITS_BUDGET;
use vigos_models::gradient::Keep;
use vigos_models::memory::{Footprint, adapter_values};
use vigos_models::source::Kept;
use vigos_models::{AdapterConfig, Architecture};
use vigos_recipe::Recompute;
use vigos_recipe::demonstration::DemonstrationMaker;
use vigos_recipe::sft::SftRecipe;
use vigos_rollout::RunError;
use vigos_rollout::base::kept;

/// Samples that are computed together. A constant: the pieces of a micro-batch, and with them the rounding, must not depend
/// on the machine.
pub const PIECE: usize = 8;

/// Tokens of a completion where no row tells.
const COMPLETION_TOKENS: usize = 256;

/// What decides how much memory a supervised run takes.
#[derive(Clone, Debug, PartialEq)]
pub struct SupervisedPlan {
    /// Number format of a frozen base and of the activations.
    pub kept: Kept,
    /// The adapter that is trained; without one all weights are.
    pub adapter: Option<AdapterConfig>,
    /// What the forward keeps for its backward.
    pub keep: Keep,
    /// How a step is cut.
    pub cut: MicroBatches,
    /// Tokens of the longest prompt.
    pub prompt_tokens: usize,
    /// How many of them are its images'.
    pub image_tokens: usize,
    /// Tokens of the longest completion.
    pub completion_tokens: usize,
}

impl SupervisedPlan {
    /// The plan of a recipe that trains this adapter, or all weights, for prompts of [`PROMPT_TOKENS`] tokens, all of which
    /// may be an image's.
    pub fn of(recipe: &SftRecipe, adapter: Option<AdapterConfig>) -> Self {
        Self {
            kept: kept(recipe.train.precision, recipe.model.quantize),
            adapter,
            keep: keep(recipe.train.recompute, u64::MAX, None),
            cut: MicroBatches::from(&recipe.train),
            prompt_tokens: PROMPT_TOKENS,
            image_tokens: PROMPT_TOKENS,
            completion_tokens: COMPLETION_TOKENS,
        }
    }

    /// The same plan for the longest samples of a data set in the order of `seed`, as far as its first rows tell; as it is
    /// if none of them can be used.
    ///
    /// # Errors
    /// If the data cannot be read, or no row can become a sample.
    pub fn with_first_rows(
        self,
        maker: &DemonstrationMaker,
        dataset: &Dataset,
        seed: u64,
    ) -> Result<Self, RunError> {
        let merge = maker.processor.image_config().merge_size as usize;
        let (mut prompt, mut images, mut completion) = (0, 0, 0);
        let make = |number, row: &Row| maker.make(number, row);
        see_first_rows(dataset, seed, make, |sample| {
            prompt = prompt.max(sample.student.ids.len());
            images = images.max(sample.student.images.iter().map(|slot| slot.grid.tokens(merge)).sum());
            completion = completion.max(sample.completion.len());
        })?;
        Ok(match prompt {
            0 => self,
            _ => Self { prompt_tokens: prompt, image_tokens: images, completion_tokens: completion, ..self },
        })
    }

    /// The same plan with what `recompute` says, held against the memory that is free.
    #[must_use]
    pub fn with_recompute(self, recompute: Recompute, model: &Architecture, available: Option<u64>) -> Self {
        let [tokens, _, traced] = self.trained_on(model);
        let graphs = kept_bytes(&Footprint::new(model, self.kept), Keep::Graphs, [tokens, traced]);
        Self { keep: keep(recompute, graphs, available), ..self }
    }

    /// Tokens of a micro-batch, of its longest sequence, and of the images that a backward goes through.
    fn trained_on(&self, model: &Architecture) -> [u64; 3] {
        let (prompt, image) = (self.prompt_tokens as u64, self.image_tokens as u64);
        let length = prompt.saturating_add(self.completion_tokens as u64);
        let through_vision = self.adapter.as_ref().is_none_or(|adapter| {
            // A vision tower without an adapter is not gone back through.
            adapter.placements(model).unwrap_or_default().iter().any(|placement| placement.site.vision)
        });
        let traced = if through_vision { self.cut.rows(length).saturating_mul(image) } else { 0 };
        [self.cut.tokens(length), length, traced]
    }
}

impl Planned for SupervisedPlan {
    fn estimate(&self, model: &Architecture) -> Estimate {
        let of = Footprint::new(model, self.kept);
        let n = |count: usize| count as u64;
        let times = |a: u64, b: u64| a.saturating_mul(b);
        let (prompt, completion) = (n(self.prompt_tokens), n(self.completion_tokens));
        let [tokens, length, traced] = self.trained_on(model);
        let (batch, samples) = (self.cut.rows(length), n(self.cut.samples()));
        let several = self.cut.several(length);
        let adapter = self.adapter.as_ref();
        let adapter = adapter.map_or(0, |a| adapter_values(&a.placements(model).unwrap_or_default()));
        let values = if self.adapter.is_some() { adapter } else { of.parameters() };
        let trained = times(values, 4);

        let mut all = Estimate::of_model(&of, adapter, prompt, completion);
        all.push(
            Phase::Always,
            "optimiser",
            times(trained, 2),
            "2 moments of what is trained, in f32".into(),
        );
        let image = n(self.image_tokens);
        let formula =
            format!("pixels of twice {samples} prompts in f32, on the host: the next step's are made ahead");
        all.push(Phase::Always, "images", of.patches(times(2 * samples, image)), formula);

        let (images, adapted) = (times(batch, image), self.adapter.is_some());
        let forward = of.text_forward(tokens, adapted).max(of.vision_forward(images, adapted));
        let loss = of.loss(tokens, times(batch, completion), LOGITS_BUDGET as u64);
        let block = of.text_graph(tokens).max(of.vision_graph(traced));
        let what = if self.keep == Keep::Graphs { "activations" } else { "inputs" };
        let kept = kept_bytes(&of, self.keep, [tokens, traced]);
        let formula = format!("the {what} of all blocks for {tokens} tokens");
        // Micro-batches before this one have left the sum of their gradients.
        let sum = if several { trained } else { 0 };
        for phase in [Phase::Loss, Phase::Backward] {
            all.push(phase, "kept activations", kept, formula.clone());
        }
        let formula = format!("{} learnt tokens, a chunk of logits at a time", times(batch, completion));
        all.push(Phase::Loss, "loss", forward.max(loss), formula);
        all.push(Phase::Loss, "gradients", sum, "their sum so far".into());
        let (block, what) = computed_again(self.keep, block);
        let formula = format!("{what} of one block with {tokens} tokens");
        all.push(Phase::Backward, "activations", block.saturating_add(of.gradient(tokens)), formula);
        let parts = batch.div_ceil(n(PIECE));
        let formula = format!("in f32, of {parts} pieces of a micro-batch");
        all.push(Phase::Backward, "gradients", times(trained, parts).saturating_add(sum), formula);
        let copies = if several { 4 } else { 2 };
        let formula = format!("{copies} copies of the gradient, or of it and what is trained");
        all.push(Phase::Optimiser, "gradients", times(trained, copies), formula);
        all
    }
}

/// The knobs, those first that change what is learnt least.
const KNOBS: [Knob<SupervisedPlan>; 2] = [
    Knob {
        // The same samples a step, in smaller parts.
        lower: |plan| Some(SupervisedPlan { cut: plan.cut.halved()?, ..plan.clone() }),
        changes: |plan| plan.cut.changes(),
    },
    Knob {
        // All weights are trained in f32.
        lower: |plan| {
            plan.adapter.as_ref()?;
            Some(SupervisedPlan { kept: plan.kept.halved()?, ..plan.clone() })
        },
        changes: |_| vec![change("train.precision", "bf16")],
    },
];

impl Tunable for SupervisedPlan {
    fn knobs() -> &'static [Knob<Self>] {
        &KNOBS
    }

    fn with_prompts(&self, tokens: usize) -> Self {
        let text = self.prompt_tokens.saturating_sub(self.image_tokens);
        Self { prompt_tokens: tokens, image_tokens: tokens.saturating_sub(text), ..self.clone() }
    }

    fn alone(&self) -> Self {
        Self { cut: MicroBatches::ONE, ..self.clone() }
    }
}
