//! From samples to completions: sampled from the student, or given by the data.

use crate::agreed::{agreed, by_the_first};
use crate::observer::Watch;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vigos_models::{ActiveAdapter, Adapter};
use vigos_ranks::{deal, shared};
use vigos_recipe::Fidelity;
use vigos_recipe::sample::Sample;
use vigos_rollout::base::{Base, ModelFiles};
use vigos_rollout::engine::Finish;
use vigos_rollout::student::{GenerationSettings, Student};
use vigos_rollout::{Foreign, RolledOut, RunError};
use vigos_vllm::Remote;

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
    /// The server that draws in the student's place, if one does.
    pub(crate) server: Option<Remote<'a>>,
    /// Most that a token counts for which it drew; without it all count the same.
    pub(crate) max_weight: Option<f64>,
}

/// What a rank tells the others of a completion.
#[derive(Serialize, Deserialize)]
struct Told {
    tokens: Vec<u32>,
    finish: Finish,
    foreign: Option<Box<Foreign>>,
}

impl Told {
    fn of(rollout: &RolledOut) -> Self {
        let RolledOut { tokens, finish, foreign, .. } = rollout;
        Self { tokens: tokens.clone(), finish: *finish, foreign: foreign.clone() }
    }

    fn read(self, base: &Base, sample: Arc<Sample>) -> RolledOut {
        RolledOut { foreign: self.foreign, ..base.read(sample, self.tokens, self.finish) }
    }
}

impl Sampled<'_> {
    /// Completions of this rank's samples, as the student is before step `step`: drawn by it, or for it.
    fn drawn(
        &self,
        student: &Student,
        own: &[(Arc<Sample>, u64)],
        step: u64,
        served: Option<&str>,
        watch: &mut Watch,
    ) -> Result<Vec<RolledOut>, RunError> {
        let drawn = &mut |tokens| watch.drawn(tokens);
        match (&self.server, served) {
            _ if own.is_empty() => Ok(Vec::new()),
            (Some(server), Some(name)) => {
                student.compare(server.complete(name, own, step, drawn)?, self.max_weight)
            }
            _ => Ok(student.complete(own, &self.generation, step, drawn)?),
        }
    }

    /// The adapter's name on the server, if there is one; the first rank puts it there.
    fn served(
        &self,
        adapter: &Adapter,
        samples: &[Arc<Sample>],
        step: u64,
        watch: &Watch,
    ) -> Result<Option<String>, RunError> {
        let Some(server) = &self.server else { return Ok(None) };
        let serve = || server.serve(adapter, samples, step, watch.stop).map(Some);
        let name = by_the_first(watch.ranks, serve, || Ok(None))?;
        Ok(shared(watch.ranks, &name)?.into_iter().next().flatten())
    }
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
        let served = self.served(weights, &samples, step, watch)?;
        let drawn = self.drawn(&student, &own, step, served.as_deref(), watch);
        let tell = |own: &Vec<RolledOut>| own.iter().map(Told::of).collect::<Vec<_>>();
        let (own, others) = agreed(watch, drawn, tell)?;
        let (mut own, mut others) = (own.into_iter(), others);
        let mut completions = Vec::with_capacity(samples.len() * self.per_sample);
        for (sample, dealt) in samples.iter().zip(dealt) {
            let Some((_, told)) = others.iter_mut().find(|(rank, _)| *rank == dealt) else {
                completions.extend(own.by_ref().take(self.per_sample));
                continue;
            };
            let told = told.drain(..self.per_sample.min(told.len()));
            completions.extend(told.map(|told| told.read(self.base, sample.clone())));
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
            RolledOut { sample: Arc::new(sample), tokens, finish: Finish::Stop, text, verdict, foreign: None }
        };
        Ok(samples.into_iter().map(given).collect())
    }
}
