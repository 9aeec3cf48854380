//! The student: the frozen base with an adapter in eval mode, and what it answers.

use crate::base::Base;
use crate::engine::{Completion, Engine, Request, RolloutError};
use crate::error::RunError;
use crate::rolled_out::RolledOut;
use crate::sampler::Sampling;
use burn::tensor::Tensor;
use std::ops::ControlFlow;
use std::sync::Arc;
use vigos_kernels::{LOGITS_BUDGET, chunk_rows};
use vigos_models::scoring::score_tokens;
use vigos_models::{ActiveAdapter, Target};
use vigos_processor::Sequence;
use vigos_recipe::Recipe;
use vigos_recipe::sample::Sample;

/// Completions of a sample whose tokens are scored together.
const TOGETHER: usize = 4;

/// How completions are drawn.
#[derive(Clone, Copy, Debug)]
pub struct GenerationSettings {
    /// How a token is.
    pub sampling: Sampling,
    /// Most tokens of a completion.
    pub max_new_tokens: usize,
    /// Completions that decode together.
    pub rows: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl GenerationSettings {
    /// As `[rollout]` of a recipe says, under a seed.
    pub fn of(recipe: &Recipe, seed: u64) -> Self {
        let rollout = &recipe.rollout;
        let draws = &rollout.sampling;
        let sampling = Sampling {
            temperature: draws.temperature,
            top_k: draws.top_k,
            top_p: draws.top_p,
            min_p: draws.min_p,
            repetition_penalty: rollout.repetition_penalty,
            presence_penalty: rollout.presence_penalty,
            frequency_penalty: 0.0,
        };
        Self { sampling, max_new_tokens: draws.max_new_tokens, rows: draws.batch, seed }
    }
}

/// A base with an adapter in eval mode; without one it is the base itself.
#[derive(Clone, Copy, Debug)]
pub struct Student<'a> {
    /// The base.
    pub base: &'a Base<'a>,
    /// The adapter.
    pub adapter: Option<ActiveAdapter<'a>>,
}

impl Student<'_> {
    /// Completes samples, each with the number that its draws are keyed by, besides `step`. `watch` is called with
    /// the number of tokens drawn so far and may stop the work.
    ///
    /// # Errors
    /// [`RolloutError::Interrupted`] if it does; if a prompt does not fit the model or no token can be drawn.
    pub fn complete(
        &self,
        samples: &[(Arc<Sample>, u64)],
        generation: &GenerationSettings,
        step: u64,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<RolledOut>, RolloutError> {
        let completions = self.draw(samples, generation, step, watch)?;
        let read = samples.iter().zip(completions).map(|((sample, _), completion)| {
            self.base.read(sample.clone(), completion.tokens, completion.finish)
        });
        Ok(read.collect())
    }

    /// The same, before they are read.
    ///
    /// # Errors
    /// As [`Student::complete`].
    pub fn draw(
        &self,
        samples: &[(Arc<Sample>, u64)],
        generation: &GenerationSettings,
        step: u64,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>, RolloutError> {
        let engine = Engine {
            model: self.base.model.as_ref(),
            adapter: self.adapter,
            sampling: generation.sampling,
            stops: &self.base.files.stops,
            max_new_tokens: generation.max_new_tokens,
            rows: generation.rows,
            seed: generation.seed,
            step,
        };
        let requests: Vec<Request> = samples
            .iter()
            .map(|(s, number)| Request { prompt: &s.student, images: &s.images, sample: *number })
            .collect();
        engine.run(&requests, watch)
    }

    /// Completions that another drew, with how probable their tokens are for this student; with `most` a token counts for
    /// how much more probable it is here, see [`Foreign::compared`].
    ///
    /// # Errors
    /// If a token is not in the vocabulary, a log-probability is not finite, or the device fails.
    ///
    /// [`Foreign::compared`]: crate::Foreign::compared
    pub fn compare(&self, rollouts: Vec<RolledOut>, most: Option<f64>) -> Result<Vec<RolledOut>, RunError> {
        let mut logprobs = Vec::with_capacity(rollouts.len());
        for completions in rollouts.chunk_by(|a, b| Arc::ptr_eq(&a.sample, &b.sample)) {
            // What is computed together must not depend on who computes it.
            for together in completions.chunks(TOGETHER) {
                logprobs.extend(self.logprobs(together)?);
            }
        }
        let compared = rollouts.into_iter().zip(logprobs).map(|(mut rollout, own)| {
            rollout.foreign = rollout.foreign.map(|foreign| Box::new(foreign.compared(own, most)));
            rollout
        });
        Ok(compared.collect())
    }

    /// Log-probabilities of the tokens of some completions of one sample under the unmodified softmax, all by one forward.
    fn logprobs(&self, completions: &[RolledOut]) -> Result<Vec<Vec<f64>>, RunError> {
        let (model, sample) = (self.base.model.as_ref(), &completions[0].sample);
        let sequences: Vec<Sequence> =
            completions.iter().map(|c| sample.student.followed_by(&c.tokens)).collect();
        let packed = model.pack_groups(&[sequences.iter().collect()])?;
        let encoded = model.encode_images(&sample.images.iter().collect::<Vec<_>>(), self.adapter);
        let features: Vec<Tensor<2>> =
            packed.images().iter().map(|image| encoded[image.source[1]].clone()).collect();
        let hidden = model.forward(&packed, &features, self.adapter, &mut ());
        let first = sample.student.ids.len();
        let mut targets = Vec::new();
        for (sequence, completion) in completions.iter().enumerate() {
            let target = |(at, &token)| Target { row: packed.predicting_row(sequence, first + at), token };
            targets.extend(completion.tokens.iter().enumerate().map(target));
        }
        let chunk = chunk_rows(model.architecture().text.vocab_size, LOGITS_BUDGET);
        let scores = score_tokens(model, &hidden, &targets, chunk.get())?;
        if let Some(score) = scores.iter().find(|score| !score.logprob.is_finite()) {
            let what = format!("a log-probability of the student's ({}, row `{}`)", score.logprob, sample.id);
            return Err(RunError::NotFinite(what));
        }
        let mut logprobs = scores.into_iter().map(|score| score.logprob);
        Ok(completions.iter().map(|c| logprobs.by_ref().take(c.tokens.len()).collect()).collect())
    }
}
