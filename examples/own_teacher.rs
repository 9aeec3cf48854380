//! A teacher table and a context from code: the teacher is shown a hint, the first letter of the reference, in the
//! place of the reference, and supervises every token of every rollout.
//!
//!     cargo run --release --example own_teacher

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use burn::tensor::Device;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use vigos::recipe::{Context, Divergence, Reads, Recipe, Span, Teacher, When, reference_target};
use vigos::rollout::preview::preview;
use vigos::train::metrics::Metrics;
use vigos::train::train;
use vigos::{Observer, RunOptions};

/// Prints a line a step.
struct Lines;

impl Observer for Lines {
    fn step(&mut self, metrics: &Metrics) {
        let Some(hinted) = metrics.distilled().and_then(|d| d.terms.get("hinted")) else { return };
        println!("step {}  {} tokens, KL {:.4} nats a token", metrics.step, hinted.tokens, hinted.kl);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Templates are files: those of the drawn world, and one that shows the hint.
    let folder = tempfile::tempdir()?;
    let prompts = folder.path().join("prompts");
    fs::create_dir(&prompts)?;
    fs::copy("configs/prompts/shapes/student.txt", prompts.join("student.txt"))?;
    fs::write(
        prompts.join("hint.txt"),
        "{problem} the solution says {own:hint}. think and get there yourself.",
    )?;

    let small = ["train.steps=3", "train.batch=8", "eval.around=false", "log.tensorboard=false"];
    let mut recipe = Recipe::load(Path::new("configs/shapes.toml"), &small.map(str::to_owned))?;
    recipe.method.prompts = Some(prompts);
    recipe.method.teachers = vec![Teacher {
        name: "hinted".into(),
        context: ["image", "problem", "own:hint"].map(Context::named).to_vec(),
        prompt: "hint".into(),
        prefill: "<description>".into(),
        reads: Reads::Completion,
        spans: vec![Span::Completion],
        when: When::Always,
        divergence: Divergence::Forward,
        beta: 0.5,
        top_k: 0,
        weight: 1.0,
    }];
    let mut kit = vigos::kit();
    kit.contexts = kit.contexts.with("hint", |row| reference_target(&row.answer).chars().take(1).collect());

    let shown = preview(&recipe, 0, &kit, &mut |_file, _bytes, _size| ())?;
    for prompt in &shown.prompts {
        println!("{}:\n{}\n", prompt.role, prompt.text);
    }
    let run_dir = folder.path().join("run");
    let device = Device::flex();
    let options = RunOptions::new(&recipe, &run_dir, &kit, &device);
    train(&options, &mut Lines, &AtomicBool::new(false))?;
    Ok(())
}
