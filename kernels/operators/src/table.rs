//! Numbers that a kernel of a CubeCL runtime reads, sent once.

use burn::backend::ops::IntTensorOps;
use burn::tensor::TensorData;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use std::sync::OnceLock;
use vigos_devices::count_upload;

/// Numbers that are sent to a device once for all who read them there.
#[derive(Debug, Default)]
pub(crate) struct Table(OnceLock<CubeTensor>);

impl Table {
    /// The numbers on the device of `beside`, `[rows, columns]`.
    pub(crate) fn on(
        &self,
        beside: &CubeTensor,
        columns: usize,
        numbers: impl FnOnce() -> Vec<i32>,
    ) -> CubeTensor {
        let send = || {
            let numbers = numbers();
            count_upload(numbers.len() * size_of::<i32>());
            let shape = [numbers.len() / columns, columns];
            CubeBackend::int_from_data(TensorData::new(numbers, shape), &beside.device)
        };
        match self.0.get() {
            Some(elsewhere) if elsewhere.device != beside.device => send(),
            Some(table) => table.clone(),
            None => self.0.get_or_init(send).clone(),
        }
    }
}
