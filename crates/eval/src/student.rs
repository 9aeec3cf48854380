//! The student as evaluation needs it: base, perhaps an adapter, sampling in eval mode.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use vigos_data::Row;
use vigos_hub::Progress;
use vigos_models::{ActiveAdapter, Adapter, peft};
use vigos_recipe::Method;
use vigos_recipe::Recipe;
use vigos_recipe::sample::{Sample, SampleError, SampleMaker, Skip, UserTexts};
use vigos_rollout::RunError;
use vigos_rollout::base::Base;
use vigos_rollout::engine::{Completion, Engine, Request, RolloutError};
use vigos_rollout::sampler::Sampling;

use crate::folder::Options;

/// A loaded student.
pub(crate) struct Student<'a> {
    pub(crate) base: Base<'a>,
    adapter: Option<Adapter>,
}

/// How completions are drawn.
#[derive(Clone, Copy)]
pub(crate) struct Drawing {
    pub(crate) sampling: Sampling,
    pub(crate) max_new_tokens: usize,
    pub(crate) rows: usize,
    pub(crate) seed: u64,
}

impl<'a> Student<'a> {
    /// Loads the base and the adapter that the recipe names.
    pub(crate) fn open(options: &Options<'a>, progress: &mut Progress) -> Result<Self, RunError> {
        let base = Base::open(options.recipe, options.families, options.device, progress)?;
        let load = |path: &Path| peft::load(path, base.model.architecture(), base.model.device());
        let adapter = options.recipe.model.adapter.as_deref().map(load).transpose()?;
        Ok(Self { base, adapter })
    }

    /// The adapter in eval mode.
    pub(crate) fn adapter(&self) -> Option<ActiveAdapter<'_>> {
        self.adapter.as_ref().map(|adapter| ActiveAdapter { adapter, dropout: None })
    }

    /// Samples a completion for each of these; `number` of each is part of its draws. None if `stop` is set.
    pub(crate) fn complete<'s>(
        &self,
        drawing: &Drawing,
        samples: impl Iterator<Item = (&'s Sample, u64)>,
        watch: &mut dyn FnMut(usize),
        stop: &AtomicBool,
    ) -> Result<Option<Vec<Completion>>, RunError> {
        let engine = Engine {
            model: self.base.model.as_ref(),
            adapter: self.adapter(),
            sampling: drawing.sampling,
            stops: &self.base.stops,
            max_new_tokens: drawing.max_new_tokens,
            rows: drawing.rows,
            seed: drawing.seed,
            step: 0,
        };
        let requests: Vec<Request> = samples
            .map(|(sample, number)| Request {
                prompt: &sample.student,
                images: &sample.images,
                sample: number,
            })
            .collect();
        let completions = engine.run(&requests, &mut |drawn| {
            watch(drawn);
            if stop.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match completions {
            Err(RolloutError::Interrupted) => Ok(None),
            other => Ok(Some(other?)),
        }
    }
}

/// The recipe's method with nobody but the student: prompts of teachers are not made.
pub(crate) fn alone(recipe: &Recipe) -> Method {
    Method { teachers: Vec::new(), ..recipe.method.clone() }
}

/// A row made ready; or what it is counted under, and why it is left out.
pub(crate) fn ready(
    maker: &SampleMaker,
    row: &Row,
) -> Result<Result<Sample, (&'static str, String)>, SampleError> {
    let made = maker.make(row, &UserTexts::new())?;
    Ok(made.map_err(|skip: Skip| (skip.kind(), skip.to_string())))
}
