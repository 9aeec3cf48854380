//! Batched decoding with every family of models: prompts with one image and with two, rows that are shared, rows that
//! others join.

use crate::recorded;

use recorded::{Recorded, recorded_of, tiny_model_of};
use std::ops::ControlFlow;
use vigos_qwen::Model;
use vigos_rollout::engine::{Completion, Engine, Request};
use vigos_rollout::sampler::Sampling;

const FAMILIES: [&str; 2] = ["qwen2_5-vl", "qwen3-vl"];

/// The completions of these prompts, at most so many of them at a time.
fn complete(model: &Model, prompts: &[&Recorded], sampling: Sampling, rows: usize) -> Vec<Completion> {
    let engine =
        Engine { model, adapter: None, sampling, stops: &[], max_new_tokens: 24, rows, seed: 7, step: 3 };
    let numbered = prompts.iter().zip(0..);
    let requests: Vec<Request> =
        numbered.map(|(r, sample)| Request { prompt: &r.prompt, images: &r.images, sample }).collect();
    engine.run(&requests, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn greedy_completions_of_every_family_equal_the_reference_whatever_the_number_of_rows() {
    for family in FAMILIES {
        let (model, recorded) = (tiny_model_of(family), recorded_of(family));
        let prompts: Vec<&Recorded> = recorded.iter().collect();
        for rows in [1, 3, 4] {
            let greedy = Sampling { temperature: 0.0, ..Default::default() };
            let completions = complete(&model, &prompts, greedy, rows);
            assert_eq!(completions.len(), 4);
            for (found, wanted) in completions.iter().zip(&recorded) {
                assert_eq!(found.tokens, wanted.greedy, "{family}, {rows} rows");
            }
        }
    }
}

#[test]
fn a_sampled_completion_of_every_family_does_not_depend_on_those_beside_it() {
    for family in FAMILIES {
        let (model, recorded) = (tiny_model_of(family), recorded_of(family));
        // Ten prompts for three rows: the later ones join where others have ended, and the cache moves.
        let prompts: Vec<&Recorded> = recorded.iter().cycle().take(10).collect();
        let alone = complete(&model, &prompts, Sampling::default(), 1);
        let together = complete(&model, &prompts, Sampling::default(), 3);
        for (i, (found, wanted)) in together.iter().zip(&alone).enumerate() {
            assert_eq!(found.tokens, wanted.tokens, "{family}, request {i}");
        }
    }
}
