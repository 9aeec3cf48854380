//! Batched decoding with every family of models.
#![allow(clippy::unwrap_used)] // In helpers too.

mod recorded;

use recorded::{recorded_of, tiny_model_of};
use std::ops::ControlFlow;
use vigos_rollout::engine::{Engine, Request};
use vigos_rollout::sampler::Sampling;

#[test]
fn greedy_completions_of_every_family_equal_the_reference() {
    for family in ["qwen2_5-vl", "qwen3-vl"] {
        let (model, recorded) = (tiny_model_of(family), recorded_of(family));
        let engine = Engine {
            model: &model,
            adapter: None,
            sampling: Sampling { temperature: 0.0, ..Default::default() },
            stops: &[],
            max_new_tokens: 24,
            rows: 3,
            seed: 0,
            step: 0,
        };
        let requests: Vec<Request> = recorded
            .iter()
            .zip(0..)
            .map(|(r, sample)| Request { prompt: &r.prompt, images: &r.images, sample })
            .collect();
        let completions = engine.run(&requests, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(completions.len(), 4);
        for (found, wanted) in completions.iter().zip(&recorded) {
            assert_eq!(found.tokens, wanted.greedy, "{family}");
        }
    }
}
