//! The leakage diagnostic against a computation of its own, in f64.

use burn::tensor::{DType, Device};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use vigos_data::{Dataset, Fields, Row};
use vigos_eval::palr::{EPSILON, Line, Palr, PalrReport, Part, Sums, Token, palr};
use vigos_eval::{Finished, Observer, Options};
use vigos_grade::grade;
use vigos_models::{ActiveAdapter, Sequence, VisionLanguageModel, peft};
use vigos_processor::{ImagePatches, Processor};
use vigos_qwen::Model;
use vigos_ranks::Threads;
use vigos_recipe::Recipe;
use vigos_recipe::prompts::Prompts;
use vigos_recipe::sample::{Sample, SampleMaker, UserTexts};
use vigos_rollout::RunError;

use crate::{bytes, folder, kit, questions, recipe};

const FILES: [&str; 3] = ["tokens.jsonl", "report.json", "report.md"];

fn run(recipe: &Recipe, dir: &Path, name: &str, resume: bool) -> Result<Finished<PalrReport>, RunError> {
    let (run_dir, rollouts) = (dir.join(name), dir.join("rollouts.jsonl"));
    let (kit, device) = (kit(), Device::flex());
    let options = Options::new(recipe, &run_dir, &kit, &device).resumed(resume);
    palr(&options, Some(&rollouts), &mut (), &AtomicBool::new(false))
}

fn lines(run_dir: &Path) -> Vec<Line> {
    let text = fs::read_to_string(run_dir.join("tokens.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the diagnostic is held against: every context scored alone, log-softmax and mixture in f64.
struct ByHand<'a> {
    model: Model,
    adapter: vigos_models::Adapter,
    processor: Processor,
    prompts: Prompts,
    recipe: &'a Recipe,
}

impl<'a> ByHand<'a> {
    fn new(recipe: &'a Recipe) -> Self {
        let (folder, device) = (&recipe.model.path, Device::flex());
        let model = Model::load(folder, &device, DType::F32).unwrap();
        let adapter =
            peft::load(recipe.model.adapter.as_ref().unwrap(), &model.architecture, &device).unwrap();
        let prompts = Prompts::for_method(&recipe.method).unwrap();
        Self { model, adapter, processor: Processor::from_dir(folder).unwrap(), prompts, recipe }
    }

    fn sample(&self, row: &Row) -> Sample {
        let maker = SampleMaker {
            processor: &self.processor,
            prompts: &self.prompts,
            method: &self.recipe.method,
            max_prompt_tokens: 32_768,
            min_image_side: 0,
            max_image_pixels: u64::MAX,
        };
        maker.make(0, row, &UserTexts::new()).unwrap().unwrap()
    }

    /// log P of every token of `completion` after a prompt.
    fn logprobs(
        &self,
        prompt: &Sequence,
        images: &[ImagePatches],
        completion: &[u32],
        student: bool,
    ) -> Vec<f64> {
        let adapter = student.then_some(ActiveAdapter { adapter: &self.adapter, dropout: None });
        let images: Vec<&ImagePatches> = images.iter().take(prompt.images.len()).collect();
        let features = self.model.encode_images(&images, adapter);
        let mut sequence = prompt.clone();
        sequence.ids.extend(completion);
        let packed = self.model.pack(&[&sequence]).unwrap();
        let hidden = self.model.forward(&packed, &features, adapter, &mut ());
        let rows: Vec<usize> = (0..completion.len()).map(|at| prompt.ids.len() + at - 1).collect();
        let logits: Vec<f32> = self.model.logits_at(&hidden, &rows).try_into_vec_as().unwrap();
        let vocabulary = self.model.config.text.vocab_size;
        let logprob = |(row, token): (&[f32], &u32)| {
            let total: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
            f64::from(row[*token as usize]) - total.ln()
        };
        logits.chunks(vocabulary).zip(completion).map(logprob).collect()
    }
}

fn rows(recipe: &Recipe) -> Vec<Row> {
    let set = Dataset::open(&recipe.data.path, &Fields::default(), None).unwrap();
    (0..set.count().get()).map(|index| set.load(index).unwrap().unwrap()).collect()
}

fn near(found: f64, wanted: f64, tolerance: f64, what: &str) {
    assert!((found - wanted).abs() <= tolerance, "{what}: {found}, wanted {wanted}");
}

/// Checks every token of a run by hand, and that the report is the formula of the lines.
fn check(recipe: &Recipe, run_dir: &Path, report: &PalrReport) {
    let (by_hand, rows) = (ByHand::new(recipe), rows(recipe));
    let mut sums = [(0.0, 0.0); 3];
    let mut valid = 0;
    for line in lines(run_dir) {
        let Line::Diagnosed(line) = line else { panic!("{line:?}") };
        if !line.valid {
            assert!(line.tokens.is_empty() && line.reason.is_some());
            continue;
        }
        valid += 1;
        let (row, completion) = (&rows[line.item], &line.completion_token_ids);
        let next = &rows[(line.item + 1) % rows.len()];
        assert_eq!(line.next.as_deref(), Some(next.id.as_str()));
        assert!(
            line.wrong_answers.iter().all(|wrong| !grade(wrong, &row.answer)),
            "{:?}",
            line.wrong_answers
        );
        let sample = by_hand.sample(row);
        let other = by_hand.sample(&Row { images: next.images.clone(), ..row.clone() });
        let wrong: Vec<Sample> = line
            .wrong_answers
            .iter()
            .map(|answer| by_hand.sample(&Row { answer: answer.clone(), ..row.clone() }))
            .collect();
        let student = by_hand.logprobs(&sample.student, &sample.images, completion, true);
        for (number, teacher) in recipe.method.teachers.iter().enumerate() {
            let tokens: Vec<&Token> = line.tokens.iter().filter(|t| t.teacher == teacher.name).collect();
            let score = |sample: &Sample| {
                by_hand.logprobs(&sample.teachers[number], &sample.images, completion, false)
            };
            let (active, image) = (score(&sample), score(&other));
            let wrong: Vec<Vec<f64>> = wrong.iter().map(score).collect();
            let sees_reference = teacher.name != "perception";
            for token in tokens {
                let at = token.position;
                assert_eq!(token.id, completion[at]);
                near(token.student, student[at], 1e-4, "student");
                near(token.active, active[at], 1e-4, "teacher");
                near(token.image.unwrap(), image[at], 1e-4, "other image");
                let mean = wrong.iter().map(|scores| scores[at].exp()).sum::<f64>() / wrong.len() as f64;
                assert_eq!(token.wrong.is_some(), sees_reference);
                if let Some(mixture) = token.wrong {
                    near(mixture, mean.ln(), 1e-4, "wrong answers");
                }
                // From the written values on, only f64 rounding is left.
                let pull = (token.active - token.student).abs();
                let answer_share = token.wrong.map_or(0.0, |w| f64::max(token.active - w, 0.0));
                let image_share = f64::max(token.active - token.image.unwrap(), 0.0);
                assert_eq!(
                    (token.pull, token.answer_share, token.image_share),
                    (pull, answer_share, image_share)
                );
                let part = match token.part {
                    Part::Description => Some(0),
                    Part::ReasoningAnswer => Some(1),
                    Part::Other => None,
                };
                for group in part.into_iter().chain([2]) {
                    sums[group].0 += pull * answer_share;
                    sums[group].1 += pull * image_share;
                }
            }
        }
    }
    assert_eq!(report.valid, valid);
    let found = [&report.description, &report.reasoning_answer, &report.completion];
    for (found, (answer, image)) in found.into_iter().zip(sums) {
        near(found.value, answer / (answer + image + EPSILON), 1e-12, "PALR");
        near(found.sums.answer, answer, 1e-12, "Σ s·cA");
        near(found.sums.image, image, 1e-12, "Σ s·cI");
    }
}

#[test]
fn vigos_is_diagnosed_as_by_hand_and_leaks_nothing_into_the_description() {
    let dir = folder(&questions());
    let recipe = recipe(dir.path(), &["palr.wrong_answers=3"]);
    let report = run(&recipe, dir.path(), "run", false).unwrap().report.unwrap();
    check(&recipe, &dir.path().join("run"), &report);
    assert_eq!((report.items, report.valid, report.skipped), (9, 4, 0));
    assert_eq!((report.description.value, report.description.sums.answer), (0.0, 0.0));
    assert!(report.description.sums.image > 0.0, "the image matters to it");
    assert!(report.reasoning_answer.value > 0.0 && report.reasoning_answer.value < 1.0);
    let tokens = |palr: &Palr| palr.sums.tokens;
    let parts = tokens(&report.description) + tokens(&report.reasoning_answer);
    assert_eq!(tokens(&report.completion), parts, "delimiters have no teacher");
}

#[test]
fn opsd_s_one_teacher_is_active_on_every_token() {
    let dir = folder(&questions());
    let recipe = recipe(dir.path(), &["method.preset=opsd-same-prompt"]);
    let report = run(&recipe, dir.path(), "run", false).unwrap().report.unwrap();
    check(&recipe, &dir.path().join("run"), &report);
    assert!(report.description.value > 0.0, "a privileged teacher leaks into the description");
    for line in lines(&dir.path().join("run")) {
        let Line::Diagnosed(line) = line else { panic!("{line:?}") };
        let wanted = if line.valid { line.completion_token_ids.len() } else { 0 };
        assert_eq!(line.tokens.len(), wanted);
    }
}

#[test]
fn opsd_without_a_description_is_valid_with_an_answer() {
    let dir = folder(&questions());
    let recipe = recipe(dir.path(), &["method.preset=opsd"]);
    let report = run(&recipe, dir.path(), "run", false).unwrap().report.unwrap();
    check(&recipe, &dir.path().join("run"), &report);
    // Of the nine recorded completions these lack a box that is closed: three that break off before.
    assert_eq!((report.valid, report.description.sums.tokens), (6, 0));
}

#[test]
fn the_released_fidelity_reads_its_own_way() {
    let dir = folder(&questions());
    let recipe = recipe(dir.path(), &["method.fidelity=released"]);
    let report = run(&recipe, dir.path(), "run", false).unwrap().report.unwrap();
    assert_eq!(report.description.value, 0.0);
    assert!(report.valid >= 4 && report.reasoning_answer.value > 0.0);
}

#[test]
fn a_diagnosis_that_was_cut_off_ends_with_the_same_bytes() {
    let dir = folder(&questions());
    let recipe = recipe(dir.path(), &[]);
    run(&recipe, dir.path(), "whole", false).unwrap();
    let tokens = fs::read(dir.path().join("whole/tokens.jsonl")).unwrap();
    let cut = dir.path().join("cut");
    fs::create_dir(&cut).unwrap();
    fs::copy(dir.path().join("whole/config.toml"), cut.join("config.toml")).unwrap();
    fs::write(cut.join("tokens.jsonl"), &tokens[..tokens.len() / 2]).unwrap();
    run(&recipe, dir.path(), "cut", true).unwrap();
    assert!(bytes(&dir.path().join("whole"), &FILES) == bytes(&cut, &FILES));
}

#[test]
fn any_number_of_ranks_diagnoses_the_same_bytes() {
    let dir = folder(&questions());
    let recipe = recipe(dir.path(), &["rollout.batch=2"]);
    run(&recipe, dir.path(), "whole", false).unwrap();
    for count in [2, 4] {
        let (run_dir, rollouts) = (dir.path().join(count.to_string()), dir.path().join("rollouts.jsonl"));
        let ended = Threads::run(count, |ranks| {
            let (kit, device) = (kit(), Device::flex());
            let options = Options { ranks, ..Options::new(&recipe, &run_dir, &kit, &device) };
            palr(&options, Some(&rollouts), &mut (), &AtomicBool::new(false)).unwrap()
        });
        assert!(ended.iter().all(|finished| *finished == ended[0]), "{ended:?}");
        assert!(bytes(&dir.path().join("whole"), &FILES) == bytes(&run_dir, &FILES), "{count} ranks");
    }
}

/// Keeps what the user is told.
#[derive(Debug, Default)]
struct Notes(Vec<String>);
impl Observer for Notes {
    fn note(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
}

#[test]
fn rollouts_are_sampled_where_none_are_given() {
    let dir = folder(&questions()[..3]);
    let recipe = recipe(dir.path(), &[]);
    let mut seen = Vec::new();
    for name in ["a", "b"] {
        let run_dir = dir.path().join(name);
        let (kit, device) = (kit(), Device::flex());
        let options = Options::new(&recipe, &run_dir, &kit, &device);
        let mut notes = Notes::default();
        let finished = palr(&options, None, &mut notes, &AtomicBool::new(false)).unwrap();
        // A model of random weights says nothing in any format.
        let report = finished.report.unwrap();
        assert_eq!((report.items, report.valid, report.completion.value), (3, 0, 0.0));
        assert!(report.markdown().contains("–") && notes.0[0].contains("nothing to diagnose"), "{notes:?}");
        seen.push(bytes(&run_dir, &FILES));
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn rows_that_are_left_out_are_summed_up() {
    let mut rows = questions()[..2].to_vec();
    let other = |id: &str, image: &str| json!({"id": id, "image": image, "problem": "?", "answer": "red"});
    rows.extend([other("a", "wide.png"), other("b", "wide.png"), other("gone", "gone.png")]);
    let dir = folder(&rows);
    let (recipe, run_dir) = (recipe(dir.path(), &[]), dir.path().join("run"));
    let (kit, device) = (kit(), Device::flex());
    let options = Options::new(&recipe, &run_dir, &kit, &device);
    let (rollouts, mut notes) = (dir.path().join("rollouts.jsonl"), Notes::default());
    palr(&options, Some(&rollouts), &mut notes, &AtomicBool::new(false)).unwrap();
    let [each, sum] = &notes.0[..] else { panic!("{notes:?}") };
    assert!(each.contains("`gone`"), "{each}");
    assert!(sum.starts_with("3 of 5 rows are left out: 2 without a recorded rollout; `gone`: "), "{sum}");
}

#[test]
fn wrong_answers_come_from_the_row_or_from_rows_of_its_kind() {
    let mut rows = questions()[..2].to_vec();
    rows[0]["wrong_answers"] = json!(["4", "5", "6"]);
    let colour = |id: &str, answer: &str, kind: &str| json!({"id": id, "image": "wide.png", "problem": "?", "answer": answer, "kind": kind});
    rows[1]["kind"] = json!("ratio");
    rows.extend([colour("a", "red", "colour"), colour("b", "1/3", "ratio"), colour("c", "0.5", "ratio")]);
    rows.extend([colour("d", "7", "count"), colour("e", "blue", "colour")]);
    let dir = folder(&rows);
    let recipe = recipe(dir.path(), &["palr.wrong_answers=2"]);
    let report = run(&recipe, dir.path(), "run", false).unwrap().report.unwrap();
    assert_eq!((report.items, report.skipped), (2, 5), "rows without a recorded rollout are left out");
    let wrong: Vec<Vec<String>> = lines(&dir.path().join("run"))
        .into_iter()
        .filter_map(|line| match line {
            Line::Diagnosed(line) => Some(line.wrong_answers),
            Line::Skipped { .. } => None,
        })
        .collect();
    assert_eq!(wrong[0], ["4", "5"], "the row's first ones");
    // 1/2 is 0.5: of the ratios only 1/3 is wrong, and then come other numbers.
    assert_eq!(wrong[1][0], "1/3");
    assert!(["3", "7"].contains(&wrong[1][1].as_str()), "{wrong:?}");
}

#[test]
fn a_wrong_answer_that_is_right_is_refused() {
    let mut rows: Vec<Value> = questions()[..2].to_vec();
    rows[0]["wrong_answers"] = json!(["4", "3.0"]);
    let dir = folder(&rows);
    let error = run(&recipe(dir.path(), &[]), dir.path(), "run", false).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("wrong_answers"), "{error}");
}

#[test]
fn a_lone_row_has_no_next_image() {
    let mut rows: Vec<Value> = questions()[..1].to_vec();
    rows[0]["wrong_answers"] = json!(["4"]);
    let dir = folder(&rows);
    let error = run(&recipe(dir.path(), &[]), dir.path(), "run", false).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("second row"), "{error}");
}

#[test]
fn recorded_tokens_beyond_the_vocabulary_are_refused() {
    let dir = folder(&questions()[..2]);
    fs::write(dir.path().join("rollouts.jsonl"), "{\"id\": \"x\", \"completion_token_ids\": [1, 99999999]}")
        .unwrap();
    let error = run(&recipe(dir.path(), &[]), dir.path(), "run", false).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("rollouts.jsonl:1"), "{error}");
}

proptest! {
    #[test]
    fn palr_is_a_share_and_its_error_is_the_jackknife_s(
        items in prop::collection::vec((0.0f64..10.0, 0.0f64..10.0), 2..20)
    ) {
        let sums: Vec<Sums> = items.iter().map(|&(answer, image)| Sums { tokens: 1, answer, image }).collect();
        let palr = Palr::of(&sums);
        prop_assert!((0.0..=1.0).contains(&palr.value));
        let ratio = |left_out: usize| {
            let kept = items.iter().enumerate().filter(|(i, _)| *i != left_out).map(|(_, item)| item);
            let (answer, image) = kept.fold((0.0, 0.0), |(a, i), item| (a + item.0, i + item.1));
            answer / (answer + image + EPSILON)
        };
        let n = items.len();
        prop_assert!((palr.value - ratio(n)).abs() < 1e-12);
        let without: Vec<f64> = (0..n).map(ratio).collect();
        let mean = without.iter().sum::<f64>() / n as f64;
        let squares: f64 = without.iter().map(|value| (value - mean).powi(2)).sum();
        let wanted = (squares * (n - 1) as f64 / n as f64).sqrt();
        prop_assert!((palr.standard_error.unwrap() - wanted).abs() < 1e-9);
    }
}
