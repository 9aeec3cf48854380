//! The student: the frozen base with an adapter in eval mode, and what it answers.

use crate::base::Base;
use crate::engine::{Engine, Request, RolloutError};
use crate::rolled_out::RolledOut;
use crate::sampler::Sampling;
use std::ops::ControlFlow;
use std::sync::Arc;
use vigos_models::ActiveAdapter;
use vigos_recipe::Recipe;
use vigos_recipe::sample::Sample;

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
        let completions = engine.run(&requests, watch)?;
        let read = samples.iter().zip(completions).map(|((sample, _), completion)| {
            self.base.read(sample.clone(), completion.tokens, completion.finish)
        });
        Ok(read.collect())
    }
}
