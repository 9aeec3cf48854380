//! What a step would take on more ranks than there are: simulated from the lengths of a run's completions and the times that
//! its phases took on one rank, with what bounds it for each number of ranks.

mod machine;
mod step;

use crate::random::Random;
use anyhow::{Result, ensure};
use machine::{Measured, Network, Shape};
use std::path::PathBuf;
use step::{Bound, Step, simulated};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of a run of `vigos train` by one rank, with snapshots of its rollouts.
    run: PathBuf,
    /// Numbers of ranks.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,8,64,512,4096")]
    ranks: Vec<usize>,
    /// Completions of a step, where they are others than the run's; with `--each` those of a rank.
    #[arg(long, value_name = "N")]
    completions: Option<usize>,
    /// Let the step grow with the ranks.
    #[arg(long)]
    each: bool,
    /// What the measured lengths are multiplied with.
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    stretch: f64,
    /// Milliseconds of a decoding step of a rank's rows, instead of the measured ones.
    #[arg(long, value_name = "MS")]
    decoding: Option<f64>,
    /// Tokens of prompts and completions that a rank learns from in a second, teachers included, instead of the measured ones.
    #[arg(long, value_name = "N")]
    learning: Option<f64>,
    /// Tokens of a prompt, instead of the measured ones.
    #[arg(long, value_name = "N")]
    prompt: Option<f64>,
    /// Million values of the adapter, instead of the run's.
    #[arg(long, value_name = "M")]
    adapter: Option<f64>,
    /// Gigabytes a second that a rank sends and receives.
    #[arg(long, value_name = "GB", default_value_t = 12.5)]
    bandwidth: f64,
    /// Microseconds that a message takes by itself.
    #[arg(long, value_name = "US", default_value_t = 5.0)]
    latency: f64,
    /// Milliseconds in which a rank prepares a sample: every rank prepares all of them, beside the step.
    #[arg(long, value_name = "MS", default_value_t = 20.0)]
    prepare: f64,
    /// Steps to simulate.
    #[arg(long, value_name = "N", default_value_t = 50)]
    steps: usize,
    /// Seed of the lengths that are drawn.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(args.steps > 0 && !args.ranks.contains(&0), "there is one step and one rank at least");
    let mut measured = Measured::of(&args.run)?;
    let shape =
        Shape { completions: args.completions.unwrap_or(measured.shape.completions), ..measured.shape };
    measured.take(args.stretch, [args.decoding, args.learning, args.prompt, args.adapter]);
    let network = Network {
        bytes_a_second: args.bandwidth * 1e9,
        latency: args.latency * 1e-6,
        prepare: args.prepare * 1e-3,
    };
    println!("{}", measured.told());
    println!(
        "\n{:>6} {:>12} {:>9} {:>9} {:>10} {:>8} {:>9} {:>8} {:>8} {:>8}  bound by",
        "ranks",
        "completions",
        "step s",
        "speed-up",
        "efficiency",
        "rollout",
        "learning",
        "sum",
        "prepare",
        "waiting"
    );
    let mut bounds: Vec<Bound> = Vec::new();
    for &ranks in &args.ranks {
        let grown = if args.each { shape.completions * ranks } else { shape.completions };
        let shape = Shape { completions: grown, ..shape };
        let of = |ranks| mean(&measured, shape, &network, ranks, args);
        let (alone, step) = (of(1), of(ranks));
        let speed = alone.seconds() / step.seconds();
        let bound = step.bound();
        println!(
            "{ranks:>6} {:>12} {:>9.2} {:>9.1} {:>9.0}% {:>8.2} {:>9.2} {:>8.3} {:>8.2} {:>7.0}%  {}",
            shape.completions,
            step.seconds(),
            speed,
            100.0 * speed / ranks as f64,
            step.rollout,
            step.learning,
            step.sum,
            step.prepare,
            100.0 * step.waiting(),
            bound.name()
        );
        if !bounds.contains(&bound) {
            bounds.push(bound);
        }
    }
    println!();
    for bound in bounds {
        println!("{}: {}", bound.name(), bound.advice());
    }
    Ok(())
}

/// The mean over some steps, whose completions are the same for every number of ranks.
fn mean(measured: &Measured, shape: Shape, network: &Network, ranks: usize, args: &Args) -> Step {
    let mut random = Random::new(args.seed);
    let mut mean = Step::default();
    for _ in 0..args.steps {
        let mut length = || measured.lengths[random.below(measured.lengths.len() as u64) as usize];
        let lengths: Vec<f64> = (0..shape.completions).map(|_| length()).collect();
        mean.add(&simulated(&lengths, shape, measured, network, ranks), args.steps);
    }
    mean
}
