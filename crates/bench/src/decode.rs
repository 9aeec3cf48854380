//! Decoding: prompts of drawn tokens and an image each are completed by greedy decoding.

use crate::synthetic::Bench;
use crate::{BenchError, On};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use vigos_processor::{ImagePatches, Sequence};
use vigos_rollout::engine::{Engine, Request};
use vigos_rollout::sampler::Sampling;

/// The sizes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Prompts that decode together.
    pub batch: NonZeroUsize,
    /// Tokens of a prompt, those of its image included.
    pub prompt: usize,
    /// Patches of its image, down and across.
    pub image: [usize; 2],
    /// New tokens of each.
    pub new: NonZeroUsize,
}

/// What it took.
#[derive(Debug, Serialize)]
pub struct Report {
    device: String,
    batch: usize,
    prompt: usize,
    new: usize,
    repeats: usize,
    /// Of prefill and decoding, the median.
    seconds: f64,
    /// Seconds of each phase, the mean.
    phases: BTreeMap<&'static str, f64>,
    /// New tokens of all rows a second, prefill included.
    tokens_per_second: f64,
    /// Tokens that went through the decoder.
    tokens_computed: usize,
    /// The same without what was computed twice.
    tokens_needed: usize,
    peak_bytes: Option<u64>,
    model_bytes: u64,
    /// The products' share of what the device multiplies at its best.
    matmul_share: f64,
}

/// Runs the benchmark.
///
/// # Errors
/// If the sizes do not fit the model, or the device fails.
pub fn run(on: On, sizes: Sizes) -> Result<Report, BenchError> {
    let bench = Bench::open(on)?;
    let Sizes { prompt, image, .. } = sizes;
    let (batch, new) = (sizes.batch.get(), sizes.new.get());
    let prompts: Vec<Sequence> =
        (0..batch).map(|i| bench.prompt(prompt, new, image, i as u64)).collect::<Result<_, _>>()?;
    let images: Vec<[ImagePatches; 1]> = (0..batch).map(|i| [bench.image(image, i as u64)]).collect();
    let requests: Vec<Request> = prompts
        .iter()
        .zip(&images)
        .enumerate()
        .map(|(i, (prompt, images))| Request { prompt, images, sample: i as u64 })
        .collect();
    let engine = Engine {
        model: bench.model.as_ref(),
        adapter: None,
        sampling: Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, ..Sampling::default() },
        stops: &[],
        max_new_tokens: new,
        rows: batch,
        seed: 0,
        step: 0,
    };
    let repeats = on.repeats.get();
    let mut runs = 0;
    let seconds = bench.measure(repeats, || {
        // The run that warms up does not count.
        if runs == 1 {
            on.times.take();
        }
        runs += 1;
        engine.run(&requests, &mut |_| ControlFlow::Continue(())).map(drop)
    })?;
    let phases = on.times.take().into_iter().map(|(name, time)| (name, time / repeats as f64)).collect();
    let products = bench.products();
    let tokens = batch * (prompt + new - 1);
    let patches = batch * image[0] * image[1];
    let operations = products.token * tokens as f64
        + products.patch * patches as f64
        + products.row * (batch * new) as f64;
    Ok(Report {
        device: on.device_name.to_owned(),
        batch,
        prompt,
        new,
        repeats,
        seconds,
        phases,
        tokens_per_second: (batch * new) as f64 / seconds,
        tokens_computed: tokens,
        tokens_needed: tokens,
        peak_bytes: bench.peak_bytes(),
        model_bytes: bench.model_bytes,
        matmul_share: operations / seconds / bench.product_rate(),
    })
}

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        let Self { device, batch, prompt, new, repeats, seconds, tokens_per_second, .. } = self;
        let mut text = format!(
            "{device}, {batch} prompts of {prompt} tokens, {new} new tokens each, the median of {repeats}\n\
             {seconds:9.3} s, {tokens_per_second:.1} new tokens a second\n"
        );
        for (name, seconds) in &self.phases {
            let _ = writeln!(text, "  {name:<10} {seconds:9.3} s");
        }
        if let Some(peak) = self.peak_bytes {
            let _ = writeln!(text, "{:9.1} MB beyond the model", peak as f64 / 1e6);
        }
        let _ =
            writeln!(text, "{:9.1} % of what the device multiplies at its best", 100.0 * self.matmul_share);
        text
    }
}
