//! From samples to completions: sampled from the student, or given by the data.

use crate::observer::Watch;
use std::sync::Arc;
use vigos_models::{ActiveAdapter, Adapter};
use vigos_recipe::Fidelity;
use vigos_recipe::sample::Sample;
use vigos_rollout::base::{Base, ModelFiles};
use vigos_rollout::engine::Finish;
use vigos_rollout::student::{GenerationSettings, Student};
use vigos_rollout::{RolledOut, RunError};

/// Completes a step's samples.
pub(crate) trait Rollout<W> {
    /// Completions of each, by the student as it is before step `step`.
    ///
    /// # Errors
    /// If one cannot be made, or the run is to stop.
    fn complete(
        &self,
        samples: Vec<Sample>,
        weights: &W,
        step: u64,
        watch: &mut Watch,
    ) -> Result<Vec<RolledOut>, RunError>;
}

/// On-policy: drawn from the student in eval mode.
pub(crate) struct Sampled<'a> {
    /// The base.
    pub(crate) base: &'a Base<'a>,
    /// How.
    pub(crate) generation: GenerationSettings,
    /// Completions of a sample.
    pub(crate) per_sample: usize,
}

impl Rollout<Adapter> for Sampled<'_> {
    fn complete(
        &self,
        samples: Vec<Sample>,
        weights: &Adapter,
        step: u64,
        watch: &mut Watch,
    ) -> Result<Vec<RolledOut>, RunError> {
        watch.observer.phase("rollout");
        let student =
            Student { base: self.base, adapter: Some(ActiveAdapter { adapter: weights, dropout: None }) };
        let numbered = |sample: Sample| {
            let first = sample.number * self.per_sample as u64;
            let sample = Arc::new(sample);
            (first..first + self.per_sample as u64).map(move |number| (sample.clone(), number))
        };
        let samples: Vec<_> = samples.into_iter().flat_map(numbered).collect();
        Ok(student.complete(&samples, &self.generation, step, &mut |drawn| watch.drawn(drawn))?)
    }
}

/// Off-policy: what the data has to be learnt.
pub(crate) struct Given<'a> {
    /// Ids to bytes.
    pub(crate) files: &'a ModelFiles,
}

impl<W> Rollout<W> for Given<'_> {
    fn complete(
        &self,
        samples: Vec<Sample>,
        _weights: &W,
        _step: u64,
        _watch: &mut Watch,
    ) -> Result<Vec<RolledOut>, RunError> {
        let given = |sample: Sample| {
            let tokens = sample.completion.clone();
            let text = self.files.text(&tokens);
            let verdict = text.verdict(Fidelity::Paper);
            RolledOut { sample: Arc::new(sample), tokens, finish: Finish::Stop, text, verdict }
        };
        Ok(samples.into_iter().map(given).collect())
    }
}
