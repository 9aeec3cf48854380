//! Batched decoding: many prompts in, completions out.
//!
//! A fixed number of rows decode together. A sequence that ends frees its row, and the next waiting prompt is
//! prefilled into it; when nothing waits any more, free rows are dropped. Every draw is keyed by
//! (seed, step, sample, position), so which rows a sequence shares a batch with does not enter its draws.
//! On a CPU it does not enter its logits either; elsewhere they can differ by rounding, since a matrix product of
//! another height may add in another order.

use crate::batch::{Batch, Forward, Logits};
use crate::prefilled::Prefilled;
use crate::sampler::{Sampling, SamplingError, Seen};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Once;
use vigos_core::random::Key;
pub use vigos_data::recorded::Finish;
use vigos_kernels::{EXACT_ROWS, on_cpu};
use vigos_models::{ActiveAdapter, ModelError, VisionLanguageModel};
use vigos_processor::{ImagePatches, Sequence};

/// How a batch of completions is made.
#[derive(Clone, Copy, Debug)]
pub struct Engine<'a> {
    /// The frozen base.
    pub model: &'a dyn VisionLanguageModel,
    /// The student's adapter in eval mode; `None` samples from the base.
    pub adapter: Option<ActiveAdapter<'a>>,
    /// How a token is drawn.
    pub sampling: Sampling,
    /// Tokens that end a completion; the one drawn is kept as its last token.
    pub stops: &'a [u32],
    /// Most tokens of a completion; it also ends where the model's context does.
    pub max_new_tokens: usize,
    /// Sequences that decode together; on a CPU at most [`EXACT_ROWS`].
    pub rows: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Optimiser step, part of every draw's key.
    pub step: u64,
}

/// One completion to make.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The prompt.
    pub prompt: &'a Sequence,
    /// Its images, in order.
    pub images: &'a [ImagePatches],
    /// The sample's number within the step, part of its draws' keys.
    pub sample: u64,
}

/// A sampled completion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    /// The tokens, the stop token included.
    pub tokens: Vec<u32>,
    /// Log-probability of each token under the unmodified softmax.
    pub logprobs: Vec<f64>,
    /// Why it ended.
    pub finish: Finish,
}

/// Why no completions could be made.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// The settings are out of range, or the logits have no usable distribution.
    #[error("sample {sample}, token {position}: {source}")]
    Sampling {
        /// The sample.
        sample: u64,
        /// The token.
        position: usize,
        /// Why.
        source: SamplingError,
    },
    /// A prompt does not fit the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A prompt without tokens has nothing to continue.
    #[error("sample {sample}: the prompt is empty")]
    EmptyPrompt {
        /// The sample.
        sample: u64,
    },
    /// The caller asked to stop.
    #[error("interrupted while completions were being sampled")]
    Interrupted,
}

/// A sequence under way.
struct Live {
    request: usize,
    seen: Seen,
    completion: Completion,
}

impl Engine<'_> {
    /// Completes every request, in their order. `watch` is called after each step with the number of tokens
    /// drawn so far and may stop the work. Where the device is out of memory for so many rows, those that are not done
    /// begin anew in half as many, once; their draws are the same.
    ///
    /// # Errors
    /// If a prompt does not fit the model, no token can be drawn, the device fails, or `watch` breaks.
    pub fn run(
        &self,
        requests: &[Request],
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>, RolloutError> {
        if let Some(request) = requests.iter().find(|r| r.prompt.ids.is_empty()) {
            return Err(RolloutError::EmptyPrompt { sample: request.sample });
        }
        if self.max_new_tokens == 0 {
            let empty = || Completion { tokens: vec![], logprobs: vec![], finish: Finish::Length };
            return Ok(requests.iter().map(|_| empty()).collect());
        }
        match self.lanes(requests).as_slice() {
            [] => Ok(Vec::new()),
            [all] => self.lane(all, self.rows, watch),
            lanes => self.side_by_side(lanes, watch),
        }
    }

    /// Completes requests, so many rows at a time, or half as many where the device has not the memory.
    pub(crate) fn lane(
        &self,
        requests: &[Request],
        rows: usize,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>, RolloutError> {
        let mut done: Vec<Option<Completion>> = vec![None; requests.len()];
        let most = if on_cpu(self.model.device()) { EXACT_ROWS } else { usize::MAX };
        let rows = rows.min(most).clamp(1, requests.len().max(1));
        match self.complete(requests, &mut done, rows, watch) {
            Err(RolloutError::Model(error)) if rows > 1 && error.is_out_of_memory() => {
                let fewer = rows.div_ceil(2);
                tracing::warn!(
                    "{error}; {rows} completions at a time were too many, going on with {fewer}; a smaller batch saves \
                     the attempt"
                );
                self.model.device().memory_cleanup();
                self.complete(requests, &mut done, fewer, watch)?;
            }
            other => other?,
        }
        Ok(done.into_iter().flatten().collect())
    }

    /// Completes the requests that are not done, so many rows at a time.
    fn complete(
        &self,
        requests: &[Request],
        done: &mut [Option<Completion>],
        rows: usize,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<(), RolloutError> {
        let longest = requests.iter().map(|r| r.prompt.ids.len()).max().unwrap_or(0);
        let capacity = requests.iter().map(|r| r.prompt.ids.len() + self.most(r)).max().unwrap_or(0);
        self.tell_of_cut(longest);
        let mut batch = Batch::new(self.model, rows, longest, capacity);
        let mut waiting: VecDeque<usize> = (0..requests.len()).filter(|i| done[*i].is_none()).collect();
        let mut drawn = done.iter().flatten().map(|completion| completion.tokens.len()).sum();
        let mut kept = None;
        loop {
            drawn += self.admit(requests, &mut waiting, &mut batch, &mut kept)?;
            self.retire(requests, &mut batch, done);
            if watch(drawn).is_break() {
                return Err(RolloutError::Interrupted);
            }
            if batch.is_empty() {
                if waiting.is_empty() {
                    break;
                }
                continue;
            }
            if waiting.is_empty() {
                batch.compact(self.model);
            }
            let forward = self.forward();
            drawn += match self.sampling.enough() {
                Some(k) => batch.step_among(forward, k, |row, logits| self.draw(requests, row, logits))?,
                None => batch.step(forward, |row, logits| self.draw(requests, row, Logits::All(logits)))?,
            };
            self.retire(requests, &mut batch, done);
        }
        Ok(())
    }

    /// The model as this engine completes with it.
    pub(crate) fn forward(&self) -> Forward<'_> {
        Forward { model: self.model, adapter: self.adapter }
    }

    /// Tokens that a completion may have, one at least: no more than the model's context has room for.
    fn most(&self, request: &Request) -> usize {
        let context = self.model.architecture().text.max_position_embeddings;
        context.saturating_sub(request.prompt.ids.len()).min(self.max_new_tokens).max(1)
    }

    /// Says once that completions may end early, where the longest prompt leaves less room than was asked for.
    fn tell_of_cut(&self, longest: usize) {
        static TOLD: Once = Once::new();
        let context = self.model.architecture().text.max_position_embeddings;
        if longest.saturating_add(self.max_new_tokens) > context {
            TOLD.call_once(|| {
                tracing::warn!(
                    "completions of {} tokens after a prompt of {longest} are more than the model's context of \
                     {context} (max_position_embeddings): those that reach its end are cut off there",
                    self.max_new_tokens
                );
            });
        }
    }

    /// Puts waiting requests into free rows and draws their first tokens. A prompt is read once for all of its
    /// neighbours; `kept` has the last one while another completion of it waits.
    fn admit<'a>(
        &self,
        requests: &'a [Request<'a>],
        waiting: &mut VecDeque<usize>,
        batch: &mut Batch<Live>,
        kept: &mut Option<(&'a Request<'a>, Prefilled)>,
    ) -> Result<usize, RolloutError> {
        let joined: Vec<(usize, usize)> =
            batch.free().map_while(|row| Some((row, waiting.pop_front()?))).collect();
        let groups: Vec<&[(usize, usize)]> =
            joined.chunk_by(|a, b| requests[a.1].is_of(&requests[b.1])).collect();
        let mut rest = groups.as_slice();
        while let Some(first) = rest.first() {
            let prompt = |group: &[(usize, usize)]| &requests[group[0].1];
            let (read, taken) = match kept.take().filter(|(known, _)| known.is_of(prompt(first))) {
                Some((_, read)) => (vec![read], 1),
                None => {
                    let taken = self.forward().together(rest.iter().map(|group| prompt(group)));
                    let prompts: Vec<&Request> = rest[..taken].iter().map(|group| prompt(group)).collect();
                    (self.forward().prefill(&prompts)?, taken)
                }
            };
            let chunk;
            (chunk, rest) = rest.split_at(taken);
            for (&(row, request), read) in chunk
                .iter()
                .zip(&read)
                .flat_map(|(group, read)| group.iter().map(move |joined| (joined, read)))
            {
                let sequence = Live {
                    request,
                    seen: Seen::new(&requests[request].prompt.ids),
                    completion: Completion { tokens: vec![], logprobs: vec![], finish: Finish::Length },
                };
                let draw = |row: &mut Live, logits: &[f32]| self.draw(requests, row, Logits::All(logits));
                batch.admit(row, read, sequence, draw)?;
            }
            *kept = chunk.last().map(|group| prompt(group)).zip(read.into_iter().last());
        }
        // Nothing is kept that nobody waits for.
        kept.take_if(|(known, _)| !waiting.front().is_some_and(|&next| requests[next].is_of(known)));
        Ok(joined.len())
    }

    /// Draws the next token of a sequence from its logits.
    fn draw(&self, requests: &[Request], sequence: &mut Live, logits: Logits) -> Result<u32, RolloutError> {
        let sample = requests[sequence.request].sample;
        let position = sequence.completion.tokens.len();
        let key = Key { seed: self.seed, step: self.step, sample, position: position as u64 };
        let drawn = match logits {
            Logits::All(logits) => self.sampling.draw(logits, &sequence.seen, key),
            Logits::Likeliest(likeliest) => self.sampling.draw_among(likeliest, key),
        };
        let drawn = drawn.map_err(|source| RolloutError::Sampling { sample, position, source })?;
        sequence.seen.push(drawn.token);
        sequence.completion.tokens.push(drawn.token);
        sequence.completion.logprobs.push(drawn.logprob);
        if self.stops.contains(&drawn.token) {
            sequence.completion.finish = Finish::Stop;
        }
        Ok(drawn.token)
    }

    /// Takes ended sequences out of their rows.
    fn retire(&self, requests: &[Request], batch: &mut Batch<Live>, done: &mut [Option<Completion>]) {
        let ended = |s: &mut Live| {
            s.completion.finish == Finish::Stop
                || s.completion.tokens.len() >= self.most(&requests[s.request])
        };
        for sequence in batch.retire(ended) {
            done[sequence.request] = Some(sequence.completion);
        }
    }
}
