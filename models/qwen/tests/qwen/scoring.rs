//! Scores of tokens against the reference's log-probabilities and against f64 on the host.

use crate::common;

use burn::tensor::Tensor;
use common::{Case, FAMILIES, tiny, tiny_model, tiny_processor};
use vigos_models::Target;
use vigos_models::agreement::check_processor;
use vigos_models::scoring::{TokenScore, score_tokens};
use vigos_models::{Architecture, VisionLanguageModel};

#[test]
fn the_recorded_greedy_tokens_have_their_recorded_log_probabilities_and_are_the_most_probable() {
    for family in FAMILIES {
        let (model, processor) = tiny(family);
        for name in ["row0", "two_images"] {
            let case = Case::of(family, name, &processor);
            let greedy = case.greedy();
            let mut sequence = case.sequence.clone();
            let first = sequence.ids.len() - 1;
            sequence.ids.extend(greedy.iter().map(|(token, _)| token));
            let features = model.encode_images(&case.image_refs(), None);
            let packed = model.pack(&[&sequence]).unwrap();
            let hidden = model.forward(&packed, &features, None, &mut ());
            let target = |(i, (token, _)): (usize, &(u32, f64))| Target { row: first + i, token: *token };
            let targets: Vec<Target> = greedy.iter().enumerate().map(target).collect();
            let scores = score_tokens(&model, &hidden, &targets, 5).unwrap();
            assert_eq!(scores.len(), 24);
            for (score, (token, logprob)) in scores.iter().zip(greedy) {
                assert!((score.logprob - logprob).abs() < 1e-4, "{family}: {} {logprob}", score.logprob);
                assert_eq!(score.top1, token, "{family}");
            }
        }
    }
}

#[test]
fn scores_equal_f64_on_the_host_whatever_the_chunk() {
    let model = tiny_model();
    let width = model.config.text.hidden_size;
    let values: Vec<f32> = (0..7 * width).map(|i| ((i * 37 % 101) as f32 / 10.0) - 5.0).collect();
    let hidden = Tensor::<1>::from_floats(values.as_slice(), &model.device).reshape([7, width]);
    // Not in order, and one row twice.
    let targets: Vec<Target> =
        [(6, 0), (0, 1055), (3, 17), (3, 18), (5, 400)].map(|(row, token)| Target { row, token }).to_vec();
    let rows: Vec<usize> = targets.iter().map(|t| t.row).collect();
    let logits: Vec<f32> = model.logits_at(&hidden, &rows).try_into_vec_as().unwrap();
    let wanted: Vec<TokenScore> = logits
        .chunks(model.config.text.vocab_size)
        .zip(&targets)
        .map(|(row, target)| on_the_host(row, target.token))
        .collect();
    for chunk in [1, 2, 100] {
        let found = score_tokens(&model, &hidden, &targets, chunk).unwrap();
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!((found.logprob - wanted.logprob).abs() < 1e-4, "{found:?} {wanted:?}");
            assert!((found.entropy - wanted.entropy).abs() < 1e-4, "{found:?} {wanted:?}");
            assert_eq!(found.top1, wanted.top1);
        }
        assert_eq!(found.len(), targets.len());
    }
}

#[test]
fn a_token_or_row_that_does_not_exist_is_an_error() {
    let model = tiny_model();
    let hidden = Tensor::<2>::zeros([2, model.config.text.hidden_size], &model.device);
    for target in [Target { row: 0, token: 1056 }, Target { row: 2, token: 0 }] {
        let message = score_tokens(&model, &hidden, &[target], 8).unwrap_err().to_string();
        assert!(message.contains("1056") && message.contains("row below 2"), "{message}");
    }
}

#[test]
fn a_processor_of_another_model_is_told_apart() {
    let (model, processor) = (tiny_model(), tiny_processor());
    let folder = common::tiny_folder();
    check_processor(&model.architecture, &processor, &folder).unwrap();
    let mut other = Architecture::clone(&model.architecture);
    other.vision.patch_size = 16;
    let message = check_processor(&other, &processor, &folder).unwrap_err().to_string();
    assert!(message.contains("patch_size") && message.contains("14") && message.contains("16"), "{message}");
}

fn on_the_host(logits: &[f32], token: u32) -> TokenScore {
    let logits: Vec<f64> = logits.iter().map(|l| f64::from(*l)).collect();
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = max + logits.iter().map(|l| (l - max).exp()).sum::<f64>().ln();
    let log_p: Vec<f64> = logits.iter().map(|l| l - log_sum).collect();
    TokenScore {
        logprob: log_p[token as usize],
        entropy: -log_p.iter().map(|l| l.exp() * l).sum::<f64>(),
        top1: logits.iter().position(|l| *l == max).unwrap() as u32,
    }
}
