//! What the tests of the world share.
#![allow(dead_code, unreachable_pub)] // Each test binary uses its own part.

use vigos_world::{World, WorldConfig};

/// A world with overrides.
#[track_caller]
pub fn world(set: &[&str]) -> World {
    let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
    World::new(WorldConfig::load(None, &set).unwrap()).unwrap()
}

/// Checks that `hits` of `n` draws fit a probability: within five standard errors.
#[track_caller]
pub fn assert_share(what: &str, hits: usize, n: usize, p: f64) {
    let (share, error) = (hits as f64 / n as f64, (p * (1.0 - p) / n as f64).sqrt());
    assert!((share - p).abs() <= 5.0 * error + 1e-12, "{what}: {hits} of {n}, wanted {p} ± {error:.4}");
}
