//! What all requests share.

use crate::asked::Asked;
use crate::limits::Limits;
use crate::media::Media;
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::ticket::Places;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use vigos_models::VisionLanguageModel;
use vigos_processor::{Processor, Tokenizer};

/// The server's state.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) model: Arc<dyn VisionLanguageModel>,
    pub(crate) processor: Arc<Processor>,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) registry: Registry,
    pub(crate) media: Media,
    pub(crate) limits: Limits,
    /// Most tokens of a prompt with its completion.
    pub(crate) context: usize,
    /// Of draws that no request's seed keys.
    pub(crate) seed: u64,
    pub(crate) places: Places,
    /// Threads that read requests.
    pub(crate) workers: Semaphore,
    /// To the thread that computes. Places bound how much waits there.
    pub(crate) asked: UnboundedSender<Asked>,
    /// How many requests there were.
    pub(crate) requests: AtomicU64,
    /// When the server started, in seconds since 1970.
    pub(crate) started: u64,
    /// Whether no new request is taken.
    pub(crate) ending: AtomicBool,
    /// The SHA-256 of the key that a request has to have.
    pub(crate) key: Option<[u8; 32]>,
}

impl Shared {
    /// Hands something to the thread that computes.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn ask(&self, asked: Asked) -> Result<(), Refusal> {
        self.asked.send(asked).map_err(|_| Refusal::failed("the model is gone"))
    }
}
