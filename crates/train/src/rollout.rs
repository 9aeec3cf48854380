//! From samples to completions: sampled from the student, or given by the data.

use crate::agreed::agreed;
use crate::observer::Watch;
use std::sync::Arc;
use vigos_models::{ActiveAdapter, Adapter};
use vigos_ranks::deal;
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
        // The completions of a sample are one rank's, which reads their prompt once.
        let most = self.generation.max_new_tokens * self.per_sample;
        let lengths: Vec<u64> = samples.iter().map(|s| (s.student.ids.len() + most) as u64).collect();
        let dealt = deal(&lengths, watch.ranks.count());
        let samples: Vec<Arc<Sample>> = samples.into_iter().map(Arc::new).collect();
        let numbered = |sample: &Arc<Sample>| {
            let first = sample.number * self.per_sample as u64;
            let sample = sample.clone();
            (first..first + self.per_sample as u64).map(move |number| (sample.clone(), number))
        };
        let rank = watch.ranks.rank();
        let own = samples.iter().zip(&dealt).filter(|(_, dealt)| **dealt == rank);
        let own: Vec<_> = own.flat_map(|(sample, _)| numbered(sample)).collect();
        let completed = match own.is_empty() {
            true => Ok(Vec::new()),
            false => student.complete(&own, &self.generation, step, &mut |drawn| watch.drawn(drawn)),
        };
        let drawn = |own: &Vec<RolledOut>| -> Vec<(Vec<u32>, Finish)> {
            own.iter().map(|r| (r.tokens.clone(), r.finish)).collect()
        };
        let (own, others) = agreed(watch, completed.map_err(RunError::from), drawn)?;
        let (mut own, mut others) = (own.into_iter(), others);
        let mut completions = Vec::with_capacity(samples.len() * self.per_sample);
        for (sample, dealt) in samples.iter().zip(dealt) {
            let Some((_, told)) = others.iter_mut().find(|(rank, _)| *rank == dealt) else {
                completions.extend(own.by_ref().take(self.per_sample));
                continue;
            };
            let told = told.drain(..self.per_sample.min(told.len()));
            completions.extend(told.map(|(tokens, end)| self.base.read(sample.clone(), tokens, end)));
        }
        Ok(completions)
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
