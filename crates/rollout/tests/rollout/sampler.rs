//! What the sampler promises.

use crate::neutral;

use std::collections::BTreeMap;

use neutral::{NEUTRAL, key, seen};
use vigos_core::random::Key;
use vigos_rollout::sampler::{Sampling, SamplingError, Seen, most_probable};

/// Logits whose softmax is `probabilities`.
fn logits_of(probabilities: &[f32]) -> Vec<f32> {
    probabilities.iter().map(|p| p.ln()).collect()
}

fn tokens(sampling: Sampling, logits: &[f32]) -> Vec<u32> {
    let support = sampling.support(logits, &Seen::default()).expect("logits that can be sampled");
    support.into_iter().map(|(token, _)| token).collect()
}

fn assert_close(found: &[(u32, f64)], expected: &[(u32, f64)]) {
    assert_eq!(found.len(), expected.len(), "{found:?} for {expected:?}");
    for (f, e) in found.iter().zip(expected) {
        assert!(f.0 == e.0 && (f.1 - e.1).abs() < 1e-6, "{found:?} for {expected:?}");
    }
}

#[test]
fn defaults_are_the_recipes() {
    let expected = Sampling { temperature: 1.1, top_k: 20, top_p: 0.95, ..NEUTRAL };
    assert_eq!(Sampling::default(), expected);
    assert_eq!(toml::from_str::<Sampling>("").unwrap(), expected);
    let text = toml::to_string(&expected).unwrap();
    assert_eq!(toml::from_str::<Sampling>(&text).unwrap(), expected);
    assert!(toml::from_str::<Sampling>("topk = 3").unwrap_err().to_string().contains("topk"));
}

#[test]
fn a_setting_out_of_range_is_refused_by_its_name() {
    for (key, sampling) in [
        ("temperature", Sampling { temperature: -0.1, ..NEUTRAL }),
        ("temperature", Sampling { temperature: f64::INFINITY, ..NEUTRAL }),
        ("top_p", Sampling { top_p: 0.0, ..NEUTRAL }),
        ("top_p", Sampling { top_p: 1.5, ..NEUTRAL }),
        ("min_p", Sampling { min_p: f64::NAN, ..NEUTRAL }),
        ("repetition_penalty", Sampling { repetition_penalty: 0.0, ..NEUTRAL }),
        ("presence_penalty", Sampling { presence_penalty: f64::NEG_INFINITY, ..NEUTRAL }),
        ("frequency_penalty", Sampling { frequency_penalty: f64::NAN, ..NEUTRAL }),
    ] {
        let error = sampling.check().unwrap_err();
        assert!(matches!(error, SamplingError::Setting { key: found, .. } if found == key), "{error}");
        assert!(error.to_string().starts_with(&format!("{key}: found ")));
        let drawn = sampling.draw(&[0.0, 1.0], &Seen::default(), Key::default()).unwrap_err();
        assert_eq!(drawn.to_string(), error.to_string());
    }
    assert_eq!(NEUTRAL.check(), Ok(()));
}

#[test]
fn logits_that_cannot_be_sampled_are_an_error() {
    let inf = f32::INFINITY;
    for sampling in [NEUTRAL, Sampling::default(), Sampling { temperature: 0.0, ..NEUTRAL }] {
        let draw = |logits: &[f32]| sampling.draw(logits, &Seen::default(), Key::default()).unwrap_err();
        assert!(matches!(draw(&[0.0, f32::NAN, 1.0]), SamplingError::Logit { token: 1, .. }));
        assert!(matches!(draw(&[0.0, 1.0, inf]), SamplingError::Logit { token: 2, vocabulary: 3, .. }));
        assert_eq!(draw(&[-inf, -inf]), SamplingError::Nothing { vocabulary: 2 });
        assert_eq!(draw(&[]), SamplingError::Nothing { vocabulary: 0 });
    }
}

#[test]
fn a_token_of_minus_infinity_is_never_in_the_support() {
    let logits = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY, 0.0];
    assert_eq!(tokens(NEUTRAL, &logits), [1, 3]);
    assert_eq!(tokens(Sampling { top_k: 3, ..NEUTRAL }, &logits), [1, 3]);
}

#[test]
fn temperature_divides_the_logits() {
    let support = Sampling { temperature: 2.0, ..NEUTRAL }.support(&[0.0, 2.0], &Seen::default()).unwrap();
    let e = 1.0f64.exp();
    assert_close(&support, &[(0, 1.0 / (1.0 + e)), (1, e / (1.0 + e))]);
}

#[test]
fn a_temperature_close_to_zero_does_not_overflow() {
    let support = Sampling { temperature: 1e-300, ..NEUTRAL }.support(&[3e38, 1e38, -3e38], &Seen::default());
    assert_eq!(support.unwrap(), [(0, 1.0)]);
}

#[test]
fn top_k_keeps_the_ties_of_its_last_token() {
    let logits = [1.0, 3.0, 2.0, 2.0, 0.0, 2.0];
    assert_eq!(tokens(Sampling { top_k: 1, ..NEUTRAL }, &logits), [1]);
    assert_eq!(tokens(Sampling { top_k: 2, ..NEUTRAL }, &logits), [1, 2, 3, 5]);
    assert_eq!(tokens(Sampling { top_k: 5, ..NEUTRAL }, &logits), [0, 1, 2, 3, 5]);
    assert_eq!(tokens(Sampling { top_k: 7, ..NEUTRAL }, &logits), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn top_p_keeps_the_fewest_tokens_that_reach_it() {
    let logits = logits_of(&[0.15, 0.5, 0.05, 0.3]);
    for (top_p, expected) in [
        (0.01, vec![1]),
        (0.49, vec![1]),
        (0.51, vec![1, 3]),
        (0.79, vec![1, 3]),
        (0.81, vec![0, 1, 3]),
        (0.96, vec![0, 1, 2, 3]),
    ] {
        assert_eq!(tokens(Sampling { top_p, ..NEUTRAL }, &logits), expected, "{top_p}");
    }
    // The share is of what top-k left: 0.5 / 0.8 reaches 0.6.
    assert_eq!(tokens(Sampling { top_k: 2, top_p: 0.6, ..NEUTRAL }, &logits), [1]);
    // Of equals the lower ids are kept.
    assert_eq!(tokens(Sampling { top_p: 0.5, ..NEUTRAL }, &[0.0; 4]), [0, 1]);
}

#[test]
fn min_p_is_relative_to_the_most_probable_token() {
    let logits = logits_of(&[0.1, 0.5, 0.04, 0.36]);
    assert_eq!(tokens(Sampling { min_p: 0.19, ..NEUTRAL }, &logits), [0, 1, 3]);
    assert_eq!(tokens(Sampling { min_p: 0.21, ..NEUTRAL }, &logits), [1, 3]);
    assert_eq!(tokens(Sampling { min_p: 1.0, ..NEUTRAL }, &logits), [1]);
}

#[test]
fn penalties_change_seen_tokens_as_computed_by_hand() {
    let sampling = Sampling { repetition_penalty: 2.0, presence_penalty: 0.5, ..NEUTRAL };
    let logits = [2.0, 2.0, -1.0, -1.0, 0.0, 0.0, 1.0];
    // Prompt: 0, 2, 4. Completion: 1, 3 and 5, and 0 as well. Ids beyond the vocabulary are of no effect.
    let seen = seen(&[4, 2, 2, 0, 900], &[5, 1, 3, 3, 0]);
    let penalised: [f64; 7] = [0.5, 0.5, -2.0, -2.5, 0.0, -0.5, 1.0];
    let total: f64 = penalised.iter().map(|s| s.exp()).sum();
    let expected: Vec<_> = (0..).zip(penalised.map(|s| s.exp() / total)).collect();
    assert_close(&sampling.support(&logits, &seen).unwrap(), &expected);

    let greedy = Sampling { temperature: 0.0, ..sampling };
    assert_eq!(greedy.draw(&logits, &seen, Key::default()).unwrap().token, 6);

    // 3 is there twice.
    let counted = Sampling { frequency_penalty: 0.25, ..NEUTRAL };
    let penalised: [f64; 7] = [1.75, 1.75, -1.0, -1.5, 0.0, -0.25, 1.0];
    let total: f64 = penalised.iter().map(|s| s.exp()).sum();
    let expected: Vec<_> = (0..).zip(penalised.map(|s| s.exp() / total)).collect();
    assert_close(&counted.support(&logits, &seen).unwrap(), &expected);
}

#[test]
fn the_most_probable_tokens_come_in_order_with_their_log_probabilities() {
    let logits = logits_of(&[0.1, 0.4, 0.4, 0.1]);
    let best = most_probable(&logits, 3);
    assert_eq!(
        best.iter().map(|(token, _)| *token).collect::<Vec<_>>(),
        [1, 2, 0],
        "of equals the lower id first"
    );
    assert!(best.iter().zip([0.4f64, 0.4, 0.1]).all(|((_, logprob), p)| (logprob - p.ln()).abs() < 1e-6));
    assert!(most_probable(&logits, 0).is_empty());
    assert_eq!(most_probable(&logits, 9).len(), 4);
}

#[test]
fn greedy_takes_the_lowest_id_of_the_highest_logits_whatever_the_key() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    for position in 0..20 {
        let sampled = greedy.draw(&[0.0, 4.0, 1.0, 4.0], &Seen::default(), key(position)).unwrap();
        assert_eq!(sampled.token, 1);
    }
}

#[test]
fn the_log_probability_is_under_the_unmodified_softmax() {
    let probabilities = [0.1, 0.2, 0.3, 0.4];
    let sampling =
        Sampling { top_k: 2, repetition_penalty: 1.3, presence_penalty: 0.1, ..Sampling::default() };
    for sampling in [sampling, Sampling { temperature: 0.0, ..sampling }] {
        for position in 0..50 {
            let sampled =
                sampling.draw(&logits_of(&probabilities), &seen(&[2], &[3]), key(position)).unwrap();
            let expected = f64::from(probabilities[sampled.token as usize]).ln();
            assert!((sampled.logprob - expected).abs() < 1e-6);
        }
    }
}

#[test]
fn a_draw_depends_on_its_key_and_on_nothing_that_was_drawn_before() {
    let logits: Vec<f32> = (0..1000).map(|i| (i % 7) as f32 * 0.1).collect();
    let draw = |key| NEUTRAL.draw(&logits, &Seen::default(), key).unwrap().token;
    let forwards: Vec<u32> = (0..64).map(|p| draw(key(p))).collect();
    let mut backwards: Vec<u32> = (0..64).rev().map(|p| draw(key(p))).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    for part in [
        Key { seed: 43, ..key(0) },
        Key { step: 4, ..key(0) },
        Key { sample: 2, ..key(0) },
        Key { position: 1, ..key(0) },
    ] {
        let others: Vec<u32> = (0..64).map(|p| draw(Key { position: p + part.position, ..part })).collect();
        assert_ne!(forwards, others);
    }
}

#[test]
fn draws_have_the_analytic_distribution() {
    let logits: Vec<f32> = (0..60).map(|i| ((i * 37) % 60) as f32 * 0.07 - 2.0).collect();
    let sampling = Sampling { repetition_penalty: 1.2, presence_penalty: 0.3, ..Sampling::default() };
    let seen = seen(&[1, 2, 3, 13], &[4, 5, 13, 26]);
    let support = sampling.support(&logits, &seen).unwrap();
    assert!(support.len() > 10);

    let n = 100_000;
    let mut counts = BTreeMap::new();
    for position in 0..n {
        *counts.entry(sampling.draw(&logits, &seen, key(position)).unwrap().token).or_insert(0.0) += 1.0;
    }
    let chi_square: f64 = support
        .iter()
        .map(|(token, p)| {
            let expected = p * n as f64;
            let found: f64 = counts.remove(token).unwrap_or(0.0);
            (found - expected).powi(2) / expected
        })
        .sum();
    assert!(counts.is_empty(), "drawn outside the support: {counts:?}");
    // Mean and four standard deviations of the statistic.
    let freedom = support.len() as f64 - 1.0;
    assert!(
        chi_square < freedom + 4.0 * (2.0 * freedom).sqrt(),
        "{chi_square} at {freedom} degrees of freedom"
    );
}

#[test]
fn a_whole_vocabulary_is_truncated_like_a_small_one() {
    let vocabulary = 151_936u64;
    // An order without pattern, every value twice.
    let logits: Vec<f32> =
        (0..vocabulary).map(|i| ((i / 2).wrapping_mul(48_271) % 75_968) as f32 / 4000.0).collect();
    let mut sorted = logits.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));

    let kept = tokens(Sampling { top_k: 1001, ..NEUTRAL }, &logits);
    assert_eq!(kept.len(), 1002);
    assert!(kept.iter().all(|&t| logits[t as usize] >= sorted[1001]));

    let kept = tokens(Sampling { top_p: 0.5, ..NEUTRAL }, &logits);
    let total: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
    let held = |tokens: &[f32]| tokens.iter().map(|&l| f64::from(l).exp()).sum::<f64>() / total;
    assert!(held(&sorted[..kept.len()]) >= 0.5 && held(&sorted[..kept.len() - 1]) < 0.5);
    assert!(kept.iter().all(|&t| logits[t as usize] >= sorted[kept.len() - 1]));

    // All equal: every token ties with the last of the top-k.
    assert_eq!(tokens(Sampling { top_k: 20, ..NEUTRAL }, &vec![1.5; 151_936]).len(), 151_936);
}
