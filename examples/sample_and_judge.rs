//! Rollouts without training: the shipped model answers questions about drawn pictures, and each completion is read
//! for its spans and graded.
//!
//!     cargo run --release --example sample_and_judge

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use burn::tensor::Device;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use vigos::data::DataRequest;
use vigos::recipe::Recipe;
use vigos::recipe::sample::UserTexts;
use vigos::rollout::RolloutRecord;
use vigos::rollout::base::Base;
use vigos::rollout::spans::Verdict;
use vigos::rollout::student::{GenerationSettings, Student};

fn main() -> Result<(), Box<dyn Error>> {
    let overrides = ["data.path=shapes:test", "data.limit=6", "rollout.temperature=0.0"];
    let recipe = Recipe::load(Path::new("configs/shapes.toml"), &overrides.map(str::to_owned))?;
    let kit = vigos::kit();
    let progress = &mut |_file: &str, _bytes, _size| ();
    let base = Base::open(&recipe, &kit, &Device::flex(), progress)?;
    let rows = kit.sources.open(&DataRequest::from(&recipe.data), progress)?;

    let maker = base.samples();
    let mut samples = Vec::new();
    for (number, index) in (0..rows.count().get()).enumerate() {
        let row = rows.load(index)?.map_err(|bad| bad.reason)?;
        let sample = maker.make(number as u64, &row, &UserTexts::new())?.map_err(|skip| skip.to_string())?;
        samples.push((Arc::new(sample), number as u64));
    }

    let student = Student { base: &base, adapter: None };
    let generation = GenerationSettings::of(&recipe, recipe.train.seed);
    let rollouts = student.complete(&samples, &generation, 0, &mut |_drawn| ControlFlow::Continue(()))?;
    for rollout in &rollouts {
        let record = RolloutRecord::of(rollout);
        println!("\n{}\n{}", record.problem, record.completion.trim());
        match &rollout.verdict {
            Verdict::Valid(spans) => println!(
                "{} tokens: {} of description, {} of reasoning and answer; {}",
                rollout.tokens.len(),
                spans.description.len(),
                spans.reasoning_answer.len(),
                if record.correct { "right" } else { "wrong" },
            ),
            Verdict::Invalid(reason) => println!("not in the format: {reason:?}"),
        }
    }
    Ok(())
}
