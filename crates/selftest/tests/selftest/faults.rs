//! Operators that are wrong as kernels are wrong: each is found, and told from those that are right.

use burn::tensor::{DType, Device, Tensor};
use vigos_kernels::{
    AdamWStep, Columns, Moments, RowLoss, Segments, SpanKlError, SpanKlRows, Update, Weight, adamw, adapted,
    attention, decode_attention, gated, project, rotate, span_kl,
};
use vigos_selftest::{Check, Operators, Verdict, operators};

fn checked(own: &dyn Operators) -> Vec<Check> {
    operators(own, &Device::flex())
}

/// Checks of these names failed in this way, and all others passed.
#[track_caller]
fn only(checks: &[Check], names: &[&str], verdict: Verdict) {
    for check in checks {
        let is_planted = names.iter().any(|name| check.name.starts_with(name));
        let wanted = if is_planted { verdict } else { Verdict::Passed };
        assert_eq!(check.verdict, wanted, "{check}");
    }
    for name in names {
        assert!(checks.iter().any(|check| check.name.starts_with(name)), "no check of {name}");
    }
}

/// Rounded as TF32 and f16 are: 11 bits of a number stay.
fn eleven_bits(x: Tensor<2>) -> Tensor<2> {
    // Veltkamp's splitting: 24 − 11 bits are cut off.
    let scaled = x.clone() * 8193.0;
    scaled.clone() - (scaled - x)
}

#[test]
fn products_of_factors_in_tf32_are_told_as_reduced_precision() {
    struct Tf32;
    impl Operators for Tf32 {
        fn project(&self, x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
            match x.dtype() {
                DType::F32 => project(eleven_bits(x), &eleven_bits(weight.clone())),
                _ => project(x, weight),
            }
        }
    }
    let checks = checked(&Tf32);
    only(&checks, &["product, 48", "product, 3 "], Verdict::Reduced);
}

#[test]
fn a_sum_in_half_precision_is_found() {
    // A product whose running sum is rounded to f16 behind every sixteen terms, as an f16 accumulator does.
    struct HalfSums;
    impl Operators for HalfSums {
        fn project(&self, x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
            let dtype = x.dtype();
            if dtype != DType::F32 {
                return project(x, weight);
            }
            let mut sum = x.clone().matmul(weight.clone().transpose()) * 0.0;
            for begin in (0..x.dims()[1]).step_by(16) {
                let part = |t: &Tensor<2>| t.clone().narrow(1, begin, 16);
                sum = eleven_bits(sum + part(&x).matmul(part(weight).transpose()));
            }
            sum
        }
    }
    only(&checked(&HalfSums), &["product, 48", "product, 3 "], Verdict::Reduced);
}

#[test]
fn attention_in_half_precision_is_found_and_so_are_scores_without_their_scale() {
    struct Half;
    impl Operators for Half {
        fn attention(&self, all: [Tensor<3>; 3], segments: &Segments, is_causal: bool) -> Tensor<2> {
            let [query, key, value] = all.map(|x| {
                let [rows, heads, width] = x.dims();
                eleven_bits(x.reshape([rows, heads * width])).reshape([rows, heads, width])
            });
            attention(query, key, value, segments, is_causal)
        }
        fn decode_attention(
            &self,
            query: Tensor<3>,
            keys: &Tensor<4>,
            values: &Tensor<4>,
            columns: &Columns,
        ) -> Tensor<2> {
            decode_attention(query * 2.0, keys, values, columns)
        }
    }
    let checks = checked(&Half);
    let of = |name: &str| checks.iter().find(|check| check.name == name).unwrap();
    for name in ["attention, causal", "attention, vision", "attention under autodiff"] {
        assert_eq!(of(name).verdict, Verdict::Reduced, "{}", of(name));
    }
    assert_eq!(of("decode attention").verdict, Verdict::Wrong);
}

#[test]
fn a_dropped_row_is_found() {
    struct Dropped;
    impl Operators for Dropped {
        fn gated(&self, gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
            let [rows, width] = gate.dims();
            let whole = gated(gate, up);
            // The last row of a grid that is one group short.
            let zeros = whole.clone().narrow(0, rows - 1, 1) * 0.0;
            Tensor::cat(vec![whole.narrow(0, 0, rows - 1), zeros.reshape([1, width])], 0)
        }
    }
    only(&checked(&Dropped), &["swiglu"], Verdict::Wrong);
}

#[test]
fn a_wrong_reduction_is_found() {
    // The mean of all but the last group of a row.
    struct Short;
    impl Operators for Short {
        fn norm(&self, x: Tensor<2>, scale: &Tensor<2>, epsilon: f64) -> Tensor<2> {
            let width = x.dims()[1];
            let mean = x.clone().narrow(1, 0, width - 16).square().sum_dim(1) / width as f64;
            x / (mean + epsilon).sqrt() * scale.clone()
        }
        fn span_kl(
            &self,
            student: Tensor<2>,
            teacher: Tensor<2>,
            rows: &[RowLoss],
            temperature: f64,
        ) -> Result<SpanKlRows, SpanKlError> {
            // The last tokens of the vocabulary are not read.
            let [count, vocabulary] = student.dims();
            let cut = |logits: Tensor<2>| {
                let end = logits.clone().narrow(1, vocabulary - 3, 3) * 0.0 - 30.0;
                Tensor::cat(vec![logits.narrow(1, 0, vocabulary - 3), end.reshape([count, 3])], 1)
            };
            span_kl(cut(student), cut(teacher), rows, temperature)
        }
    }
    only(&checked(&Short), &["norm", "loss of logits"], Verdict::Wrong);
}

#[test]
fn a_backward_that_forgets_something_is_found_where_the_forward_is_right() {
    struct Forgets;
    impl Operators for Forgets {
        fn adapted(&self, x: Tensor<2>, weight: &Weight, update: Option<Update>) -> Tensor<2> {
            // The update reads x without its graph.
            let update = update.map(|update| Update { dropped: Some(x.clone().detach()), ..update });
            adapted(x, weight, None, update)
        }
        fn norm(&self, x: Tensor<2>, scale: &Tensor<2>, epsilon: f64) -> Tensor<2> {
            // The root is taken for a number.
            let inverse = x.clone().detach().square().mean_dim(1) + epsilon;
            x / inverse.sqrt() * scale.clone()
        }
    }
    only(&checked(&Forgets), &["lora, backward", "norm, backward"], Verdict::Wrong);
}

#[test]
fn an_angle_the_wrong_way_and_a_moment_that_is_not_corrected_are_found() {
    struct Turned;
    impl Operators for Turned {
        fn rotate(&self, x: Tensor<3>, cos: &Tensor<3>, sin: &Tensor<3>) -> Tensor<3> {
            rotate(x, cos, &sin.clone().neg())
        }
        fn adamw(
            &self,
            weight: Tensor<2>,
            gradient: Tensor<2>,
            moments: Moments,
            step: AdamWStep,
        ) -> (Tensor<2>, Moments) {
            adamw(weight, gradient, moments, AdamWStep { corrections: (1.0, 1.0), ..step })
        }
    }
    only(&checked(&Turned), &["rotary", "adamw"], Verdict::Wrong);
}

#[test]
fn numbers_that_are_none_and_a_kernel_that_does_not_run_are_found() {
    struct Broken;
    impl Operators for Broken {
        fn gated(&self, gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
            gated(gate, up) / 0.0
        }
        fn norm(&self, _: Tensor<2>, _: &Tensor<2>, _: f64) -> Tensor<2> {
            panic!("the kernel does not compile")
        }
    }
    let checks = checked(&Broken);
    only(&checks, &["swiglu", "norm"], Verdict::Wrong);
    let norm = checks.iter().find(|check| check.name == "norm").unwrap();
    assert_eq!(norm.failure.as_deref(), Some("the kernel does not compile"));
}
