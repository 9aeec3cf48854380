//! Ranks that are threads of one process.

use crate::{Ranks, RanksError};
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// One of some threads that work together. A thread that ends while others wait for it is gone for them.
#[derive(Debug)]
pub struct Threads {
    rank: usize,
    hall: Arc<Hall>,
}

/// Where they meet.
#[derive(Debug)]
struct Hall {
    count: usize,
    round: Mutex<Round>,
    changed: Condvar,
}

/// An exchange under way.
#[derive(Debug)]
struct Round {
    /// What each rank has handed in, a part for every rank.
    handed: Vec<Option<Vec<Vec<u8>>>>,
    /// How many have theirs.
    taken: usize,
    /// A rank that will not come.
    gone: Option<usize>,
}

impl Round {
    fn is_full(&self) -> bool {
        self.handed.iter().all(Option::is_some)
    }
}

impl Threads {
    /// `count` ranks, each to be moved to a thread of its own.
    pub fn new(count: usize) -> Vec<Self> {
        let round = Round { handed: vec![None; count], taken: 0, gone: None };
        let hall = Arc::new(Hall { count, round: Mutex::new(round), changed: Condvar::new() });
        (0..count).map(|rank| Self { rank, hall: hall.clone() }).collect()
    }

    /// What `work` comes to on each of `count` ranks, in their order.
    ///
    /// # Panics
    /// If the work of one does.
    pub fn run<R: Send>(count: usize, work: impl Fn(&dyn Ranks) -> R + Sync) -> Vec<R> {
        std::thread::scope(|scope| {
            let start = |ranks: Self| {
                let work = &work;
                scope.spawn(move || work(&ranks))
            };
            let threads: Vec<_> = Self::new(count).into_iter().map(start).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        })
    }

    fn lock(&self) -> MutexGuard<'_, Round> {
        self.hall.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the round is as `ready` wants it.
    fn wait<'a>(
        &'a self,
        mut round: MutexGuard<'a, Round>,
        ready: impl Fn(&Round) -> bool,
    ) -> Result<MutexGuard<'a, Round>, RanksError> {
        while !ready(&round) {
            if let Some(rank) = round.gone {
                return Err(RanksError::Gone { rank, count: self.hall.count });
            }
            round = self.hall.changed.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(round)
    }
}

impl Ranks for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.hall.count
    }

    fn local(&self) -> usize {
        self.rank
    }

    fn on_machine(&self) -> usize {
        self.hall.count
    }

    fn exchange(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, RanksError> {
        assert_eq!(parts.len(), self.hall.count, "a part for each rank");
        // Others may still be taking what the last round had for them.
        let mut round = self.wait(self.lock(), |round| round.handed[self.rank].is_none())?;
        round.handed[self.rank] = Some(parts);
        self.hall.changed.notify_all();
        let mut round = self.wait(round, Round::is_full)?;
        let own = |parts: &mut Option<Vec<Vec<u8>>>| {
            parts.as_mut().map_or_else(Vec::new, |parts| std::mem::take(&mut parts[self.rank]))
        };
        let taken = round.handed.iter_mut().map(own).collect();
        round.taken += 1;
        if round.taken == self.hall.count {
            round.taken = 0;
            round.handed.fill(None);
            self.hall.changed.notify_all();
        }
        Ok(taken)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.lock().gone.get_or_insert(self.rank);
        self.hall.changed.notify_all();
    }
}
