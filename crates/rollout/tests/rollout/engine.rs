//! Batched decoding: what a prompt is completed with does not depend on what is decoded beside it.

use crate::recorded;

use recorded::{Recorded, recorded, tiny_model};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use vigos_models::{ActiveAdapter, Adapter, LoraConfig, Projection, Sequence};
use vigos_qwen::Model;
use vigos_rollout::engine::{Completion, Engine, Finish, Request, RolloutError};
use vigos_rollout::sampler::Sampling;

fn greedy() -> Sampling {
    Sampling { temperature: 0.0, ..Default::default() }
}

/// The recipe's sampling, 24 tokens at most, one row, no stops.
fn engine(model: &Model) -> Engine<'_> {
    Engine {
        model,
        adapter: None,
        sampling: Sampling::default(),
        stops: &[],
        max_new_tokens: 24,
        rows: 1,
        seed: 7,
        step: 3,
    }
}

fn requests<'a>(prompts: impl IntoIterator<Item = &'a Recorded>) -> Vec<Request<'a>> {
    let numbered = prompts.into_iter().zip(0..);
    numbered.map(|(r, sample)| Request { prompt: &r.prompt, images: &r.images, sample }).collect()
}

fn run(engine: Engine, requests: &[Request]) -> Vec<Completion> {
    engine.run(requests, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn run_error(engine: Engine, requests: &[Request]) -> RolloutError {
    engine.run(requests, &mut |_| ControlFlow::Continue(())).unwrap_err()
}

/// To the bit: on a CPU no other sequence enters the rounding of a sequence's numbers.
#[track_caller]
fn assert_same(found: &Completion, wanted: &Completion, what: &str) {
    assert_eq!(found, wanted, "{what}");
    assert_eq!(found.logprobs.len(), found.tokens.len(), "{what}");
}

/// Every sixteenth token ends a completion, so that completions get all lengths.
fn many_stops() -> Vec<u32> {
    (0..1056).filter(|id| id % 16 == 0).collect()
}

#[test]
fn greedy_completions_equal_the_reference_whatever_the_number_of_rows() {
    let (model, recorded) = (tiny_model(), recorded());
    for rows in [1, 2, 4] {
        let completions = run(Engine { rows, sampling: greedy(), ..engine(&model) }, &requests(&recorded));
        for (found, wanted) in completions.iter().zip(&recorded) {
            assert_eq!(found.tokens, wanted.greedy, "{rows} rows");
            assert_eq!(found.finish, Finish::Length);
            for (found, wanted) in found.logprobs.iter().zip(&wanted.greedy_logprobs) {
                assert!((found - f64::from(*wanted)).abs() < 1e-4, "{rows} rows: {found} {wanted}");
            }
        }
        assert_eq!(completions.len(), 4);
    }
}

#[test]
fn a_completion_ends_where_the_context_of_the_model_does() {
    let (mut model, recorded) = (tiny_model(), recorded());
    let longest = recorded.iter().map(|r| r.prompt.ids.len()).max().unwrap();
    let context = longest + 5;
    std::sync::Arc::make_mut(&mut model.architecture).text.max_position_embeddings = context;
    // As many as no cache could hold.
    let endless = Engine { max_new_tokens: 1_000_000_000_000, sampling: greedy(), rows: 2, ..engine(&model) };
    for (found, asked) in run(endless, &requests(&recorded)).iter().zip(&recorded) {
        let room = context - asked.prompt.ids.len();
        assert_eq!((found.tokens.len(), found.finish), (room, Finish::Length));
        let known = room.min(asked.greedy.len());
        assert_eq!(found.tokens[..known], asked.greedy[..known]);
    }
}

#[test]
fn a_sampled_completion_does_not_depend_on_its_batch_mates_their_order_or_the_rows() {
    let (model, recorded) = (tiny_model(), recorded());
    let requests = requests(&recorded);
    let alone: Vec<Completion> = requests.iter().flat_map(|r| run(engine(&model), &[*r])).collect();
    assert_ne!(alone[0].tokens, recorded[0].greedy, "this is sampling");
    for rows in [1, 2, 3, 4, 100] {
        let together = run(Engine { rows, ..engine(&model) }, &requests);
        let turned: Vec<Request> = requests.iter().rev().copied().collect();
        let turned = run(Engine { rows, ..engine(&model) }, &turned);
        for i in 0..4 {
            assert_same(&together[i], &alone[i], &format!("request {i}, {rows} rows"));
            assert_same(&turned[3 - i], &alone[i], &format!("request {i}, {rows} rows, turned"));
        }
    }
}

#[test]
fn requests_beyond_the_rows_join_a_long_run_and_lose_nothing_when_the_cache_goes_round() {
    let (model, recorded) = (tiny_model(), recorded());
    let stops = many_stops();
    let prompts = recorded.iter().cycle().take(40);
    let requests = requests(prompts);
    let engine = Engine { stops: &stops, rows: 3, ..engine(&model) };
    let mut steps = 0;
    let mut drawn = Vec::new();
    let joined = engine
        .run(&requests, &mut |tokens| {
            steps += 1;
            drawn.push(tokens);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(joined.len(), requests.len());
    for (i, (found, request)) in joined.iter().zip(&requests).enumerate() {
        assert_same(found, &run(engine, &[*request])[0], &format!("request {i}"));
    }
    // The run was of the kind meant: completions of many lengths, and more steps than the cache has columns, which are
    // those of one completion behind the longest prompt.
    let mut lengths: Vec<usize> = joined.iter().map(|c| c.tokens.len()).collect();
    let total: usize = lengths.iter().sum();
    lengths.sort();
    lengths.dedup();
    assert!(lengths.len() > 6, "{lengths:?}");
    let longest = recorded.iter().map(|r| r.prompt.ids.len()).max().unwrap();
    assert!(steps > longest + 24, "{steps} steps, longest prompt {longest}");
    // What the caller is told grows to the number of tokens, but for those after which nothing decodes.
    assert!(drawn.is_sorted());
    assert_eq!(*drawn.last().unwrap(), total);
}

/// Counts the phases of a name.
struct Counting(&'static str, Arc<AtomicUsize>);

impl Subscriber for Counting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == vigos_models::phase::TARGET
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        if span.metadata().name() == self.0 {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn a_prompt_is_read_once_for_all_of_its_completions_and_they_are_those_of_separate_prompts() {
    let (model, recorded) = (tiny_model(), recorded());
    // Five completions of each of two prompts.
    let prompts = recorded[..2].iter().flat_map(|r| std::iter::repeat_n(r, 5));
    let requests = requests(prompts);
    let stops = many_stops();
    let engine = Engine { stops: &stops, ..engine(&model) };
    let alone: Vec<Completion> = requests.iter().flat_map(|r| run(engine, &[*r])).collect();
    for rows in [1, 2, 3, 5, 10] {
        let read = Arc::new(AtomicUsize::new(0));
        let together = tracing::subscriber::with_default(Counting("prefill", read.clone()), || {
            run(Engine { rows, ..engine }, &requests)
        });
        assert_eq!(together, alone, "{rows} rows");
        assert_eq!(read.load(Ordering::SeqCst), 2, "{rows} rows");
    }
    assert_ne!(alone[0].tokens, alone[1].tokens, "completions have draws of their own");
}

#[test]
fn a_stop_token_ends_a_completion_and_is_its_last() {
    let (model, recorded) = (tiny_model(), recorded());
    let requests = requests(&recorded);
    let free = run(Engine { sampling: greedy(), ..engine(&model) }, &requests);
    let stop = free[0].tokens[5];
    let cut = run(Engine { sampling: greedy(), stops: &[stop], rows: 4, ..engine(&model) }, &requests);
    for (cut, free) in cut.iter().zip(&free) {
        match free.tokens.iter().position(|t| *t == stop) {
            Some(end) => {
                assert_eq!(cut.tokens, free.tokens[..=end]);
                assert_eq!(cut.finish, Finish::Stop);
            }
            None => assert_same(cut, free, "no stop token"),
        }
    }
    assert_eq!(cut[0].finish, Finish::Stop);
}

#[test]
fn a_stop_token_at_the_limit_counts_as_a_stop() {
    let (model, recorded) = (tiny_model(), recorded());
    let stop = recorded[0].greedy[0];
    let engine = Engine { sampling: greedy(), stops: &[stop], max_new_tokens: 1, ..engine(&model) };
    let completion = &run(engine, &requests(&recorded[..1]))[0];
    assert_eq!((completion.tokens.as_slice(), completion.finish), (&[stop][..], Finish::Stop));
}

#[test]
fn completions_have_at_most_as_many_tokens_as_asked_for() {
    let (model, recorded) = (tiny_model(), recorded());
    for limit in [0, 1, 2, 7] {
        for rows in [1, 3] {
            let engine = Engine { max_new_tokens: limit, rows, sampling: greedy(), ..engine(&model) };
            for (found, wanted) in run(engine, &requests(&recorded)).iter().zip(&recorded) {
                assert_eq!(found.tokens, wanted.greedy[..limit]);
                assert_eq!(found.finish, Finish::Length);
            }
        }
    }
    assert_eq!(run(engine(&model), &[]), []);
}

#[test]
fn seed_step_and_sample_each_give_other_tokens() {
    let (model, recorded) = (tiny_model(), recorded());
    let request = requests(&recorded[..1])[0];
    let base = run(engine(&model), &[request]);
    assert_eq!(run(engine(&model), &[request]), base);
    let other_sample = Request { sample: 1, ..request };
    for (what, other) in [
        ("seed", run(Engine { seed: 8, ..engine(&model) }, &[request])),
        ("step", run(Engine { step: 4, ..engine(&model) }, &[request])),
        ("sample", run(engine(&model), &[other_sample])),
    ] {
        assert_ne!(other[0].tokens, base[0].tokens, "another {what}");
    }
    // Two requests of one sample number are one sample.
    let twice = run(Engine { rows: 2, ..engine(&model) }, &[request, request]);
    assert_same(&twice[0], &twice[1], "the same request twice");
}

#[test]
fn the_adapter_takes_part_and_a_fresh_one_changes_nothing() {
    let (model, recorded) = (tiny_model(), recorded());
    let requests = requests(&recorded);
    let lora = LoraConfig { rank: 4, alpha: 8.0, dropout: 0.0, targets: Projection::ALL.to_vec() };
    let fresh = Adapter::init(&lora, &model.architecture, 1, &model.device);
    // B set to a constant: an update that is not zero.
    let trained = fresh.map(|name, t| if name.contains("lora_B") { t.clone() + 0.05 } else { t.clone() });
    let with = |adapter, rows| {
        let adapter = Some(ActiveAdapter { adapter, dropout: None });
        run(Engine { adapter, rows, ..engine(&model) }, &requests)
    };
    assert_eq!(with(&fresh, 2), run(Engine { rows: 2, ..engine(&model) }, &requests));
    let (alone, together) = (with(&trained, 1), with(&trained, 4));
    for (i, (found, wanted)) in together.iter().zip(&alone).enumerate() {
        assert_same(found, wanted, &format!("request {i} with an adapter"));
    }
    assert_ne!(alone, with(&fresh, 1));
}

#[test]
fn the_caller_can_stop_the_work_after_any_step() {
    let (model, recorded) = (tiny_model(), recorded());
    let mut calls = 0;
    let stopped = Engine { rows: 2, ..engine(&model) }.run(&requests(&recorded), &mut |_| {
        calls += 1;
        if calls == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(RolloutError::Interrupted)));
    assert_eq!(calls, 5, "nothing goes on behind the caller's back");
}

#[test]
fn prompts_and_settings_that_cannot_be_used_are_errors_that_name_the_sample() {
    let (model, recorded) = (tiny_model(), recorded());
    let empty = Sequence::default();
    let request = Request { prompt: &empty, images: &[], sample: 41 };
    let error = run_error(engine(&model), &[requests(&recorded[..1])[0], request]);
    assert!(matches!(error, RolloutError::EmptyPrompt { sample: 41 }), "{error}");
    assert!(error.to_string().contains("41"));

    let unknown = Sequence { ids: vec![1, 1056], images: vec![] };
    let error = run_error(engine(&model), &[Request { prompt: &unknown, images: &[], sample: 0 }]);
    assert!(matches!(error, RolloutError::Model(_)) && error.to_string().contains("1056"), "{error}");

    let sampling = Sampling { temperature: f64::NAN, ..Default::default() };
    let request = Request { sample: 17, ..requests(&recorded)[0] };
    let error = run_error(Engine { sampling, ..engine(&model) }, &[request]);
    assert!(matches!(error, RolloutError::Sampling { sample: 17, position: 0, .. }), "{error}");
}
