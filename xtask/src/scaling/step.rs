//! A step of a run that ranks share, in seconds.

use crate::scaling::machine::{Measured, Network, Shape, makespan};
use vigos_ranks::deal;

/// A share of a step that is worth a word.
const NOTABLE: f64 = 0.1;

/// Seconds of a step's parts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Step {
    /// Of the rank whose completions take longest.
    pub(crate) rollout: f64,
    /// Of all ranks, the mean.
    rollout_mean: f64,
    /// Of a rank whose rows would all be in use all the time.
    filled: f64,
    /// In which the longest completion of the step is decoded, whoever has it.
    longest: f64,
    /// Teachers and update of the rank that has most.
    pub(crate) learning: f64,
    learning_mean: f64,
    /// In which the largest micro-batch is learnt from.
    largest: f64,
    /// Of the gradients on their way.
    pub(crate) sum: f64,
    /// In which every rank prepares the samples of a step, beside the step before.
    pub(crate) prepare: f64,
}

/// What a step takes its time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Work,
    Longest,
    Rows,
    Uneven,
    Batches,
    Sum,
    Prepare,
}

impl Bound {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Longest => "longest completion",
            Self::Rows => "empty rows",
            Self::Uneven => "uneven shares",
            Self::Batches => "micro-batches",
            Self::Sum => "sum",
            Self::Prepare => "preparation",
        }
    }

    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Work => "more ranks are that much faster",
            Self::Longest => {
                "no step is shorter than its longest completion: a larger step has more to do in the meantime, \
                 rollout.max_new_tokens bounds it"
            }
            Self::Rows => {
                "a rank decodes few rows, which takes as long as many: a larger step, or completions of a rank that are a \
                 multiple of rollout.batch"
            }
            Self::Uneven => "a rank has few completions, and theirs differ: a larger step evens them out",
            Self::Batches => {
                "ranks without a micro-batch wait: a smaller train.batch and a larger train.accumulate"
            }
            Self::Sum => {
                "gradients take longer than the work: larger micro-batches (train.batch), a smaller lora.rank, a \
                          faster network"
            }
            Self::Prepare => {
                "every rank prepares every sample: smaller pictures (data.max_pixels), or pictures scaled beforehand"
            }
        }
    }
}

impl Step {
    /// Of all of it.
    pub(crate) fn seconds(&self) -> f64 {
        (self.rollout + self.learning + self.sum).max(self.prepare)
    }

    /// Share of the step in which a rank waits, the mean.
    pub(crate) fn waiting(&self) -> f64 {
        1.0 - (self.rollout_mean + self.learning_mean + self.sum) / self.seconds().max(1e-12)
    }

    /// What most of the time goes to that more ranks do not save.
    pub(crate) fn bound(&self) -> Bound {
        let seconds = self.seconds();
        if self.prepare >= self.rollout + self.learning + self.sum {
            return Bound::Prepare;
        }
        let empty = self.rollout_mean - self.filled > self.rollout - self.rollout_mean;
        let rollout = match (self.longest > 0.9 * self.rollout, empty) {
            (true, _) => Bound::Longest,
            (false, true) => Bound::Rows,
            (false, false) => Bound::Uneven,
        };
        let learning = match self.largest > 0.9 * self.learning {
            true => Bound::Batches,
            false => Bound::Uneven,
        };
        let lost = [
            (rollout, self.rollout - self.filled),
            (learning, self.learning - self.learning_mean),
            (Bound::Sum, self.sum),
        ];
        let most = lost.into_iter().filter(|(_, lost)| *lost > NOTABLE * seconds);
        most.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(Bound::Work, |(bound, _)| bound)
    }

    /// Adds one of `count` steps to a mean.
    pub(crate) fn add(&mut self, other: &Self, count: usize) {
        let share = |mean: &mut f64, value: f64| *mean += value / count as f64;
        share(&mut self.rollout, other.rollout);
        share(&mut self.rollout_mean, other.rollout_mean);
        share(&mut self.filled, other.filled);
        share(&mut self.longest, other.longest);
        share(&mut self.learning, other.learning);
        share(&mut self.learning_mean, other.learning_mean);
        share(&mut self.largest, other.largest);
        share(&mut self.sum, other.sum);
        share(&mut self.prepare, other.prepare);
    }
}

/// A step of completions of these lengths on so many ranks, dealt as the trainer deals them. A decoding step takes the same
/// time for fewer rows: weights are read all the same.
pub(crate) fn simulated(
    lengths: &[f64],
    shape: Shape,
    measured: &Measured,
    network: &Network,
    ranks: usize,
) -> Step {
    let samples: Vec<&[f64]> = lengths.chunks(shape.per_sample).collect();
    // Before a completion is there its length is not known: all are dealt alike.
    let mut own = vec![Vec::new(); ranks];
    for (sample, rank) in samples.iter().zip(deal(&vec![1; samples.len()], ranks)) {
        own[rank].extend_from_slice(sample);
    }
    let rollouts: Vec<f64> = own.iter().map(|own| measured.decoding * makespan(own, shape.rows)).collect();
    let tokens = |batch: &[f64]| batch.iter().map(|length| length + measured.prompt).sum::<f64>();
    let batches: Vec<f64> =
        lengths.chunks(shape.batch).map(|batch| measured.learning * tokens(batch)).collect();
    let weights: Vec<u64> = lengths.chunks(shape.batch).map(|batch| tokens(batch) as u64).collect();
    let (mut learnings, mut parts) = (vec![0.0; ranks], vec![0_u32; ranks]);
    for (seconds, rank) in batches.iter().zip(deal(&weights, ranks)) {
        learnings[rank] += seconds;
        parts[rank] += 1;
    }
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let parts = f64::from(parts.into_iter().max().unwrap_or(0));
    Step {
        rollout: most(&rollouts),
        rollout_mean: mean(&rollouts),
        filled: measured.decoding * lengths.iter().sum::<f64>() / (shape.rows * ranks) as f64,
        longest: measured.decoding * most(lengths),
        learning: most(&learnings),
        learning_mean: mean(&learnings),
        largest: most(&batches),
        sum: summed(parts, batches.len() as f64, ranks as f64, measured.gradient, network),
        prepare: network.prepare * samples.len() as f64,
    }
}

/// Seconds in which gradients are added up: a rank sends its parts and gets its slice of all of them, whichever takes longer,
/// and then sends its slice of the sum to all.
fn summed(own: f64, all: f64, ranks: f64, gradient: f64, network: &Network) -> f64 {
    if ranks < 2.0 {
        return 0.0;
    }
    let others = (ranks - 1.0) / ranks;
    let bytes = (own.max(all / ranks) + 1.0) * gradient * others;
    bytes / network.bytes_a_second + 2.0 * (ranks - 1.0) * network.latency
}

#[cfg(test)]
mod tests {
    use super::{Bound, Step, simulated, summed};
    use crate::scaling::machine::{Measured, Network, Shape, makespan};

    const SHAPE: Shape = Shape { completions: 8, batch: 2, rows: 2, per_sample: 1 };
    const NETWORK: Network = Network { bytes_a_second: 1e9, latency: 0.0, prepare: 0.0 };

    fn measured() -> Measured {
        Measured {
            shape: SHAPE,
            lengths: vec![10.0],
            prompt: 5.0,
            decoding: 0.1,
            learning: 0.01,
            gradient: 1e9,
        }
    }

    fn step(lengths: &[f64], ranks: usize) -> Step {
        simulated(lengths, SHAPE, &measured(), &NETWORK, ranks)
    }

    #[test]
    fn rows_take_the_next_completion_when_one_ends() {
        assert_eq!(makespan(&[4.0, 1.0, 1.0, 1.0], 2), 4.0);
        assert_eq!(makespan(&[1.0, 1.0, 4.0], 2), 5.0);
        assert_eq!(makespan(&[3.0; 4], 8), 3.0);
    }

    #[test]
    fn even_work_is_shared_evenly() {
        let lengths = [10.0; 8];
        // Four rounds of two rows; eight times fifteen tokens.
        let alone = step(&lengths, 1);
        assert!((alone.rollout - 4.0).abs() < 1e-12 && (alone.learning - 1.2).abs() < 1e-12);
        assert_eq!(alone.sum, 0.0);
        let four = step(&lengths, 4);
        assert!((four.rollout - 1.0).abs() < 1e-12 && (four.learning - 0.3).abs() < 1e-12);
        assert!(four.waiting() < 1e-9, "{four:?}");
    }

    #[test]
    fn a_gradient_is_sent_once_for_each_part_and_once_for_the_sum() {
        // A part of one gigabyte to three of four ranks, and the sum back.
        let sum = summed(1.0, 4.0, 4.0, 1e9, &NETWORK);
        assert!((sum - 1.5).abs() < 1e-12, "{sum}");
    }

    #[test]
    fn what_bounds_a_step_is_named() {
        let network = Network { bytes_a_second: 1e15, ..NETWORK };
        let of = |lengths: &[f64], ranks, network: &Network| {
            simulated(lengths, SHAPE, &measured(), network, ranks).bound()
        };
        let mut lengths = [10.0; 8];
        assert_eq!(of(&lengths, 4, &network), Bound::Work);
        assert_eq!(of(&[10.0, 1.0, 10.0, 1.0, 10.0, 1.0], 1, &network), Bound::Rows);
        assert_eq!(of(&lengths, 4, &NETWORK), Bound::Sum);
        assert_eq!(of(&lengths, 4, &Network { prepare: 10.0, ..network }), Bound::Prepare);
        lengths[3] = 1000.0;
        assert_eq!(of(&lengths, 4, &network), Bound::Longest);
        let slow = Measured { learning: 10.0, decoding: 1e-6, ..measured() };
        assert_eq!(simulated(&[10.0; 8], SHAPE, &slow, &network, 8).bound(), Bound::Batches);
    }
}
