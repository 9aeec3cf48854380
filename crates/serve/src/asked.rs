//! What a request asks of the model, and what it hears while it is answered.

use crate::refusal::Refusal;
use crate::ticket::Ticket;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;
use vigos_models::Adapter;
use vigos_processor::{ImagePatches, Sequence};
use vigos_rollout::engine::Finish;
use vigos_rollout::sampler::Sampling;

/// Completions of one prompt.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) prompt: Sequence,
    pub(crate) images: Vec<ImagePatches>,
    pub(crate) adapter: Option<Arc<Adapter>>,
    /// The numbers of the completions within the answer, with the number that the draws of each are keyed by.
    pub(crate) choices: VecDeque<(usize, u64)>,
    pub(crate) how: Arc<How>,
}

/// How they are made, and who hears of it.
#[derive(Debug)]
pub(crate) struct How {
    pub(crate) sampling: Sampling,
    /// The seed of the draws and the step in their keys.
    pub(crate) seed: (u64, u64),
    /// Most tokens of a completion; there is room for them behind the prompt.
    pub(crate) max_tokens: usize,
    pub(crate) stops: Arc<[String]>,
    /// Alternatives to each token that are told.
    pub(crate) alternatives: usize,
    /// Is closed where the client is gone. What nobody reads is no more than a completion's tokens.
    pub(crate) events: UnboundedSender<Event>,
    /// When the client is told that it took too long.
    pub(crate) deadline: Instant,
    /// The request's place among those under way.
    pub(crate) _ticket: Arc<Ticket>,
}

/// What is heard of a request.
#[derive(Debug)]
pub(crate) enum Event {
    /// A completion has another token.
    Token(Told),
    /// There will be no more.
    Failed(Refusal),
}

/// A token, and what is certain of the text by now.
#[derive(Debug)]
pub(crate) struct Told {
    /// Which completion of the answer.
    pub(crate) choice: usize,
    pub(crate) token: u32,
    /// Under the unmodified softmax.
    pub(crate) logprob: f64,
    /// The most probable tokens in its place.
    pub(crate) alternatives: Vec<(u32, f64)>,
    /// What follows the text that was told before.
    pub(crate) text: String,
    /// Why the completion ended, if it did.
    pub(crate) finish: Option<Finish>,
}

impl How {
    /// Tells the client, which may be gone.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Whether nobody waits any more; one who waited too long is told so.
    pub(crate) fn is_over(&self) -> bool {
        if self.events.is_closed() {
            return true;
        }
        let late = Instant::now() >= self.deadline;
        if late {
            self.tell(Event::Failed(Refusal::late()));
        }
        late
    }
}
