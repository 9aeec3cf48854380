//! Batched decoding: many prompts in, completions out.
//!
//! A fixed number of rows decode together. A sequence that ends frees its row, and the next waiting prompt is
//! prefilled into it; when nothing waits any more, free rows are dropped. Every draw is keyed by
//! (seed, step, sample, position), so which rows a sequence shares a batch with does not enter its draws.
//! (Its logits can differ by float rounding, since a matrix product of another height may add in another
//! order.)

use crate::sampler::{Sampling, SamplingError, Seen};
use burn::tensor::Tensor;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Once;
use vigos_core::random::Key;
pub use vigos_data::recorded::Finish;
use vigos_kernels::read;
use vigos_models::cache::{KeyValue, KvCache};
use vigos_models::{ActiveAdapter, ModelError, VisionLanguageModel, phase};
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
    /// Sequences that decode together.
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
#[derive(Clone, Debug, PartialEq)]
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
    /// Position of the newest token.
    position: u32,
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
        let mut done: Vec<Option<Completion>> = vec![None; requests.len()];
        if self.max_new_tokens == 0 {
            let empty = || Completion { tokens: vec![], logprobs: vec![], finish: Finish::Length };
            return Ok(requests.iter().map(|_| empty()).collect());
        }
        let rows = self.rows.clamp(1, requests.len().max(1));
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
        // Sequences that join later need room to the left to be moved into only now and then.
        let most = requests.iter().map(|r| self.most(r)).max().unwrap_or(0);
        self.tell_of_cut(longest);
        let slack = if requests.len() > rows { (longest + most) / 4 + 16 } else { 0 };
        let capacity = longest + most + slack;
        let mut cache = self.model.cache(rows, longest, capacity);
        let mut live: Vec<Option<Live>> = (0..rows).map(|_| None).collect();
        let mut waiting: VecDeque<usize> = (0..requests.len()).filter(|i| done[*i].is_none()).collect();
        let mut drawn = done.iter().flatten().map(|completion| completion.tokens.len()).sum();
        loop {
            drawn += self.admit(requests, &mut waiting, &mut live, &mut cache)?;
            self.retire(requests, &mut live, &mut cache, done);
            if watch(drawn).is_break() {
                return Err(RolloutError::Interrupted);
            }
            if live.iter().all(Option::is_none) {
                if waiting.is_empty() {
                    break;
                }
                continue;
            }
            if waiting.is_empty() {
                self.compact(&mut live, &mut cache);
            }
            let _decode = phase!(self.model.device(), "decode");
            cache.advance(longest, self.model.device());
            drawn += self.step(requests, &mut live, &mut cache)?;
            self.retire(requests, &mut live, &mut cache, done);
        }
        Ok(())
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

    /// Prefills waiting prompts into free rows and draws their first tokens.
    fn admit(
        &self,
        requests: &[Request],
        waiting: &mut VecDeque<usize>,
        live: &mut [Option<Live>],
        cache: &mut KvCache,
    ) -> Result<usize, RolloutError> {
        let free: Vec<usize> = (0..live.len()).filter(|row| live[*row].is_none()).collect();
        let admitted: Vec<(usize, usize)> =
            free.into_iter().map_while(|row| Some((row, waiting.pop_front()?))).collect();
        if admitted.is_empty() {
            return Ok(0);
        }
        let prompts: Vec<&Request> = admitted.iter().map(|(_, request)| &requests[*request]).collect();
        if let Some(request) = prompts.iter().find(|r| r.prompt.ids.is_empty()) {
            return Err(RolloutError::EmptyPrompt { sample: request.sample });
        }
        let _prefill = phase!(self.model.device(), "prefill");
        let images: Vec<&ImagePatches> = prompts.iter().flat_map(|r| r.images).collect();
        let features = self.model.encode_images(&images, self.adapter);
        let sequences: Vec<&Sequence> = prompts.iter().map(|r| r.prompt).collect();
        let packed = self.model.pack(&sequences)?;
        let mut layers: Vec<KeyValue> = Vec::new();
        let hidden = self.model.forward(&packed, &features, self.adapter, &mut layers);
        for (i, &(row, request)) in admitted.iter().enumerate() {
            let own = packed.range(i);
            let part = |t: &Tensor<3>| t.clone().narrow(0, own.start, own.len());
            cache.admit(
                row,
                layers.iter().map(|l| KeyValue { key: part(&l.key), value: part(&l.value) }).collect(),
            );
            live[row] = Some(Live {
                request,
                seen: Seen::new(&requests[request].prompt.ids),
                completion: Completion { tokens: vec![], logprobs: vec![], finish: Finish::Length },
                position: packed.last_position(i),
            });
        }
        let ends: Vec<usize> = (0..admitted.len()).map(|i| packed.last_row(i)).collect();
        let logits = self.model.logits_at(&hidden, &ends);
        self.draw(requests, admitted.into_iter().map(|(row, _)| row), live, logits)
    }

    /// Feeds the newest token of every live row and draws the next.
    fn step(
        &self,
        requests: &[Request],
        live: &mut [Option<Live>],
        cache: &mut KvCache,
    ) -> Result<usize, RolloutError> {
        let newest = |row: &Option<Live>| match row {
            Some(row) => (row.completion.tokens.last().copied().unwrap_or(0), [row.position; 3]),
            // A free row computes along and is ignored.
            None => (0, [0; 3]),
        };
        let (ids, positions): (Vec<u32>, Vec<[u32; 3]>) = live.iter().map(newest).unzip();
        let hidden = self.model.decode(&ids, &positions, cache, self.adapter)?;
        let rows: Vec<usize> = (0..live.len()).filter(|row| live[*row].is_some()).collect();
        let logits = self.model.logits_at(&hidden, &rows);
        self.draw(requests, rows.into_iter(), live, logits)
    }

    /// Draws one token for each of `rows` from its row of `logits`.
    fn draw(
        &self,
        requests: &[Request],
        rows: impl Iterator<Item = usize>,
        live: &mut [Option<Live>],
        logits: Tensor<2>,
    ) -> Result<usize, RolloutError> {
        let vocabulary = logits.dims()[1];
        let values: Vec<f32> = read(logits).map_err(ModelError::from)?;
        let mut count = 0;
        for (row, logits) in rows.zip(values.chunks(vocabulary)) {
            let Some(sequence) = &mut live[row] else { continue };
            let sample = requests[sequence.request].sample;
            let position = sequence.completion.tokens.len();
            let key = Key { seed: self.seed, step: self.step, sample, position: position as u64 };
            let drawn = self
                .sampling
                .draw(logits, &sequence.seen, key)
                .map_err(|source| RolloutError::Sampling { sample, position, source })?;
            sequence.seen.push(drawn.token);
            sequence.completion.tokens.push(drawn.token);
            sequence.completion.logprobs.push(drawn.logprob);
            sequence.position += 1;
            if self.stops.contains(&drawn.token) {
                sequence.completion.finish = Finish::Stop;
            }
            count += 1;
        }
        Ok(count)
    }

    /// Takes ended sequences out of their rows.
    fn retire(
        &self,
        requests: &[Request],
        live: &mut [Option<Live>],
        cache: &mut KvCache,
        done: &mut [Option<Completion>],
    ) {
        for (row, slot) in live.iter_mut().enumerate() {
            let ended = |s: &mut Live| {
                s.completion.finish == Finish::Stop
                    || s.completion.tokens.len() >= self.most(&requests[s.request])
            };
            if let Some(sequence) = slot.take_if(ended) {
                cache.release(row);
                done[sequence.request] = Some(sequence.completion);
            }
        }
    }

    /// Drops free rows once at least half of them are.
    fn compact(&self, live: &mut Vec<Option<Live>>, cache: &mut KvCache) {
        let used: Vec<usize> = (0..live.len()).filter(|row| live[*row].is_some()).collect();
        if used.len() * 2 <= live.len() {
            cache.keep(&used, self.model.device());
            live.retain(Option::is_some);
        }
    }
}
