//! What reading a prompt leaves.

use burn::tensor::Tensor;
use vigos_kernels::read;
use vigos_models::ModelError;
use vigos_models::cache::KeyValue;

/// A prompt that has been read.
#[derive(Debug)]
pub struct Prefilled {
    /// Keys and values of every layer, each `[P, Hkv, C]`.
    pub(crate) layers: Vec<KeyValue>,
    /// Position of the newest token.
    pub(crate) position: u32,
    /// Of the token behind the prompt, `[V]`.
    pub(crate) logits: Vec<f32>,
}

/// The values of logits.
///
/// # Errors
/// If the device fails.
pub(crate) fn host(logits: Tensor<2>) -> Result<Vec<f32>, ModelError> {
    Ok(read(logits)?)
}
