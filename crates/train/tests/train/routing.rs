//! The teacher table decides who reads what, and how the losses are put together.

use crate::support;

use std::collections::BTreeMap;
use support::{Recorded, relative, teaching};
use vigos_models::ActiveAdapter;
use vigos_models::gradient::Keep;
use vigos_recipe::{Fidelity, Method, Preset, Recipe};
use vigos_rollout::routing::{TeacherPass, route};
use vigos_rollout::spans::{Reason, Spans, Verdict};
use vigos_train::distillation::{MicroBatch, micro_batch};

/// Eleven tokens: three of description, two of reasoning, one of answer, delimiters between them.
const COMPLETION: [u32; 11] = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];

fn valid() -> Verdict {
    Verdict::Valid(Spans { description: vec![0, 1, 2], reasoning_answer: vec![5, 6, 8] })
}

fn invalid() -> Verdict {
    Verdict::Invalid(Reason::NoBox)
}

fn passes(preset: &str, fidelity: Fidelity, verdict: &Verdict) -> Vec<TeacherPass> {
    route(&Method::of(Preset::named(preset).unwrap(), fidelity).teachers, &COMPLETION, verdict)
}

/// (position, tokens read before it) of every supervised token.
fn active(pass: &TeacherPass) -> Vec<(usize, usize)> {
    pass.active.iter().map(|a| (a.position, a.read)).collect()
}

#[test]
fn a_valid_rollout_is_read_by_perception_and_reasoning_no_further_than_needed() {
    let [perception, reasoning] = &passes("vigos", Fidelity::Paper, &valid())[..] else { panic!() };
    assert_eq!((perception.teacher, reasoning.teacher), (0, 1));
    assert_eq!(perception.tokens, [10, 11], "the last supervised token is predicted, not read");
    assert_eq!(active(perception), [(0, 0), (1, 1), (2, 2)]);
    assert_eq!(reasoning.tokens, COMPLETION[..8]);
    assert_eq!(active(reasoning), [(5, 5), (6, 6), (8, 8)]);
}

#[test]
fn with_released_fidelity_the_reasoning_teacher_reads_its_span_alone() {
    let passes = passes("vigos", Fidelity::Released, &valid());
    assert_eq!(passes[1].tokens, [15, 16]);
    assert_eq!(active(&passes[1]), [(5, 0), (6, 1), (8, 2)]);
}

#[test]
fn an_invalid_rollout_is_read_by_the_reference_teacher_alone_to_its_last_token() {
    let [reference] = &passes("vigos", Fidelity::Paper, &invalid())[..] else { panic!() };
    assert_eq!(reference.teacher, 2);
    assert_eq!(reference.tokens, COMPLETION[..10]);
    assert_eq!(active(reference).len(), COMPLETION.len());
}

#[test]
fn without_a_reference_teacher_both_others_supervise_every_token_of_an_invalid_rollout() {
    let passes = passes("vigos-no-reference", Fidelity::Paper, &invalid());
    assert_eq!(passes.len(), 2);
    assert!(passes.iter().all(|r| active(r).len() == COMPLETION.len()));
}

#[test]
fn self_distillation_reads_every_rollout_with_one_teacher() {
    for preset in ["opsd", "opsd-same-prompt"] {
        for verdict in [valid(), invalid()] {
            let [teacher] = &passes(preset, Fidelity::Paper, &verdict)[..] else { panic!() };
            assert_eq!(active(teacher).len(), COMPLETION.len());
        }
    }
}

#[test]
fn a_teacher_of_weight_zero_is_not_run() {
    let teachers = |preset| -> Vec<usize> {
        passes(preset, Fidelity::Paper, &valid()).iter().map(|r| r.teacher).collect()
    };
    assert_eq!(teachers("vigos-no-perception"), [1]);
    assert_eq!(teachers("vigos-no-reasoning"), [0]);
}

/// The recorded rollouts under another method.
fn run(recorded: &Recorded, overrides: &[&str]) -> (Method, MicroBatch) {
    let text = "[model]\npath = \"m\"\n[data]\npath = \"d.jsonl\"\n[train]\nsteps = 1\n";
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    let method = Recipe::parse(text, "test", &overrides).unwrap().method;
    let rows = recorded.rows(&method);
    let active = ActiveAdapter { adapter: &recorded.adapter, dropout: None };
    let result = micro_batch(&recorded.model, active, &teaching(&method), rows, Keep::Inputs).unwrap();
    (method, result)
}

#[test]
fn every_preset_gives_token_means_of_its_losses_and_their_weighted_sum() {
    let recorded = Recorded::load();
    for preset in Preset::ALL {
        let name = preset.name;
        let key = format!("method.preset={name}");
        let (method, result) = run(&recorded, &[&key, "method.clip=1.0"]);
        let mut sums: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for token in result.scored.iter().flat_map(|s| &s.tokens) {
            assert!(token.kl.is_finite() && token.kl > -1e-6, "{name}");
            assert_eq!(token.clipped, token.kl > 1.0, "{name}");
            let sum = sums.entry(&method.teachers[token.teacher].name).or_default();
            *sum = (sum.0 + token.kl.min(1.0), sum.1 + 1);
        }
        let mut total = 0.0;
        for (term, (sum, count)) in sums {
            let found = result.terms[term];
            assert_eq!(found.tokens, count, "{name} {term}");
            let mean = sum / count as f64;
            assert!(relative(found.loss, mean) < 1e-9, "{name} {term}: {} and {mean}", found.loss);
            let weight = method.teachers.iter().find(|t| t.name == term).unwrap().weight;
            total += weight * sum / count as f64;
        }
        assert!(relative(result.loss, total) < 1e-9, "{name}");
    }
}

#[test]
fn a_boundary_clip_touches_the_two_boundary_tokens_of_valid_rollouts_alone() {
    let recorded = Recorded::load();
    let (_, free) = run(&recorded, &["method.clip=0"]);
    let (method, bounded) = run(&recorded, &["method.clip=0", "method.boundary_clip=0.05"]);
    assert!(free.scored.iter().flat_map(|s| &s.tokens).all(|t| !t.clipped));
    for ((span, rollout), before) in recorded.spans("paper").iter().zip(&bounded.scored).zip(&free.scored) {
        for (token, before) in rollout.tokens.iter().zip(&before.tokens) {
            assert_eq!(token.kl, before.kl);
            let boundary = span.as_ref().is_some_and(|(description, reasoning)| {
                [description.last(), reasoning.first()].contains(&Some(&token.position))
            });
            assert_eq!(token.clipped, boundary, "{token:?} of {}", method.teachers[token.teacher].name);
        }
    }
    assert!(bounded.loss < free.loss);
}

#[test]
fn a_teacher_that_is_not_run_needs_no_template() {
    let recorded = Recorded::load();
    let folder = tempfile::tempdir().unwrap();
    for name in ["student", "reasoning", "reference"] {
        let file = format!("{name}.txt");
        let from = support::root().join("configs/prompts/vigos").join(&file);
        std::fs::copy(from, folder.path().join(file)).unwrap();
    }
    let prompts = format!("method.prompts={}", folder.path().display());
    let (_, result) = run(&recorded, &["method.preset=vigos-no-perception", &prompts]);
    assert!(result.terms.contains_key("reasoning") && !result.terms.contains_key("perception"));
}
