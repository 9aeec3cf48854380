//! The sampler against a reference that runs each processor over the whole vocabulary, on random logits.

use crate::neutral;

use neutral::{NEUTRAL, key, seen};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use vigos_kernels::Likeliest;
use vigos_rollout::sampler::Sampling;

/// The processors one after another over the whole vocabulary, or `None` where rounding decides.
fn reference(
    sampling: &Sampling,
    logits: &[f32],
    prompt: &[u32],
    completion: &[u32],
) -> Option<Vec<(u32, f64)>> {
    let mut scores: Vec<f64> = logits.iter().map(|&l| f64::from(l)).collect();
    for (token, score) in (0..).zip(&mut scores) {
        if prompt.contains(&token) || completion.contains(&token) {
            *score = if *score < 0.0 {
                *score * sampling.repetition_penalty
            } else {
                *score / sampling.repetition_penalty
            };
        }
        if completion.contains(&token) {
            *score -= sampling.presence_penalty;
            let times = completion.iter().filter(|seen| **seen == token).count();
            *score -= times as f64 * sampling.frequency_penalty;
        }
        *score /= sampling.temperature;
    }
    if sampling.top_k > 0 {
        let mut sorted = scores.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let last = sorted[sampling.top_k.min(sorted.len()) - 1];
        scores.iter_mut().filter(|s| **s < last).for_each(|s| *s = f64::NEG_INFINITY);
    }
    if sampling.top_p < 1.0 {
        // Ascending, as the convention has it: what lies in the lower tail of mass 1 - p goes.
        let probabilities = softmax(&scores);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a)));
        let mut cumulative = 0.0;
        for &token in &order[..order.len() - 1] {
            cumulative += probabilities[token];
            if (cumulative - (1.0 - sampling.top_p)).abs() < 1e-9 {
                return None;
            }
            if cumulative <= 1.0 - sampling.top_p {
                scores[token] = f64::NEG_INFINITY;
            }
        }
    }
    let probabilities = softmax(&scores);
    let threshold = sampling.min_p * probabilities.iter().copied().fold(0.0, f64::max);
    if sampling.min_p > 0.0 && probabilities.iter().any(|p| (p / threshold - 1.0).abs() < 1e-9) {
        return None;
    }
    for (score, p) in scores.iter_mut().zip(probabilities) {
        if p < threshold {
            *score = f64::NEG_INFINITY;
        }
    }
    Some((0..).zip(softmax(&scores)).filter(|(_, p)| *p > 0.0).collect())
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let total: f64 = scores.iter().map(|s| s.exp()).sum();
    scores.iter().map(|s| s.exp() / total).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500, rng_seed: RngSeed::Fixed(11), failure_persistence: None, ..Default::default()
    })]

    #[test]
    fn the_support_is_that_of_the_processors_in_sequence_and_draws_stay_in_it(
        // Quarters, so that ties are common.
        quarters in proptest::collection::vec(-20i8..20, 1..700),
        temperature in 0.3..3.0f64,
        top_k in prop_oneof![Just(0usize), 1..40usize],
        top_p in prop_oneof![Just(1.0), 0.05..1.0f64],
        min_p in prop_oneof![Just(0.0), 0.001..1.0f64],
        repetition_penalty in prop_oneof![Just(1.0), 0.5..2.0f64],
        presence_penalty in prop_oneof![Just(0.0), -2.0..2.0f64],
        frequency_penalty in prop_oneof![Just(0.0), -2.0..2.0f64],
        (prompt, completion) in (
            proptest::collection::vec(0u32..800, 0..30),
            proptest::collection::vec(0u32..800, 0..30),
        ),
        position in any::<u64>(),
    ) {
        let logits: Vec<f32> = quarters.iter().map(|&q| f32::from(q) / 4.0).collect();
        let sampling = Sampling {
            temperature, top_k, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty,
        };
        let seen = seen(&prompt, &completion);
        let support = sampling.support(&logits, &seen).unwrap();

        let drawn = sampling.draw(&logits, &seen, key(position)).unwrap();
        prop_assert!(support.iter().any(|(token, _)| *token == drawn.token));
        prop_assert!((support.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-12);
        if let Some(expected) = reference(&sampling, &logits, &prompt, &completion) {
            prop_assert_eq!(support.len(), expected.len());
            for (found, expected) in support.iter().zip(expected) {
                prop_assert_eq!(found.0, expected.0);
                prop_assert!((found.1 - expected.1).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn neutral_values_change_nothing(
        logits in proptest::collection::vec(-10.0..10.0f32, 1..700),
        tokens in proptest::collection::vec(0u32..700, 0..30),
        position in any::<u64>(),
    ) {
        let seen = seen(&tokens, &tokens);
        let plain = NEUTRAL.support(&logits, &seen).unwrap();
        let expected = softmax(&logits.iter().map(|&l| f64::from(l)).collect::<Vec<_>>());
        prop_assert_eq!(plain.len(), logits.len());
        for ((_, found), expected) in plain.iter().zip(expected) {
            prop_assert!((found - expected).abs() < 1e-12);
        }
        // A top-k that keeps all, and a top-p and min-p that drop nothing, give the very same bits.
        let wide = Sampling { top_k: logits.len(), top_p: 1.0 - 1e-13, min_p: 1e-12, ..NEUTRAL };
        prop_assert_eq!(&wide.support(&logits, &seen).unwrap(), &plain);
        let (a, b) = (NEUTRAL.draw(&logits, &seen, key(position)), wide.draw(&logits, &seen, key(position)));
        prop_assert_eq!(a.unwrap(), b.unwrap());
    }

    /// What a device finds of a row is enough: the token is the one that is drawn from the whole row.
    #[test]
    fn the_highest_logits_and_those_that_equal_the_last_of_them_draw_the_same_token(
        quarters in proptest::collection::vec(-20i8..20, 1..300),
        temperature in prop_oneof![Just(0.0), 0.3..3.0f64],
        top_k in 1..40usize,
        top_p in prop_oneof![Just(1.0), 0.05..1.0f64],
        min_p in prop_oneof![Just(0.0), 0.001..1.0f64],
        position in 0..1000u64,
    ) {
        let logits: Vec<f32> = quarters.iter().map(|q| f32::from(*q) / 4.0).collect();
        let sampling = Sampling { temperature, top_k, top_p, min_p, ..NEUTRAL };
        let enough = sampling.enough().unwrap();
        let mut sorted = logits.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let least = sorted[enough.min(sorted.len()) - 1];
        let tokens = logits.iter().zip(0..).filter(|(l, _)| **l >= least).map(|(l, token)| (token, *l)).collect();
        let log_sum = logits.iter().map(|l| f64::from(*l).exp()).sum::<f64>().ln() as f32;
        let among = sampling.draw_among(&Likeliest { tokens, log_sum }, key(position)).unwrap();
        let whole = sampling.draw(&logits, &seen(&[], &[]), key(position)).unwrap();
        prop_assert_eq!(among.token, whole.token);
        prop_assert!((among.logprob - whole.logprob).abs() < 1e-5);
    }
}
