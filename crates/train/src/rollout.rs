//! From samples to completions: sampled from the student, or given by the data.
//!
//! ```text
//! samples ─ dealt ─► drawn, each rank its own ─ gathered ─► all completions ─ read ─► RolledOut
//! ```
//!
//! Only drawing takes long, and it needs neither the other ranks nor an observer, so it can be done beside something else.

use crate::agreed::{agreed, of_the_first};
use crate::observer::Watch;
use std::ops::ControlFlow;
use std::sync::Arc;
use vigos_models::{ActiveAdapter, Adapter};
use vigos_ranks::deal;
use vigos_recipe::Fidelity;
use vigos_recipe::sample::Sample;
use vigos_rollout::base::{Base, ModelFiles};
use vigos_rollout::engine::{Completion, Finish};
use vigos_rollout::student::{GenerationSettings, Student};
use vigos_rollout::{RolledOut, RunError};
use vigos_vllm::Remote;

/// Completes a step's samples.
pub(crate) trait Rollout<W>: Sync {
    /// A step's samples, dealt to the ranks.
    type Dealt: Sync;

    /// Deals samples that the student as it is now is to complete, for step `step`.
    ///
    /// # Errors
    /// If a server will not have the student.
    fn deal(
        &self,
        samples: &[Arc<Sample>],
        weights: &W,
        step: u64,
        watch: &Watch,
    ) -> Result<Self::Dealt, RunError>;

    /// Completions of those that are this rank's. `tell` is called with the tokens drawn so far, and may stop the work.
    ///
    /// # Errors
    /// If one cannot be made, or `tell` breaks.
    fn draw(
        &self,
        dealt: &Self::Dealt,
        weights: &W,
        tell: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>, RunError>;

    /// All completions of the step, from what every rank has drawn.
    ///
    /// # Errors
    /// That of the first rank that could not draw its own.
    fn gather(
        &self,
        dealt: Self::Dealt,
        own: Result<Vec<Completion>, RunError>,
        watch: &mut Watch,
    ) -> Result<Vec<Completion>, RunError>;

    /// What a step learns from them: the completions of these samples, drawn so many updates ago.
    ///
    /// # Errors
    /// If the student cannot read what another drew.
    fn read(
        &self,
        samples: &[Arc<Sample>],
        completions: Vec<Completion>,
        stale: u64,
        weights: &W,
        watch: &mut Watch,
    ) -> Result<Vec<RolledOut>, RunError>;

    /// Samples completed by the student as it is now, with nothing else beside it.
    ///
    /// # Errors
    /// If one cannot be, or the run is to stop.
    fn complete(
        &self,
        samples: &[Arc<Sample>],
        weights: &W,
        step: u64,
        watch: &mut Watch,
    ) -> Result<Vec<Completion>, RunError> {
        watch.observer.phase("rollout");
        let dealt = self.deal(samples, weights, step, watch)?;
        let own = self.draw(&dealt, weights, &mut |tokens| watch.drawn(tokens));
        self.gather(dealt, own, watch)
    }
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

/// Samples of which some are this rank's.
pub(crate) struct Shares {
    /// The rank of each sample.
    ranks: Vec<usize>,
    /// This rank's, each with the number that its draws are keyed by.
    own: Vec<(Arc<Sample>, u64)>,
    /// The step of the draws.
    step: u64,
    /// The student's name on the server, where there is one.
    served: Option<String>,
}

impl Sampled<'_> {
    fn student<'b>(&'b self, weights: &'b Adapter) -> Student<'b> {
        Student { base: self.base, adapter: Some(ActiveAdapter { adapter: weights, dropout: None }) }
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
        of_the_first(watch.ranks, || server.serve(adapter, samples, step, watch.stop).map(Some))
    }

    /// Completions that another drew than the student as it is, held against it: each rank its share, by sample.
    fn compared(
        &self,
        rollouts: Vec<RolledOut>,
        weights: &Adapter,
        watch: &mut Watch,
    ) -> Result<Vec<RolledOut>, RunError> {
        let tokens = |of: &[RolledOut]| of.iter().map(|rollout| rollout.length() as u64).sum();
        let lengths: Vec<u64> = rollouts.chunks(self.per_sample).map(tokens).collect();
        let ranks = deal(&lengths, watch.ranks.count());
        let mut shares: Vec<_> = rollouts.chunks(self.per_sample).zip(&ranks).collect();
        shares.retain(|(_, rank)| **rank == watch.ranks.rank());
        let own: Vec<RolledOut> = shares.into_iter().flat_map(|(of, _)| of.to_vec()).collect();
        let foreign = self.student(weights).compare(own, self.max_weight);
        let foreign = foreign.map(|own| own.into_iter().map(|rollout| rollout.foreign).collect::<Vec<_>>());
        let (own, others) = agreed(watch, foreign, Clone::clone)?;
        let foreign = in_order(own, others, &ranks, self.per_sample);
        Ok(rollouts
            .into_iter()
            .zip(foreign)
            .map(|(rollout, foreign)| RolledOut { foreign, ..rollout })
            .collect())
    }
}

impl Rollout<Adapter> for Sampled<'_> {
    type Dealt = Shares;

    fn deal(
        &self,
        samples: &[Arc<Sample>],
        weights: &Adapter,
        step: u64,
        watch: &Watch,
    ) -> Result<Shares, RunError> {
        // The completions of a sample are one rank's, which reads their prompt once.
        let most = self.generation.max_new_tokens * self.per_sample;
        let lengths: Vec<u64> = samples.iter().map(|s| (s.student.ids.len() + most) as u64).collect();
        let ranks = deal(&lengths, watch.ranks.count());
        let numbered = |sample: &Arc<Sample>| {
            let first = sample.number * self.per_sample as u64;
            let sample = sample.clone();
            (first..first + self.per_sample as u64).map(move |number| (sample.clone(), number))
        };
        let own = samples.iter().zip(&ranks).filter(|(_, rank)| **rank == watch.ranks.rank());
        let own = own.flat_map(|(sample, _)| numbered(sample)).collect();
        let served = self.served(weights, samples, step, watch)?;
        Ok(Shares { ranks, own, step, served })
    }

    fn draw(
        &self,
        Shares { own, step, served, .. }: &Shares,
        weights: &Adapter,
        tell: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>, RunError> {
        match (&self.server, served) {
            _ if own.is_empty() => Ok(Vec::new()),
            (Some(server), Some(name)) => server.complete(name, own, *step, tell),
            _ => Ok(self.student(weights).draw(own, &self.generation, *step, tell)?),
        }
    }

    fn gather(
        &self,
        dealt: Shares,
        own: Result<Vec<Completion>, RunError>,
        watch: &mut Watch,
    ) -> Result<Vec<Completion>, RunError> {
        let (own, others) = agreed(watch, own, Clone::clone)?;
        Ok(in_order(own, others, &dealt.ranks, self.per_sample))
    }

    fn read(
        &self,
        samples: &[Arc<Sample>],
        completions: Vec<Completion>,
        stale: u64,
        weights: &Adapter,
        watch: &mut Watch,
    ) -> Result<Vec<RolledOut>, RunError> {
        let samples = samples.iter().flat_map(|sample| std::iter::repeat_n(sample, self.per_sample));
        let read = |(sample, Completion { tokens, logprobs, finish }): (&Arc<Sample>, _)| {
            (self.base.read(sample.clone(), tokens, finish), logprobs)
        };
        let read = samples.zip(completions).map(read);
        if self.server.is_none() && stale == 0 {
            return Ok(read.map(|(rollout, _)| rollout).collect());
        }
        let read = read.map(|(rollout, logprobs)| rollout.drawn_at(logprobs)).collect();
        self.compared(read, weights, watch)
    }
}

/// What all ranks have of a step's samples, in their order: `each` of a sample, all of them by the rank in `ranks`. `own` are this
/// rank's, and `others` those of every other one.
fn in_order<T>(own: Vec<T>, others: Vec<(usize, Vec<T>)>, ranks: &[usize], each: usize) -> Vec<T> {
    let (mut own, mut all) = (own.into_iter(), Vec::with_capacity(ranks.len() * each));
    let mut others: Vec<_> = others.into_iter().map(|(rank, of)| (rank, of.into_iter())).collect();
    for rank in ranks {
        let of = others.iter_mut().find(|(other, _)| other == rank).map_or(&mut own, |(_, of)| of);
        all.extend(of.take(each));
    }
    all
}

/// Off-policy: what the data has to be learnt.
pub(crate) struct Given<'a> {
    /// Ids to bytes.
    pub(crate) files: &'a ModelFiles,
}

impl<W> Rollout<W> for Given<'_> {
    type Dealt = Vec<Arc<Sample>>;

    fn deal(&self, samples: &[Arc<Sample>], _: &W, _: u64, _: &Watch) -> Result<Self::Dealt, RunError> {
        Ok(samples.to_vec())
    }

    fn draw(
        &self,
        samples: &Self::Dealt,
        _: &W,
        _: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>, RunError> {
        let given = |sample: &Arc<Sample>| {
            let tokens = sample.completion.clone();
            Completion { tokens, logprobs: Vec::new(), finish: Finish::Stop }
        };
        Ok(samples.iter().map(given).collect())
    }

    /// Every rank has them all.
    fn gather(
        &self,
        _: Self::Dealt,
        own: Result<Vec<Completion>, RunError>,
        _: &mut Watch,
    ) -> Result<Vec<Completion>, RunError> {
        own
    }

    fn read(
        &self,
        samples: &[Arc<Sample>],
        completions: Vec<Completion>,
        _: u64,
        _: &W,
        _: &mut Watch,
    ) -> Result<Vec<RolledOut>, RunError> {
        let read = |(sample, Completion { tokens, finish, .. }): (&Arc<Sample>, _)| {
            let text = self.files.text(&tokens);
            let verdict = text.verdict(Fidelity::Paper);
            RolledOut { sample: sample.clone(), tokens, finish, text, verdict, foreign: None }
        };
        Ok(samples.iter().zip(completions).map(read).collect())
    }
}
