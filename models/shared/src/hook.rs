//! What a forward pass shows to those who ask.

use crate::cache::KeyValue;
use burn::tensor::Tensor;

/// Sees what a forward pass would otherwise throw away.
pub trait ForwardHook {
    /// The input of each block, first to last, and that of what stands behind the last; of the vision tower or of
    /// the language model.
    fn block_input(&mut self, _input: &Tensor<2>) {}
    /// The keys and values of each decoder layer.
    fn key_value(&mut self, _kv: KeyValue) {}
}

/// Keeps nothing.
impl ForwardHook for () {}

/// Keeps keys and values, to fill a cache with.
impl ForwardHook for Vec<KeyValue> {
    fn key_value(&mut self, kv: KeyValue) {
        self.push(kv);
    }
}

/// Keeps block inputs, to run backward from.
impl ForwardHook for Vec<Tensor<2>> {
    fn block_input(&mut self, input: &Tensor<2>) {
        self.push(input.clone());
    }
}
