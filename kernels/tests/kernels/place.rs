//! The gradient on the CPU takes the place of the student's logits, so that nothing of their size is allocated.
#![cfg(feature = "flex")]

use burn::backend::DispatchTensorKind;
use burn::tensor::{DType, Device, Tensor, TensorData};
use vigos_kernels::{Direction, RowLoss, span_kl, span_kl_stacked};

const ROW: RowLoss = RowLoss { direction: Direction::Forward, weight: 1.0, clip: None };

/// Where a tensor's elements are.
fn address(tensor: &Tensor<2>) -> usize {
    match tensor.clone().into_dispatch().kind {
        DispatchTensorKind::Flex(tensor) => tensor.float().bytes().as_ptr() as usize,
        _ => panic!("not on the CPU"),
    }
}

fn logits(rows: usize, dtype: DType) -> Tensor<2> {
    let values: Vec<f32> = (0..rows * 500).map(|i| (i as f32 * 0.7).sin()).collect();
    Tensor::<2>::from_data(TensorData::new(values, [rows, 500]), (&Device::flex(), DType::F32)).cast(dtype)
}

#[test]
fn the_gradient_takes_the_place_of_logits_that_nobody_else_holds() {
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let student = logits(1, dtype);
        let place = address(&student);
        let found = span_kl(student, logits(1, dtype), &[ROW], 1.0).unwrap();
        assert_eq!(address(&found.gradient), place);

        let both = logits(2, dtype);
        let place = address(&both);
        assert_eq!(address(&span_kl_stacked(both, &[ROW], 1.0).unwrap().gradient), place);

        let student = logits(1, dtype);
        let found = span_kl(student.clone(), logits(1, dtype), &[ROW], 1.0).unwrap();
        assert_ne!(address(&found.gradient), address(&student));
    }
}
