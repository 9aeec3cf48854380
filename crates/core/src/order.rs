//! The order in which a run goes over its data set: shuffled anew every epoch, every row once an epoch.
//!
//! The place of a sample is a function of the seed and of how many samples came before it, so a resumed run
//! goes on where it stopped without replaying anything.
//!
//! Rows that come in row groups are costly to read one here, one there. Their order is drawn in two steps:
//! the groups are shuffled, then as many neighbours of that order as fit into memory together make a window,
//! whose rows are shuffled among each other. A group is so read once an epoch, and a batch still mixes rows
//! of many groups. Without row groups all rows are one window.

use std::num::NonZeroUsize;

use crate::random::{Key, Purpose, draws};

/// The most rows in a window of more than one row group: bounds the order's own memory.
const MAX_WINDOW_ROWS: usize = 1 << 20;

/// Rows that are stored and read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowGroup {
    /// Its rows.
    pub rows: usize,
    /// The memory that they take, in bytes.
    pub bytes: u64,
}

/// The shuffled order of a data set. Keeps the permutation of the window last asked for.
#[derive(Clone, Debug)]
pub struct Order {
    seed: u64,
    /// Of each group, in the data set's order: its first row.
    first_rows: Vec<usize>,
    groups: Vec<RowGroup>,
    rows: usize,
    window_bytes: u64,
    epoch: Epoch,
    window: Window,
}

/// The windows of an epoch.
#[derive(Clone, Debug)]
struct Epoch {
    number: u64,
    /// The groups in their order.
    groups: Vec<usize>,
    /// Of each window: its first place in the epoch, and its first in `groups`.
    windows: Vec<(usize, usize)>,
}

/// The shuffled rows of a window.
#[derive(Clone, Debug)]
struct Window {
    epoch: u64,
    number: usize,
    rows: Vec<usize>,
}

impl Order {
    /// The order of a data set of `rows` rows under the run's seed.
    pub fn new(seed: u64, rows: NonZeroUsize) -> Self {
        Self::of_row_groups(seed, &[RowGroup { rows: rows.get(), bytes: 0 }], 0)
    }

    /// The order of the rows of these groups, of which `window_bytes` bytes may be in memory together.
    pub fn of_row_groups(seed: u64, groups: &[RowGroup], window_bytes: u64) -> Self {
        let (mut rows, mut first_rows) = (0, Vec::with_capacity(groups.len()));
        for group in groups {
            first_rows.push(rows);
            rows += group.rows;
        }
        let epoch = Epoch { number: 0, groups: Vec::new(), windows: Vec::new() };
        let window = Window { epoch: 0, number: usize::MAX, rows: Vec::new() };
        let mut order = Self { seed, first_rows, groups: groups.to_vec(), rows, window_bytes, epoch, window };
        order.epoch = order.epoch_of(0);
        order
    }

    /// (epoch, row), both counted from 0, of the run's sample number `index`, counted from 0 over all epochs.
    pub fn at(&mut self, index: u64) -> (u64, usize) {
        let rows = self.rows.max(1) as u64;
        // The remainder is below `rows` and therefore a `usize`.
        let (epoch, place) = (index / rows, (index % rows) as usize);
        if epoch != self.epoch.number {
            self.epoch = self.epoch_of(epoch);
        }
        let number = self.epoch.windows.partition_point(|(first, _)| *first <= place).saturating_sub(1);
        if (epoch, number) != (self.window.epoch, self.window.number) {
            self.window = self.window_of(number);
        }
        let first = self.epoch.windows.get(number).map_or(0, |(first, _)| *first);
        (epoch, self.window.rows.get(place - first).copied().unwrap_or_default())
    }

    fn epoch_of(&self, number: u64) -> Epoch {
        // The rows of window w are drawn under (sample w, position 0), the groups under a position of their own.
        let key = Key { seed: self.seed, step: number, position: 1, ..Key::default() };
        let groups = draws(Purpose::Shuffle, key).permutation(self.groups.len());
        let mut windows = Vec::new();
        let (mut place, mut rows, mut bytes) = (0, 0, 0_u64);
        for (at, group) in groups.iter().filter_map(|group| self.groups.get(*group)).enumerate() {
            let fits = bytes.saturating_add(group.bytes) <= self.window_bytes;
            if at == 0 || !fits || rows + group.rows > MAX_WINDOW_ROWS {
                windows.push((place, at));
                (rows, bytes) = (0, 0);
            }
            place += group.rows;
            rows += group.rows;
            bytes = bytes.saturating_add(group.bytes);
        }
        Epoch { number, groups, windows }
    }

    fn window_of(&self, number: usize) -> Window {
        let Epoch { number: epoch, groups, windows } = &self.epoch;
        let begin = windows.get(number).map_or(0, |(_, group)| *group);
        let end = windows.get(number + 1).map_or(groups.len(), |(_, group)| *group);
        let mut rows: Vec<usize> = Vec::new();
        for group in groups.get(begin..end).unwrap_or_default() {
            if let (Some(first), Some(group)) = (self.first_rows.get(*group), self.groups.get(*group)) {
                rows.extend(*first..first + group.rows);
            }
        }
        let key = Key { seed: self.seed, step: *epoch, sample: number as u64, ..Key::default() };
        let permutation = draws(Purpose::Shuffle, key).permutation(rows.len());
        let rows = permutation.into_iter().filter_map(|place| rows.get(place).copied()).collect();
        Window { epoch: *epoch, number, rows }
    }
}

/// [`Order::at`] for a single question; an [`Order`] is faster for many.
pub fn sample_at(seed: u64, rows: NonZeroUsize, index: u64) -> (u64, usize) {
    Order::new(seed, rows).at(index)
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

    fn groups(rows: &[usize]) -> Vec<RowGroup> {
        rows.iter().map(|&rows| RowGroup { rows, bytes: 10 }).collect()
    }

    #[test]
    fn a_window_holds_whole_row_groups_and_as_many_as_fit() {
        let mut order = Order::of_row_groups(3, &groups(&[4; 10]), 29);
        for number in 0..3 {
            let all = epoch(&mut order, number, 40);
            for window in all.chunks(8) {
                let mut touched: Vec<_> = window.iter().map(|row| row / 4).collect();
                touched.sort_unstable();
                touched.dedup();
                assert_eq!(touched.len(), 2, "{window:?}");
            }
            assert_ne!(all, (0..40).collect::<Vec<_>>());
        }
        assert_ne!(epoch(&mut order, 0, 40), epoch(&mut order, 1, 40));
    }

    #[test]
    fn the_order_of_row_groups_is_this_one_in_every_version() {
        let mut order = Order::of_row_groups(42, &groups(&[2, 3, 2]), 20);
        assert_eq!(epoch(&mut order, 0, 7), [2, 5, 6, 3, 4, 0, 1]);
    }

    proptest! {
        #[test]
        fn every_row_of_every_row_group_comes_once_an_epoch(
            seed: u64,
            sizes in prop::collection::vec(0usize..9, 1..12),
            budget in 0u64..80,
            e in 0u64..1000,
        ) {
            let rows = sizes.iter().sum::<usize>();
            let mut order = Order::of_row_groups(seed, &groups(&sizes), budget);
            let mut again = order.clone();
            let mut all = epoch(&mut order, e, rows);
            if rows > 0 {
                let middle = e * rows as u64 + rows as u64 / 2;
                prop_assert_eq!(again.at(middle), (e, all[rows / 2]), "whatever was asked before");
            }
            all.sort_unstable();
            prop_assert_eq!(all, (0..rows).collect::<Vec<_>>());
        }

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
