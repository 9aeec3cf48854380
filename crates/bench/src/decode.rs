//! Decoding: prompts of drawn tokens and an image each are completed by greedy decoding.

use crate::report::{Report, Work};
use crate::synthetic::{Bench, Measured};
use crate::{BenchError, On, check_batch};
use std::collections::BTreeMap;
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

impl Sizes {
    /// What is done.
    #[must_use]
    pub fn work(&self) -> Work {
        let Self { batch, prompt, image, new } = *self;
        Work { case: "decode".into(), batch: batch.get(), prompt, image, completion: new.get() }
    }
}

/// Runs the benchmark.
///
/// # Errors
/// If the sizes do not fit the model, or the device fails.
pub fn run(on: On, sizes: Sizes) -> Result<Report, BenchError> {
    check_batch(sizes.batch)?;
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
    let Measured { seconds, phases, traffic } =
        bench.measure(&on, || engine.run(&requests, &mut |_| ControlFlow::Continue(())).map(drop))?;
    let products = bench.products();
    let tokens = batch * (prompt + new - 1);
    let patches = batch * image[0] * image[1];
    let operations = products.token * tokens as f64
        + products.patch * patches as f64
        + products.row * (batch * new) as f64;
    Ok(Report {
        device: on.device_name.to_owned(),
        work: sizes.work(),
        prompts: BTreeMap::new(),
        repeats: on.repeats.get(),
        seconds,
        phases,
        tokens_per_second: (batch * new) as f64 / seconds,
        tokens_computed: tokens,
        tokens_needed: tokens,
        peak_bytes: bench.peak_bytes(),
        model_bytes: bench.model_bytes,
        matmul_share: operations / seconds / bench.product_rate(),
        traffic,
        loss: None,
        against: None,
    })
}
