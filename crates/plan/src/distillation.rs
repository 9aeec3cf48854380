//! What self-distillation by a recipe takes.

use crate::fit::{FEWEST_TOKENS, Knob, Tunable, change};
use crate::micro_batches::MicroBatches;
use crate::{Estimate, PROMPT_TOKENS, Phase, Planned, keep, kept_bytes, see_first_rows};
use vigos_data::{Dataset, Row};
use vigos_kernels::LOGITS_BUDGET;
use vigos_models::gradient::Keep;
use vigos_models::memory::{Footprint, adapter_values};
use vigos_models::source::Kept;
use vigos_models::{AdapterConfig, Architecture};
use vigos_recipe::sample::{SampleMaker, UserTexts};
use vigos_recipe::{Engine, Recipe, Recompute, Teacher, When};
use vigos_rollout::RunError;
use vigos_rollout::base::kept;

/// What decides how much memory a run takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Number format of weights and activations.
    pub kept: Kept,
    /// The adapter: the recipe's, or the one that it starts from, whose layers may have ranks of their own.
    pub adapter: AdapterConfig,
    /// `rollout.batch`
    pub rollout_batch: usize,
    /// Whether completions are drawn while a step learns.
    pub draws_ahead: bool,
    /// `rollout.max_new_tokens`
    pub max_new_tokens: usize,
    /// How a step is cut.
    pub cut: MicroBatches,
    /// Tokens of the longest prompt.
    pub prompt_tokens: usize,
    /// How many of them are its images'.
    pub image_tokens: usize,
    /// Most teachers that read one completion.
    pub readings: usize,
    /// What the training forward keeps for its backward.
    pub keep: Keep,
}

impl Plan {
    /// The plan of a recipe that trains this adapter, for prompts of up to `prompt_tokens` tokens, or [`PROMPT_TOKENS`]
    /// unless given; never more than `most`. Every token of a prompt may be an image's.
    pub fn of(recipe: &Recipe, adapter: AdapterConfig, most: usize, prompt_tokens: Option<usize>) -> Self {
        let readers = |rollouts: When| {
            let reads = |t: &&Teacher| t.runs() && (t.when == When::Always || t.when == rollouts);
            recipe.method.teachers.iter().filter(reads).count()
        };
        let prompt_tokens = prompt_tokens.unwrap_or(PROMPT_TOKENS).min(most);
        Self {
            kept: kept(recipe.train.precision, recipe.model.quantize),
            adapter,
            rollout_batch: recipe.rollout.sampling.batch,
            draws_ahead: recipe.rollout.ahead > 0 && recipe.rollout.engine == Engine::Own,
            max_new_tokens: recipe.rollout.sampling.max_new_tokens,
            cut: MicroBatches::from(&recipe.train),
            prompt_tokens,
            image_tokens: prompt_tokens,
            readings: readers(When::Valid).max(readers(When::Invalid)),
            keep: keep(recipe.train.recompute, u64::MAX, None),
        }
    }

    /// The same plan for the longest prompts of a data set in the order of `seed`, as far as its first rows tell; as
    /// it is if none of them can be used.
    ///
    /// # Errors
    /// If the data cannot be read, or no row can become a sample.
    pub fn with_first_rows(
        self,
        maker: &SampleMaker,
        dataset: &Dataset,
        seed: u64,
    ) -> Result<Self, RunError> {
        Ok(match first_rows(maker, dataset, seed)? {
            [0, _] => self,
            [prompt_tokens, image_tokens] => Self { prompt_tokens, image_tokens, ..self },
        })
    }

    /// The same plan with what `recompute` says: all activations are kept, too, where it leaves that open and they take no
    /// more than a quarter of the memory that is free.
    pub fn with_recompute(self, recompute: Recompute, model: &Architecture, available: Option<u64>) -> Self {
        let [tokens, _, traced] = self.trained_on(model);
        let graphs = kept_bytes(&Footprint::new(model, self.kept), Keep::Graphs, [tokens, traced]);
        Self { keep: keep(recompute, graphs, available), ..self }
    }

    /// Tokens of a micro-batch, of its longest sequence, and of the images that a backward goes through.
    fn trained_on(&self, model: &Architecture) -> [u64; 3] {
        // A completion ends where the model's context does.
        let room = model.text.max_position_embeddings.saturating_sub(self.prompt_tokens).max(1);
        let length = self.prompt_tokens as u64 + self.max_new_tokens.min(room) as u64;
        // A vision tower without an adapter is not gone back through.
        let placements = self.adapter.placements(model).unwrap_or_default();
        let adapts_vision = placements.iter().any(|placement| placement.site.vision);
        let traced =
            if adapts_vision { self.cut.rows(length).saturating_mul(self.image_tokens as u64) } else { 0 };
        [self.cut.tokens(length), length, traced]
    }
}

impl Planned for Plan {
    fn estimate(&self, model: &Architecture) -> Estimate {
        let of = Footprint::new(model, self.kept);
        let n = |count: usize| count as u64;
        let times = |a: u64, b: u64| a.saturating_mul(b);
        let [tokens, length, traced] = self.trained_on(model);
        let prompt = n(self.prompt_tokens);
        let completion = length - prompt;
        let (batch, samples) = (self.cut.rows(length), n(self.cut.samples()));
        let several = self.cut.several(length);

        // A choice of layers that the model does not have is refused when the adapter is made.
        let placements = self.adapter.placements(model).unwrap_or_default();
        let values = adapter_values(&placements);
        let adapter = times(values, 4);
        let mut all = Estimate::of_model(&of, values, prompt, completion);
        all.push(Phase::Always, "optimiser", times(adapter, 2), "2 moments of the adapter in f32".into());
        let image = n(self.image_tokens);
        let steps = if self.draws_ahead { 3 } else { 2 };
        let formula = format!(
            "pixels of {steps} times {samples} prompts in f32, on the host: those of later steps are made ahead"
        );
        all.push(Phase::Always, "images", of.patches(times(steps * samples, image)), formula);

        let rows = n(self.rollout_batch).min(samples);
        all.push_rollout(&of, rows, length, image);
        if self.draws_ahead {
            let rollout = all.phase(Phase::Rollout);
            for phase in [Phase::Scoring, Phase::Loss, Phase::Backward] {
                all.push(
                    phase,
                    "rollout",
                    rollout,
                    "the next step's completions, drawn in the meantime".into(),
                );
            }
        }

        // Micro-batches before this one have left the sum of their gradients.
        let sum = if several { adapter } else { 0 };
        let images = times(batch, image);
        let read = times(times(batch, n(self.readings)), length);
        let scoring = of.text_forward(read, false).saturating_add(of.features(images));
        let scoring = scoring.max(of.vision_forward(images, false));
        let formula = format!("{batch} x {} readings of {length} tokens", self.readings);
        all.push(Phase::Scoring, "activations", scoring, formula);
        all.push(Phase::Scoring, "gradients", sum, "their sum so far".into());

        let scored = times(times(batch, n(self.readings)), completion);
        let kept = kept_bytes(&of, self.keep, [tokens, traced]).saturating_add(of.hidden(scored));
        let forward = of.text_forward(tokens, true).max(of.vision_forward(images, true));
        let loss = of.loss(tokens, scored, LOGITS_BUDGET as u64);
        let graph = of.text_graph(tokens).max(of.vision_graph(traced));
        for phase in [Phase::Loss, Phase::Backward] {
            let what = if self.keep == Keep::Graphs { "activations" } else { "inputs" };
            let formula =
                format!("the {what} of all blocks for {tokens} tokens, the teachers' hidden states");
            all.push(phase, "kept activations", kept, formula);
        }
        let formula = format!("{scored} supervised tokens, a chunk of logits at a time");
        all.push(Phase::Loss, "loss", forward.max(loss), formula);
        all.push(Phase::Loss, "gradients", sum, "their sum so far".into());
        let (graph, what) = computed_again(self.keep, graph);
        let formula = format!("{what} of one block with {tokens} tokens");
        all.push(Phase::Backward, "activations", graph.saturating_add(of.gradient(tokens)), formula);
        all.push(Phase::Backward, "gradients", adapter.saturating_add(sum), "in f32".into());

        let copies = if several { 4 } else { 2 };
        let formula = format!("{copies} copies of the gradient, or of it and the adapter");
        all.push(Phase::Optimiser, "gradients", times(adapter, copies), formula);
        all
    }
}

/// The knobs, those first that change what is learnt least.
const KNOBS: [Knob<Plan>; 4] = [
    Knob {
        lower: |plan| {
            let rows = plan.rollout_batch.min(plan.cut.samples());
            (rows > 1).then(|| Plan { rollout_batch: rows / 2, ..plan.clone() })
        },
        changes: |plan| vec![change("rollout.batch", plan.rollout_batch)],
    },
    Knob {
        // The same samples a step, in smaller parts.
        lower: |plan| Some(Plan { cut: plan.cut.halved()?, ..plan.clone() }),
        changes: |plan| plan.cut.changes(),
    },
    Knob {
        lower: |plan| Some(Plan { kept: plan.kept.halved()?, ..plan.clone() }),
        changes: |_| vec![change("train.precision", "bf16")],
    },
    Knob {
        lower: |plan| {
            let tokens = plan.max_new_tokens / 2;
            (tokens >= FEWEST_TOKENS).then(|| Plan { max_new_tokens: tokens, ..plan.clone() })
        },
        changes: |plan| vec![change("rollout.max_new_tokens", plan.max_new_tokens)],
    },
];

impl Tunable for Plan {
    fn knobs() -> &'static [Knob<Self>] {
        &KNOBS
    }

    fn with_prompts(&self, tokens: usize) -> Self {
        let text = self.prompt_tokens.saturating_sub(self.image_tokens);
        Self { prompt_tokens: tokens, image_tokens: tokens.saturating_sub(text), ..self.clone() }
    }

    fn alone(&self) -> Self {
        Self { rollout_batch: 1, cut: MicroBatches::ONE, ..self.clone() }
    }
}

/// What a block's backward has beside what was kept, of its graph and gradients; and what that is.
pub(crate) fn computed_again(keep: Keep, graph: u64) -> (u64, &'static str) {
    match keep {
        Keep::Inputs => (graph, "the graph"),
        // A third are gradients, which come and go with its backward; the rest was kept.
        Keep::Graphs => (graph / 3, "the gradients"),
    }
}

/// Tokens of the longest prompt of the first rows, and the most that are its images'.
fn first_rows(maker: &SampleMaker, dataset: &Dataset, seed: u64) -> Result<[usize; 2], RunError> {
    let merge = maker.processor.image_config().merge_size as usize;
    let mut longest = [0, 0];
    let make = |number, row: &Row| maker.make(number, row, &UserTexts::new());
    see_first_rows(dataset, seed, make, |sample| {
        for prompt in std::iter::once(&sample.student).chain(&sample.teachers) {
            let images = prompt.images.iter().map(|slot| slot.grid.tokens(merge)).sum();
            longest = [longest[0].max(prompt.ids.len()), longest[1].max(images)];
        }
    })?;
    Ok(longest)
}
