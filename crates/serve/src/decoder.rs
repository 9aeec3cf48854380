//! The one thread that computes: it takes waiting requests between two steps of those that decode.
//!
//! Sequences decode together where they have the adapter in common and the room that they need; other batches take turns
//! with theirs. A prompt is read by itself and once for all of its completions, and a draw is keyed by its request alone,
//! so that on a CPU a completion is the same bits whatever decodes beside it.

use crate::asked::{Asked, Event, How, Told};
use crate::refusal::Refusal;
use crate::text::Text;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc::UnboundedReceiver;
use vigos_core::random::Key;
use vigos_kernels::{EXACT_ROWS, on_cpu};
use vigos_models::{ActiveAdapter, Adapter, ModelError, VisionLanguageModel};
use vigos_processor::Tokenizer;
use vigos_rollout::batch::{Batch, Forward};
use vigos_rollout::engine::{Finish, Request, RolloutError};
use vigos_rollout::sampler::{Seen, most_probable};
use vigos_rollout::{PREFILL_TOKENS, Prefilled};

/// The least room of a batch: many short requests share one.
const LEAST_ROOM: usize = 256;

/// The model and what completes with it.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    model: &'a dyn VisionLanguageModel,
    tokenizer: &'a Tokenizer,
    /// Tokens that end a completion.
    stops: &'a [u32],
    /// Completions that decode together, in all batches.
    rows: usize,
    context: usize,
    waiting: VecDeque<Waiting>,
    running: Vec<Running>,
}

/// A request of which not every completion has a row.
#[derive(Debug)]
struct Waiting {
    asked: Asked,
    /// Its prompt, once it was read.
    read: Option<Prefilled>,
}

/// Sequences that decode together.
#[derive(Debug)]
struct Running {
    adapter: Option<Arc<Adapter>>,
    /// Most tokens of a sequence.
    room: usize,
    batch: Batch<Live>,
}

/// A sequence under way.
#[derive(Debug)]
struct Live {
    how: Arc<How>,
    choice: usize,
    /// The number that its draws are keyed by.
    sample: u64,
    seen: Seen,
    text: Text,
    tokens: usize,
    ended: bool,
}

impl<'a> Decoder<'a> {
    /// Nothing to do yet, for up to `rows` completions at a time of up to `context` tokens with their prompts.
    pub(crate) fn new(
        model: &'a dyn VisionLanguageModel,
        tokenizer: &'a Tokenizer,
        stops: &'a [u32],
        rows: usize,
        context: usize,
    ) -> Self {
        let most = if on_cpu(model.device()) { EXACT_ROWS } else { usize::MAX };
        let (waiting, running) = (VecDeque::new(), Vec::new());
        Self { model, tokenizer, stops, rows: rows.clamp(1, most), context, waiting, running }
    }

    /// Answers what is asked until nobody can ask any more, or gives up what is under way where it is `cut_off`.
    pub(crate) fn run(mut self, mut asked: UnboundedReceiver<Asked>, cut_off: &AtomicBool) {
        loop {
            if self.waiting.is_empty() && self.running.is_empty() {
                match asked.blocking_recv() {
                    Some(asked) => self.waiting.push_back(Waiting { asked, read: None }),
                    None => return,
                }
            }
            while let Ok(asked) = asked.try_recv() {
                self.waiting.push_back(Waiting { asked, read: None });
            }
            if cut_off.load(Ordering::SeqCst) {
                self.give_up();
            }
            self.waiting.retain(|waiting| !waiting.asked.how.is_over());
            self.admit();
            self.step();
        }
    }

    /// Gives rows to waiting requests, in their order, and reads their prompts: no more of them than keep the others
    /// waiting for one forward.
    fn admit(&mut self) {
        let mut tokens = 0;
        while let Some(mut first) = self.waiting.pop_front() {
            let length = first.asked.prompt.ids.len();
            let is_next = first.read.is_some() || tokens == 0 || tokens + length <= PREFILL_TOKENS;
            let place = if is_next { self.place(&first.asked) } else { None };
            let Some((batch, row)) = place else {
                self.waiting.push_front(first);
                return;
            };
            let read = match first.read.take().map_or_else(|| self.read(&first.asked), Ok) {
                Ok(read) => read,
                Err(error) => {
                    first.asked.how.tell(Event::Failed(refusal(&error)));
                    continue;
                }
            };
            if first.asked.how.is_over() {
                continue;
            }
            tokens += length;
            if let Some((choice, sample)) = first.asked.choices.pop_front() {
                let live = Live::new(&first.asked, choice, sample);
                let (tokenizer, stops) = (self.tokenizer, self.stops);
                let draw = |live: &mut Live, logits: &[f32]| {
                    Ok::<_, ModelError>(live.draw(logits, tokenizer, stops))
                };
                // Drawing tells the client of what goes wrong itself.
                let _ = self.running[batch].batch.admit(row, &read, live, draw);
            }
            if !first.asked.choices.is_empty() {
                first.read = Some(read);
                self.waiting.push_front(first);
            }
            self.retire();
        }
    }

    /// A batch and a free row of it for a completion of what is asked.
    fn place(&mut self, asked: &Asked) -> Option<(usize, usize)> {
        let live: usize = self.running.iter().map(|running| running.batch.held().count()).sum();
        if live >= self.rows {
            return None;
        }
        let needed = asked.prompt.ids.len() + asked.how.max_tokens;
        let same = |adapter: &Option<Arc<Adapter>>| match (adapter, &asked.adapter) {
            (None, None) => true,
            (Some(own), Some(wanted)) => Arc::ptr_eq(own, wanted),
            _ => false,
        };
        let fits = |running: &Running| running.room >= needed && same(&running.adapter);
        let found = self.running.iter().position(fits).unwrap_or_else(|| {
            let room = needed.next_power_of_two().clamp(LEAST_ROOM, self.context.max(needed));
            let batch = Batch::new(self.model, 1, asked.prompt.ids.len(), room);
            self.running.push(Running { adapter: asked.adapter.clone(), room, batch });
            self.running.len() - 1
        });
        let batch = &mut self.running[found].batch;
        if batch.free().next().is_none() {
            batch.grow((batch.rows() * 2).min(self.rows), self.model);
        }
        let row = batch.free().next()?;
        Some((found, row))
    }

    /// Reads the prompt of what is asked.
    fn read(&self, asked: &Asked) -> Result<Prefilled, RolloutError> {
        let forward = Forward { model: self.model, adapter: active(&asked.adapter) };
        let prompt = Request { prompt: &asked.prompt, images: &asked.images, sample: 0 };
        let read = forward.prefill(&[&prompt])?.pop();
        read.ok_or(RolloutError::EmptyPrompt { sample: 0 })
    }

    /// A token for every sequence.
    fn step(&mut self) {
        // A request that failed may leave a batch with nothing in it.
        self.retire();
        let (model, tokenizer, stops) = (self.model, self.tokenizer, self.stops);
        for running in &mut self.running {
            if self.waiting.is_empty() {
                running.batch.compact(model);
            }
            let forward = Forward { model, adapter: active(&running.adapter) };
            let draw = |live: &mut Live, logits: &[f32]| Ok(live.draw(logits, tokenizer, stops));
            if let Err(error) = running.batch.step::<RolloutError>(forward, draw) {
                // The device may be of use to others yet.
                tracing::error!("completions are given up: {error}");
                for live in running.batch.retire(|_| true) {
                    live.how.tell(Event::Failed(refusal(&error)));
                }
                model.device().memory_cleanup();
            }
        }
        self.retire();
    }

    /// Frees the rows of what has ended or nobody waits for.
    fn retire(&mut self) {
        for running in &mut self.running {
            running.batch.retire(|live| live.ended || live.how.is_over());
        }
        self.running.retain(|running| !running.batch.is_empty());
    }

    /// Tells everyone that there will be no more.
    fn give_up(&mut self) {
        let told = |how: &How| how.tell(Event::Failed(Refusal::ending()));
        self.waiting.drain(..).for_each(|waiting| told(&waiting.asked.how));
        for mut running in self.running.drain(..) {
            running.batch.retire(|_| true).iter().for_each(|live| told(&live.how));
        }
    }
}

impl Live {
    fn new(asked: &Asked, choice: usize, sample: u64) -> Self {
        Self {
            how: Arc::clone(&asked.how),
            choice,
            sample,
            seen: Seen::new(&asked.prompt.ids),
            text: Text::new(Arc::clone(&asked.how.stops)),
            tokens: 0,
            ended: false,
        }
    }

    /// Draws the next token and tells of it.
    fn draw(&mut self, logits: &[f32], tokenizer: &Tokenizer, stops: &[u32]) -> u32 {
        let how = &self.how;
        let (seed, step) = how.seed;
        let key = Key { seed, step, sample: self.sample, position: self.tokens as u64 };
        let drawn = match how.sampling.draw(logits, &self.seen, key) {
            Ok(drawn) => drawn,
            Err(error) => {
                how.tell(Event::Failed(Refusal::failed(error.to_string())));
                self.ended = true;
                return 0;
            }
        };
        self.seen.push(drawn.token);
        self.tokens += 1;
        let shown =
            (!tokenizer.is_special(drawn.token)).then(|| tokenizer.token_bytes(drawn.token)).flatten();
        let (mut text, stopped) = self.text.push(shown.unwrap_or_default());
        let finish = if stopped || stops.contains(&drawn.token) {
            Some(Finish::Stop)
        } else {
            (self.tokens >= how.max_tokens).then_some(Finish::Length)
        };
        if finish.is_some() {
            text += &self.text.rest();
            self.ended = true;
        }
        how.tell(Event::Token(Told {
            choice: self.choice,
            token: drawn.token,
            logprob: drawn.logprob,
            alternatives: most_probable(logits, how.alternatives),
            text,
            finish,
        }));
        drawn.token
    }
}

/// The adapter as a forward takes it.
fn active(adapter: &Option<Arc<Adapter>>) -> Option<ActiveAdapter<'_>> {
    adapter.as_deref().map(|adapter| ActiveAdapter { adapter, dropout: None })
}

/// What a client hears of a failure.
fn refusal(error: &RolloutError) -> Refusal {
    match error {
        RolloutError::Model(error) if error.is_out_of_memory() => {
            Refusal::busy("the device has no memory for this request beside the others")
        }
        RolloutError::Model(error) if error.is_input() => Refusal::bad(error.to_string()),
        other => Refusal::failed(other.to_string()),
    }
}
