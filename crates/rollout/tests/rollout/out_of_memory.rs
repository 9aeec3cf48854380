//! A device that has no memory for so many rows gets half as many, once.

use crate::recorded;

use burn::tensor::{DType, Device, Tensor};
use recorded::{Recorded, recorded, tiny_model};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use vigos_kernels::DeviceError;
use vigos_models::cache::KvCache;
use vigos_models::gradient::{Keep, Trace, Upstream};
use vigos_models::packed::Position;
use vigos_models::{
    ActiveAdapter, Adapter, Architecture, ForwardHook, ModelError, Packed, Parameters, Sequence,
    VisionLanguageModel,
};
use vigos_processor::ImagePatches;
use vigos_qwen::Model;
use vigos_rollout::engine::{Completion, Engine, Request, RolloutError};
use vigos_rollout::sampler::Sampling;

/// A model whose device has memory for so many decoded rows and no more, from its fifth step on.
#[derive(Debug)]
struct Tight<'a> {
    model: &'a Model,
    rows: usize,
    steps: AtomicUsize,
}

const STEPS: usize = 4;

impl VisionLanguageModel for Tight<'_> {
    fn decode(
        &self,
        ids: &[u32],
        at: &[Position],
        cache: &mut KvCache,
        adapter: Option<ActiveAdapter>,
    ) -> Result<Tensor<2>, ModelError> {
        if self.steps.fetch_add(1, Ordering::SeqCst) >= STEPS && ids.len() > self.rows {
            return Err(DeviceError::OutOfMemory(format!("{} rows", ids.len())).into());
        }
        self.model.decode(ids, at, cache, adapter)
    }

    fn architecture(&self) -> &Architecture {
        &self.model.architecture
    }

    fn device(&self) -> &Device {
        &self.model.device
    }

    fn dtype(&self) -> DType {
        VisionLanguageModel::dtype(self.model)
    }

    fn head(&self) -> &Tensor<2> {
        VisionLanguageModel::head(self.model)
    }

    fn pack_groups(&self, groups: &[Vec<&Sequence>]) -> Result<Packed, ModelError> {
        self.model.pack_groups(groups)
    }

    fn encode_images(&self, images: &[&ImagePatches], adapter: Option<ActiveAdapter>) -> Vec<Tensor<2>> {
        self.model.encode_images(images, adapter)
    }

    fn forward(
        &self,
        packed: &Packed,
        features: &[Tensor<2>],
        adapter: Option<ActiveAdapter>,
        hook: &mut dyn ForwardHook,
    ) -> Tensor<2> {
        self.model.forward(packed, features, adapter, hook)
    }

    fn forward_traced(
        &self,
        _: &Packed,
        _: &[&ImagePatches],
        _: ActiveAdapter,
        _: Keep,
    ) -> (Tensor<2>, Trace) {
        unreachable!("nothing is trained")
    }

    fn backward(&self, _: Trace, _: Tensor<2>, _: &Packed, _: ActiveAdapter) -> Adapter {
        unreachable!("nothing is trained")
    }

    fn forward_traced_all(
        &self,
        _: &Parameters,
        _: &Packed,
        _: &[&ImagePatches],
        _: Keep,
    ) -> (Tensor<2>, Trace) {
        unreachable!("nothing is trained")
    }

    fn backward_all(&self, _: &Parameters, _: Trace, _: Upstream, _: &Packed) -> Parameters {
        unreachable!("nothing is trained")
    }
}

/// The completions of four requests in as many rows, where the device has memory for `rows`.
fn completed(recorded: &[Recorded], rows: usize) -> (Result<Vec<Completion>, RolloutError>, usize) {
    let model = tiny_model();
    let model = Tight { model: &model, rows, steps: AtomicUsize::new(0) };
    let engine = Engine {
        model: &model,
        adapter: None,
        sampling: Sampling::default(),
        stops: &[],
        max_new_tokens: 12,
        rows: 4,
        seed: 7,
        step: 3,
    };
    let numbered = recorded.iter().zip(0..);
    let requests: Vec<Request> =
        numbered.map(|(r, sample)| Request { prompt: &r.prompt, images: &r.images, sample }).collect();
    // On one core, so that all rows are one batch.
    let core = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let found = core.install(|| engine.run(&requests, &mut |_| ControlFlow::Continue(())));
    (found, model.steps.into_inner())
}

#[test]
fn completions_that_a_device_has_no_memory_for_are_drawn_half_as_many_at_a_time() {
    let recorded = recorded();
    let (wanted, steps) = completed(&recorded, 4);
    assert_eq!(steps, 11, "all of them together");
    let (found, steps) = completed(&recorded, 2);
    assert_eq!(
        steps,
        STEPS + 1 + 2 * 11,
        "those that fitted, the one that did not, and two rounds of two rows"
    );
    let tokens = |found: Result<Vec<Completion>, RolloutError>| -> Vec<Vec<u32>> {
        found.unwrap().into_iter().map(|completion| completion.tokens).collect()
    };
    assert_eq!(tokens(found), tokens(wanted), "their draws are the same");
}

#[test]
fn a_device_without_memory_for_half_of_them_ends_the_rollout_and_says_why() {
    let (found, steps) = completed(&recorded(), 1);
    assert_eq!(found.unwrap_err().to_string(), "the device is out of memory: 2 rows");
    assert_eq!(steps, STEPS + 2);
}
