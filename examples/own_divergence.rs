//! A divergence that the project does not have, plugged into the trainer: Jensen–Shannon between student and teacher,
//! on the model that comes with the project, for a few steps.
//!
//!     cargo run --release --example own_divergence

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use burn::tensor::{Device, Tensor};
use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use vigos::recipe::{Divergence as Named, Recipe};
use vigos::train::metrics::Metrics;
use vigos::train::train;
use vigos::{Divergence, Observer, RunOptions};

/// ½·KL(p ‖ m) + ½·KL(q ‖ m) with m = ½·(p + q); at most ln 2. Its gradient comes from autodiff.
#[derive(Debug)]
struct JensenShannon;

impl Divergence for JensenShannon {
    fn name(&self) -> &str {
        "jensen-shannon"
    }

    fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        let (p, q) = (student.clone().exp(), teacher.clone().exp());
        // A token that neither has any probability for counts nothing.
        let middle = ((p.clone() + q.clone()) * 0.5).clamp_min(1e-30).log();
        let half = |probability: Tensor<2>, log: Tensor<2>| probability * (log - middle.clone()) * 0.5;
        (half(p, student) + half(q, teacher)).sum_dim(1).squeeze_dim(1)
    }
}

/// Prints a line a step.
struct Lines;

impl Observer for Lines {
    fn step(&mut self, metrics: &Metrics) {
        println!("step {}  loss {:.4}  gradient norm {:.4}", metrics.step, metrics.loss, metrics.grad_norm);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let small = ["train.steps=3", "train.batch=8", "eval.around=false", "log.tensorboard=false"];
    let mut recipe = Recipe::load(Path::new("configs/shapes.toml"), &small.map(str::to_owned))?;
    for teacher in &mut recipe.method.teachers {
        // In a recipe's file: divergence = "own:jensen-shannon"
        teacher.divergence = Named::Own("jensen-shannon".into());
    }
    let mut kit = vigos::kit();
    kit.divergences = kit.divergences.with(JensenShannon);

    let folder = tempfile::tempdir()?;
    let run_dir = folder.path().join("run");
    let device = Device::flex();
    let options = RunOptions::new(&recipe, &run_dir, &kit, &device);
    let finished = train(&options, &mut Lines, &AtomicBool::new(false))?;
    println!("{} steps, an adapter that PEFT reads in {}", finished.steps, finished.output.display());
    Ok(())
}
