//! Processes that work on one run together. Each is a rank; all make the same calls in the same order, and a call is done
//! when the last of them has made it.
//!
//! [`Ranks`] is what they can do; behind it are a process by itself ([`Alone`]), threads of one ([`Threads`]), and with the
//! feature `mpi` the processes of a launcher (`Mpi`). [`shared`] sends values, [`sum`] adds numbered parts in the order of
//! their numbers, so that a sum has the same bits whoever has which part, and [`deal`] deals work out.
//!
//! ```
//! use vigos_ranks::{Part, Ranks, Threads, deal, shared, sum};
//!
//! let dealt = deal(&[5, 9, 1, 3], 2);
//! let sums = Threads::run(2, |ranks| {
//!     let own = (0..4).filter(|number| dealt[*number] == ranks.rank());
//!     let parts: Vec<Part> =
//!         own.map(|number| Part { number: number as u64, values: vec![number as f32; 3] }).collect();
//!     shared(ranks, &ranks.rank())?;
//!     sum(ranks, &parts, 3)
//! });
//! assert!(sums.iter().all(|sum| sum.as_ref().unwrap() == &[6.0; 3]));
//! ```

mod dealt;
#[cfg(feature = "mpi")]
mod mpi;
mod shared;
mod sum;
mod threads;

pub use dealt::deal;
#[cfg(feature = "mpi")]
pub use mpi::Mpi;
pub use shared::shared;
pub use sum::{Part, sum};
pub use threads::Threads;

/// Why ranks could not do something together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RanksError {
    /// One of them has ended, or was ended.
    #[error("rank {rank} of {count} is gone; what it said last says why")]
    Gone {
        /// Which.
        rank: usize,
        /// Of how many.
        count: usize,
    },
    /// One of them sent what the others cannot read: they are not the same program, or not at the same place in it.
    #[error(
        "rank {rank} sent what was not expected ({message}); is every rank the same build of the program?"
    )]
    Garbled {
        /// Which.
        rank: usize,
        /// What is wrong with it.
        message: String,
    },
}

/// Those that work together, as one of them sees it.
pub trait Ranks: std::fmt::Debug {
    /// The number of this one, from 0.
    fn rank(&self) -> usize;

    /// How many they are, at least one.
    fn count(&self) -> usize;

    /// The number of this one among those of its machine: which of the machine's devices is its own.
    fn local(&self) -> usize;

    /// How many of them are on its machine, at least one.
    fn on_machine(&self) -> usize;

    /// Hands `parts[r]` to rank `r`; what every rank has handed to this one, in their order.
    ///
    /// # Errors
    /// If a rank is gone.
    ///
    /// # Panics
    /// If there are not as many parts as ranks.
    fn exchange(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, RanksError>;

    /// What every rank hands in, in their order.
    ///
    /// # Errors
    /// If a rank is gone.
    fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>, RanksError> {
        self.exchange(vec![own; self.count()])
    }

    /// Waits until every rank is here.
    ///
    /// # Errors
    /// If a rank is gone.
    fn barrier(&self) -> Result<(), RanksError> {
        self.gather(Vec::new()).map(drop)
    }

    /// Whether this is the one that writes files and talks to the user.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }
}

/// One rank by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn count(&self) -> usize {
        1
    }

    fn local(&self) -> usize {
        0
    }

    fn on_machine(&self) -> usize {
        1
    }

    fn exchange(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, RanksError> {
        assert_eq!(parts.len(), 1, "a part for each rank");
        Ok(parts)
    }
}
