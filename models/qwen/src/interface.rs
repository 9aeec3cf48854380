//! The model and its configuration as others see them, who know no family.

use crate::config::{Config, QwenFamily};
use crate::model::{Model, QwenConfig};
use burn::tensor::{DType, Device, Tensor};
use std::sync::Arc;
use vigos_models::cache::KvCache;
use vigos_models::gradient::{Keep, Trace, Upstream};
use vigos_models::packed::Position;
use vigos_models::parameters::COMPLETE;
use vigos_models::source::Kept;
use vigos_models::weights::Weights;
use vigos_models::{
    ActiveAdapter, Adapter, Architecture, ConfigFile, Families, Family, ForwardHook, ModelConfig, ModelError,
    Packed, Parameters, Sequence, VisionLanguageModel,
};
use vigos_processor::ImagePatches;

/// The families of this crate.
///
/// ```
/// use burn::tensor::{DType, Device};
/// use vigos_models::Sequence;
///
/// let folder = "../../assets/tiny-qwen2_5-vl".as_ref();
/// let model = vigos_qwen::families().load(folder, &Device::flex(), DType::F32)?;
/// let packed = model.pack(&[&Sequence { ids: vec![1, 2, 3], images: vec![] }])?;
/// let hidden = model.forward(&packed, &[], None, &mut ());
/// let logits = model.logits_at(&hidden, &[packed.last_row(0)]);
/// assert_eq!(logits.dims(), [1, model.architecture().text.vocab_size]);
/// # Ok::<(), vigos_models::ModelError>(())
/// ```
pub fn families() -> Families {
    static ALL: [QwenFamily; 2] = QwenFamily::ALL;
    Families::new(ALL.iter().map(|family| family as &dyn Family))
}

impl Family for QwenFamily {
    fn model_type(&self) -> &'static str {
        QwenFamily::model_type(*self)
    }

    fn read(&self, file: &ConfigFile) -> Result<Arc<dyn ModelConfig>, ModelError> {
        Ok(Arc::new(QwenConfig::from(Config::of_family(*self, file)?)))
    }
}

impl ModelConfig for QwenConfig {
    fn architecture(&self) -> &Arc<Architecture> {
        &self.architecture
    }

    fn build(
        &self,
        weights: &Weights,
        device: &Device,
        kept: Kept,
    ) -> Result<Box<dyn VisionLanguageModel>, ModelError> {
        Ok(Box::new(Model::read(self, weights, device, kept)?))
    }

    fn freeze(&self, weights: &Parameters, device: &Device) -> Box<dyn VisionLanguageModel> {
        Box::new(Model::assemble(self, weights, device, DType::F32).expect(COMPLETE))
    }
}

impl VisionLanguageModel for Model {
    fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn head(&self) -> &Tensor<2> {
        &self.text.head
    }

    fn pack_groups(&self, groups: &[Vec<&Sequence>]) -> Result<Packed, ModelError> {
        self.pack_groups(groups)
    }

    fn encode_images(&self, images: &[&ImagePatches], adapter: Option<ActiveAdapter>) -> Vec<Tensor<2>> {
        self.encode_images(images, adapter)
    }

    fn forward(
        &self,
        packed: &Packed,
        features: &[Tensor<2>],
        adapter: Option<ActiveAdapter>,
        hook: &mut dyn ForwardHook,
    ) -> Tensor<2> {
        self.forward(packed, features, adapter, hook)
    }

    fn decode(
        &self,
        ids: &[u32],
        at: &[Position],
        cache: &mut KvCache,
        adapter: Option<ActiveAdapter>,
    ) -> Result<Tensor<2>, ModelError> {
        self.decode(ids, at, cache, adapter)
    }

    fn forward_traced(
        &self,
        packed: &Packed,
        images: &[&ImagePatches],
        adapter: ActiveAdapter,
        keep: Keep,
    ) -> (Tensor<2>, Trace) {
        self.forward_traced(packed, images, adapter, keep)
    }

    fn backward(
        &self,
        trace: Trace,
        upstream: Tensor<2>,
        packed: &Packed,
        adapter: ActiveAdapter,
    ) -> Adapter {
        self.backward(trace, upstream, packed, adapter)
    }

    fn forward_traced_all(
        &self,
        weights: &Parameters,
        packed: &Packed,
        images: &[&ImagePatches],
        keep: Keep,
    ) -> (Tensor<2>, Trace) {
        self.forward_traced_all(weights, packed, images, keep)
    }

    fn backward_all(
        &self,
        weights: &Parameters,
        trace: Trace,
        upstream: Upstream,
        packed: &Packed,
    ) -> Parameters {
        self.backward_all(weights, trace, upstream, packed)
    }
}
