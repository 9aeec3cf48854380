//! The order in which a run goes over its data set: shuffled anew every epoch, every row once an epoch.
//!
//! The place of a sample is a function of the seed and of how many samples came before it, so a resumed run
//! goes on where it stopped without replaying anything.

use std::num::NonZeroUsize;

use vigos_core::random::{Key, Purpose, draws};

/// The shuffled order of a data set. Keeps the permutation of the epoch last asked for.
#[derive(Clone, Debug)]
pub struct Order {
    seed: u64,
    epoch: u64,
    permutation: Vec<usize>,
}

impl Order {
    /// The order of a data set of `rows` rows under the run's seed.
    pub fn new(seed: u64, rows: NonZeroUsize) -> Self {
        Self { seed, epoch: 0, permutation: permutation(seed, 0, rows.get()) }
    }

    /// (epoch, row), both counted from 0, of the run's sample number `index`, counted from 0 over all epochs.
    pub fn at(&mut self, index: u64) -> (u64, usize) {
        let rows = self.permutation.len();
        let (epoch, place) = (index / rows as u64, index % rows as u64);
        if epoch != self.epoch {
            self.permutation = permutation(self.seed, epoch, rows);
            self.epoch = epoch;
        }
        // Below `rows` and therefore a `usize`.
        (epoch, self.permutation[place as usize])
    }
}

/// [`Order::at`] for a single question; an [`Order`] is faster for many.
pub fn sample_at(seed: u64, rows: NonZeroUsize, index: u64) -> (u64, usize) {
    Order::new(seed, rows).at(index)
}

fn permutation(seed: u64, epoch: u64, rows: usize) -> Vec<usize> {
    draws(Purpose::Shuffle, Key { seed, step: epoch, ..Key::default() }).permutation(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(n: usize) -> NonZeroUsize {
        NonZeroUsize::new(n).unwrap()
    }

    fn epoch(order: &mut Order, epoch: u64, n: usize) -> Vec<usize> {
        (0..n as u64)
            .map(|place| {
                let (found, row) = order.at(epoch * n as u64 + place);
                assert_eq!(found, epoch);
                row
            })
            .collect()
    }

    #[test]
    fn epochs_and_seeds_have_different_orders() {
        let mut order = Order::new(1, rows(50));
        let (first, second) = (epoch(&mut order, 0, 50), epoch(&mut order, 1, 50));
        assert_ne!(first, second);
        assert_ne!(first, epoch(&mut Order::new(2, rows(50)), 0, 50));
        assert_eq!(first, epoch(&mut order, 0, 50), "asked again after another epoch");
    }

    #[test]
    fn the_order_of_a_seed_is_this_one_in_every_version() {
        // A change here would change what a resumed run trains on.
        assert_eq!(epoch(&mut Order::new(42, rows(8)), 0, 8), [4, 0, 5, 6, 1, 2, 7, 3]);
    }

    proptest! {
        #[test]
        fn every_row_comes_once_an_epoch(seed: u64, n in 1usize..60, e in 0u64..1000) {
            let mut all = epoch(&mut Order::new(seed, rows(n)), e, n);
            all.sort_unstable();
            prop_assert_eq!(all, (0..n).collect::<Vec<_>>());
        }

        #[test]
        fn a_sample_does_not_depend_on_what_was_asked_before(seed: u64, n in 1usize..20, asked: [u64; 4]) {
            let mut order = Order::new(seed, rows(n));
            for index in asked {
                prop_assert_eq!(order.at(index), sample_at(seed, rows(n), index));
            }
        }
    }
}
