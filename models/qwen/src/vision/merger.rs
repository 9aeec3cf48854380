//! Squares of patches to tokens of the language model's width.

use super::norm::{EPSILON, Norm};
use crate::config::VisionConfig;
use burn::tensor::Tensor;
use vigos_models::ModelError;
use vigos_models::layers::{Gelu, GeluMlp};
use vigos_models::source::Source;

/// Norms patches, lays those of one square side by side, and maps the result with an MLP of two layers.
#[derive(Clone, Debug)]
pub struct Merger {
    norm: Norm,
    mlp: GeluMlp,
    /// Patches of one token.
    unit: usize,
    order: NormOrder,
}

/// Where the norm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormOrder {
    /// Before the patches of a token come together: each patch on its own.
    BeforeMerging,
    /// After: all patches of a token at once.
    AfterMerging,
}

impl Merger {
    /// Reads the merger `module`.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn load(
        config: &VisionConfig,
        source: &impl Source,
        module: &str,
        order: NormOrder,
    ) -> Result<Self, ModelError> {
        let unit = config.merge_unit();
        let merged = config.hidden_size * unit;
        let [norm, expand, project] = config.style.merger().map(|part| format!("{module}.{part}"));
        let norm_width = match order {
            NormOrder::BeforeMerging => config.hidden_size,
            NormOrder::AfterMerging => merged,
        };
        let widths = [merged, merged, config.out_hidden_size];
        Ok(Self {
            norm: Norm::load(config.style, source, &norm, norm_width, EPSILON)?,
            mlp: GeluMlp::load(source, [&expand, &project], widths, Gelu::Exact)?,
            unit,
            order,
        })
    }

    /// # Shapes
    /// - `hidden`: `[N, W]`, the patches of a token one after another
    /// - output: `[M, D]`
    pub fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        let [patches, width] = hidden.dims();
        let merge = |x: Tensor<2>| x.reshape([patches / self.unit, width * self.unit]);
        self.mlp.forward(match self.order {
            NormOrder::BeforeMerging => merge(self.norm.forward(hidden)),
            NormOrder::AfterMerging => self.norm.forward(merge(hidden)),
        })
    }
}
