//! Counter-based random numbers.
//!
//! A draw is a function of what it is for and of (seed, step, sample, position). Thread timing, batch
//! composition and the number of times that a run was resumed cannot change it. The four numbers are the
//! 256-bit key of a ChaCha8 stream, so different keys give independent streams.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// What a stream of draws is used for; streams of different purposes are independent under the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Tokens of a rollout.
    Sampling = 1,
    /// Dropout masks of the adapter.
    Dropout = 2,
    /// Initial weights of a model or an adapter.
    Initialisation = 3,
    /// The order of a data set.
    Shuffle = 4,
    /// Scenes, questions and pictures of the drawn world.
    World = 8,
    /// Wrong answers of the leakage diagnostic.
    WrongAnswers = 16,
    /// Items of a bootstrap.
    Bootstrap = 32,
    /// Answers that a judge is asked about though they are graded.
    Checks = 64,
}

/// Where in a run a draw belongs. Fields that do not apply are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// The run's seed.
    pub seed: u64,
    /// The optimiser step.
    pub step: u64,
    /// The sample within the step (or a tensor, for initialisation).
    pub sample: u64,
    /// The position within the sample.
    pub position: u64,
}

/// A stream of draws for one purpose at one key.
pub struct Draws(ChaCha8Rng);

/// Opens the stream of draws for `purpose` at `key`.
pub fn draws(purpose: Purpose, key: Key) -> Draws {
    let mut bytes = [0u8; 32];
    let words = [key.seed, key.step, key.sample, key.position];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(bytes);
    rng.set_stream(purpose as u64);
    Draws(rng)
}

impl Draws {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1), a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in 0..n, without modulo bias.
    ///
    /// # Panics
    /// If `n` is zero.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "an empty range has no element to draw");
        let zone = u64::MAX - u64::MAX % n;
        loop {
            let bits = self.bits();
            if bits < zone {
                return bits % n;
            }
        }
    }

    /// Standard normal, by the Box-Muller transform.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A uniformly random order of 0..n (Fisher-Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i as u64 + 1) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u64, step: u64, sample: u64, position: u64) -> Key {
        Key { seed, step, sample, position }
    }

    #[test]
    fn a_draw_depends_on_every_part_of_its_key_and_on_its_purpose() {
        let base = draws(Purpose::Sampling, key(1, 2, 3, 4)).bits();
        assert_eq!(base, draws(Purpose::Sampling, key(1, 2, 3, 4)).bits());
        for other in [key(0, 2, 3, 4), key(1, 0, 3, 4), key(1, 2, 0, 4), key(1, 2, 3, 0)] {
            assert_ne!(base, draws(Purpose::Sampling, other).bits());
        }
        assert_ne!(base, draws(Purpose::Dropout, key(1, 2, 3, 4)).bits());
    }

    #[test]
    fn uniform_and_normal_draws_have_their_moments() {
        let mut d = draws(Purpose::Initialisation, key(7, 0, 0, 0));
        let n = 100_000;
        let (mut u, mut z, mut z2) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            u += d.uniform();
            let x = d.normal();
            z += x;
            z2 += x * x;
        }
        let n = f64::from(n);
        // Five standard errors of each mean.
        assert!((u / n - 0.5).abs() < 5.0 * (1.0 / 12.0f64 / n).sqrt());
        assert!((z / n).abs() < 5.0 / n.sqrt());
        assert!((z2 / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = draws(Purpose::Shuffle, key(3, 0, 0, 0)).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
