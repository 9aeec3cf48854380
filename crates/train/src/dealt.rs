//! The micro-batches of a step, dealt to the ranks of a run.

use std::collections::BTreeMap;
use vigos_plan::micro_batches::MicroBatches;
use vigos_ranks::{Ranks, deal};
use vigos_rollout::RolledOut;

/// Most pieces of a micro-batch, for their numbers in a step.
const PIECES: u64 = 1 << 32;

/// The micro-batches of a step. The cut is the same whoever computes them.
pub(crate) struct Dealt {
    own: std::vec::IntoIter<Own>,
    others: BTreeMap<usize, std::vec::IntoIter<RolledOut>>,
}

/// One that is this rank's.
pub(crate) struct Own {
    /// Its number in the step.
    pub(crate) number: usize,
    /// Completions before it in the step.
    pub(crate) first: usize,
    /// Its completions.
    pub(crate) rollouts: Vec<RolledOut>,
}

impl Dealt {
    /// A step's completions, cut and dealt by the tokens that are read for them.
    pub(crate) fn new(cut: &MicroBatches, rollouts: Vec<RolledOut>, ranks: &dyn Ranks) -> Self {
        let mut rollouts = rollouts.into_iter().peekable();
        let batches: Vec<Vec<RolledOut>> = std::iter::from_fn(|| cut.next(&mut rollouts)).collect();
        let tokens = |batch: &Vec<RolledOut>| batch.iter().map(|rollout| rollout.length() as u64).sum();
        let weights: Vec<u64> = batches.iter().map(tokens).collect();
        let dealt = deal(&weights, ranks.count());
        let (mut own, mut others, mut first) = (Vec::new(), BTreeMap::new(), 0);
        for (number, (rollouts, rank)) in batches.into_iter().zip(dealt).enumerate() {
            let count = rollouts.len();
            if rank == ranks.rank() {
                own.push(Own { number, first, rollouts });
            } else {
                others.insert(number, rollouts.into_iter());
            }
            first += count;
        }
        Self { own: own.into_iter(), others }
    }

    /// The next one of this rank.
    pub(crate) fn next(&mut self) -> Option<Own> {
        self.own.next()
    }

    /// The next `count` completions of micro-batch `number`, which is another rank's.
    pub(crate) fn of_others(&mut self, number: usize, count: usize) -> impl Iterator<Item = RolledOut> {
        self.others.get_mut(&number).into_iter().flatten().take(count)
    }
}

/// The place of a micro-batch's piece among the parts of a step.
pub(crate) fn part_number(batch: usize, piece: usize) -> u64 {
    batch as u64 * PIECES + piece as u64
}
