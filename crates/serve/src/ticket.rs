//! Places: how many requests are under way, and how much memory they hold.

use crate::limits::Limits;
use crate::refusal::Refusal;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is counted in so many bytes.
const UNIT: usize = 1024;

/// The places that there are.
#[derive(Debug)]
pub(crate) struct Places {
    requests: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    most: usize,
}

/// A request's place, with the memory that it holds. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    _place: OwnedSemaphorePermit,
    memory: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Self {
        let memory = (limits.held / UNIT).min(Semaphore::MAX_PERMITS);
        Self {
            requests: Arc::new(Semaphore::new(limits.requests)),
            memory: Arc::new(Semaphore::new(memory)),
            most: limits.requests,
        }
    }

    /// A place for a request of so many bytes.
    ///
    /// # Errors
    /// If none is free.
    pub(crate) fn take(&self, bytes: usize) -> Result<Ticket, Refusal> {
        let place = Arc::clone(&self.requests).try_acquire_owned();
        let place =
            place.map_err(|_| Refusal::busy("as many requests as this server takes are under way"))?;
        Ok(Ticket { _place: place, memory: self.memory(bytes)? })
    }

    /// Lets a request hold so many bytes more.
    ///
    /// # Errors
    /// If all requests together would hold more than they may.
    pub(crate) fn hold(&self, ticket: &mut Ticket, bytes: usize) -> Result<(), Refusal> {
        ticket.memory.merge(self.memory(bytes)?);
        Ok(())
    }

    /// Whether no request is under way.
    pub(crate) fn are_free(&self) -> bool {
        self.requests.available_permits() == self.most
    }

    fn memory(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(units);
        memory
            .map_err(|_| Refusal::busy("the requests under way hold as much memory as this server lets them"))
    }
}
