//! The model's inner operators on the CPU: values and gradients against the same formulas in f64, whose gradients are
//! Burn's autodiff in f64.
#![cfg(feature = "flex")]

use crate::common::graded::{Input, flat, input, numbers, run, same};
use burn::tensor::{DType, Device, Tensor, TensorData};
use vigos_kernels::{
    Columns, Segment, Segments, Update, adapted, attention, attention_reference, decode_attention,
    decode_attention_reference, project, rms_norm,
};

/// f32 sums of some hundred terms, relative to the largest value.
const TOLERANCE: f64 = 3e-6;

/// Attention as its formula says, a segment and a head at a time.
fn formula(x: &[Tensor<3>], lengths: &[usize], is_causal: bool) -> Tensor<2> {
    let [_, heads, width] = x[0].dims();
    let kv_heads = x[1].dims()[1];
    let mut start = 0;
    let mut segments = Vec::new();
    for &length in lengths.iter().filter(|length| **length > 0) {
        let of = |x: &Tensor<3>, head: usize| {
            x.clone().narrow(0, start, length).narrow(1, head, 1).reshape([length, width])
        };
        let outputs = (0..heads).map(|head| {
            let kv = head * kv_heads / heads;
            let scores = of(&x[0], head).matmul(of(&x[1], kv).transpose()) / (width as f64).sqrt();
            let mask: Vec<f64> = (0..length * length)
                .map(|i| if is_causal && i % length > i / length { -1e30 } else { 0.0 })
                .collect();
            let mask = TensorData::new(mask, [length, length]);
            let mask = Tensor::<2>::from_data(mask, (&Device::flex(), DType::F64));
            let scores = scores + Tensor::from_inner(mask);
            let weights = (scores.clone() - scores.max_dim(1)).exp();
            let sums = weights.clone().sum_dim(1);
            (weights / sums).matmul(of(&x[2], kv))
        });
        segments.push(Tensor::cat(outputs.collect(), 1));
        start += length;
    }
    Tensor::cat(segments, 0)
}

#[test]
fn attention_and_its_gradients_are_those_of_f64() {
    let cases: [(&[usize], usize, usize, usize, f64); 8] = [
        (&[1], 1, 1, 4, 1.0),
        (&[1, 0, 1, 3], 4, 1, 3, 1.0),
        (&[64], 8, 2, 16, 1.0),
        (&[65, 1, 130], 6, 3, 8, 1.0),
        (&[300, 7], 2, 1, 64, 1.0),
        (&[513], 2, 2, 5, 3.0),
        (&[256, 257], 1, 1, 8, 1.0),
        // Scores of some hundred: almost all weight on one key.
        (&[90], 4, 4, 16, 12.0),
    ];
    for (lengths, heads, kv_heads, width, deviation) in cases {
        let rows = lengths.iter().sum();
        let inputs = [
            input(6, [rows, heads, width], deviation),
            input(7, [rows, kv_heads, width], deviation),
            input(8, [rows, kv_heads, width], 1.0),
        ];
        let segments = Segments::new(lengths.iter().copied());
        for is_causal in [true, false] {
            let found = run(&inputs, DType::F32, |x| {
                attention(x[0].clone(), x[1].clone(), x[2].clone(), &segments, is_causal)
            });
            let wanted = run(&inputs, DType::F64, |x| formula(x, lengths, is_causal));
            // A score's rounding is relative to its size, and so is the weight's that comes of it.
            let tolerance = TOLERANCE * (deviation * deviation).max(2.0);
            same(&found, &wanted, tolerance, &format!("{lengths:?} {heads} {kv_heads} {width} {is_causal}"));
        }
    }
}

/// x, A, B and, where something is dropped, d.
fn layer(rows: usize, inputs: usize, outputs: usize, rank: usize) -> ([Input; 4], Input, Input) {
    let trained = [
        input(9, [rows, 1, inputs], 1.0),
        input(10, [rank, 1, inputs], 0.3),
        input(11, [outputs, 1, rank], 0.3),
        input(12, [rows, 1, inputs], 1.0),
    ];
    (trained, input(13, [outputs, 1, inputs], 0.2), input(14, [1, 1, outputs], 1.0))
}

#[test]
fn an_adapted_layer_and_its_gradients_are_those_of_f64() {
    for [rows, inputs, outputs, rank] in
        [[1, 1, 1, 1], [3, 17, 9, 2], [32, 70, 33, 16], [33, 70, 50, 4], [200, 96, 130, 8]]
    {
        let (trained, weight, bias) = layer(rows, inputs, outputs, rank);
        for (drops, biased) in [(false, true), (true, false)] {
            let trained = if drops { &trained[..] } else { &trained[..3] };
            let frozen = |x: &Input, dtype| flat(x.leaf(&Device::flex(), dtype)).inner();
            let found = run(trained, DType::F32, |x| {
                let x: Vec<Tensor<2>> = x.iter().cloned().map(flat).collect();
                let dropped = x.get(3).cloned();
                let update = Update { dropped, a: x[1].clone(), b: x[2].clone(), scale: 0.7 };
                let bias = biased.then(|| frozen(&bias, DType::F32));
                adapted(x[0].clone(), &frozen(&weight, DType::F32).into(), bias.as_ref(), Some(update))
            });
            let wanted = run(trained, DType::F64, |x| {
                let x: Vec<Tensor<2>> = x.iter().cloned().map(flat).collect();
                let dropped = x.get(3).unwrap_or(&x[0]).clone();
                let weight = Tensor::from_inner(frozen(&weight, DType::F64).transpose());
                let update = dropped.matmul(x[1].clone().transpose()).matmul(x[2].clone().transpose());
                let y = x[0].clone().matmul(weight) + update * 0.7;
                if biased { y + Tensor::from_inner(frozen(&bias, DType::F64)) } else { y }
            });
            same(&found, &wanted, TOLERANCE, &format!("{rows} {inputs} {outputs} {rank} {drops}"));
        }
    }
}

#[test]
fn a_layer_without_an_update_passes_the_gradient_back() {
    for rows in [4, 60] {
        let (trained, weight, bias) = layer(rows, 40, 30, 1);
        let frozen = |x: &Input, dtype| flat(x.leaf(&Device::flex(), dtype)).inner();
        let found = run(&trained[..1], DType::F32, |x| {
            let (weight, bias) = (frozen(&weight, DType::F32), frozen(&bias, DType::F32));
            adapted(flat(x[0].clone()), &weight.clone().into(), Some(&bias), None)
        });
        let wanted = run(&trained[..1], DType::F64, |x| {
            let (weight, bias) = (frozen(&weight, DType::F64), frozen(&bias, DType::F64));
            flat(x[0].clone()).matmul(Tensor::from_inner(weight.transpose())) + Tensor::from_inner(bias)
        });
        same(&found, &wanted, TOLERANCE, &format!("{rows}"));
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_among_others() {
    let (inputs, outputs) = (133, 210);
    let x = flat(input(15, [40, 1, inputs], 1.0).leaf(&Device::flex(), DType::F32)).inner();
    let weight = flat(input(16, [outputs, 1, inputs], 1.0).leaf(&Device::flex(), DType::F32)).inner();
    for dtype in [DType::F32, DType::BF16] {
        let (x, weight) = (x.clone().cast(dtype), weight.clone().cast(dtype));
        let alone: Vec<Vec<f64>> =
            (0..32).map(|row| numbers(project(x.clone().narrow(0, row, 1), &weight))).collect();
        for rows in [2, 3, 5, 8, 16, 31, 32] {
            let together = numbers(project(x.clone().narrow(0, 0, rows), &weight));
            assert!(together.chunks(outputs).zip(&alone).all(|(a, b)| a == b), "{rows} rows, {dtype:?}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let all = || {
        let inputs =
            [input(17, [700, 4, 16], 1.0), input(18, [700, 2, 16], 1.0), input(19, [700, 2, 16], 1.0)];
        let segments = Segments::new([400, 300]);
        let mut found = run(&inputs, DType::F32, |x| {
            attention(x[0].clone(), x[1].clone(), x[2].clone(), &segments, true)
        });
        let (trained, weight, _) = layer(300, 300, 300, 16);
        found.extend(run(&trained[..3], DType::F32, |x| {
            let x: Vec<Tensor<2>> = x.iter().cloned().map(flat).collect();
            let update = Update { dropped: None, a: x[1].clone(), b: x[2].clone(), scale: 0.7 };
            adapted(
                x[0].clone(),
                &flat(weight.leaf(&Device::flex(), DType::F32)).inner().into(),
                None,
                Some(update),
            )
        }));
        let inputs = [input(20, [700, 1, 300], 1.0), input(21, [1, 1, 300], 1.0)];
        found.extend(run(&inputs, DType::F32, |x| rms_norm(flat(x[0].clone()), &flat(x[1].clone()), 1e-6)));
        found
    };
    let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all);
    let wanted = with(1);
    assert!(with(2) == wanted && with(5) == wanted);
}

/// A beginning of `shared` rows and the sequences that go on from it, between two others.
fn shared_rows(shared: usize, own: [usize; 2]) -> (Segments, usize) {
    let mut end = 0;
    let mut rows = |length| {
        end += length;
        end - length..end
    };
    let before = 0..0;
    let mut segments = vec![Segment { rows: rows(3), before: before.clone() }];
    let beginning = rows(shared);
    segments.push(Segment { rows: beginning.clone(), before: before.clone() });
    segments.extend(own.map(|length| Segment { rows: rows(length), before: beginning.clone() }));
    segments.push(Segment { rows: rows(5), before });
    (Segments::sharing(segments), end)
}

#[test]
fn a_shared_beginning_changes_neither_values_nor_gradients() {
    for (shared, own) in [(1, [1, 2]), (70, [65, 3]), (300, [40, 130])] {
        let (segments, rows) = shared_rows(shared, own);
        let inputs =
            [input(22, [rows, 4, 8], 1.0), input(23, [rows, 2, 8], 1.0), input(24, [rows, 2, 8], 1.0)];
        let found = run(&inputs, DType::F32, |x| {
            attention(x[0].clone(), x[1].clone(), x[2].clone(), &segments, true)
        });
        // The same with the beginning once for each.
        let order: Vec<i64> = (0..3)
            .chain(3..3 + shared)
            .chain(3 + shared..3 + shared + own[0])
            .chain(3..3 + shared)
            .chain(3 + shared + own[0]..rows)
            .map(|row| row as i64)
            .collect();
        let lengths = [3, shared + own[0], shared + own[1], 5];
        let kept: Vec<i64> = (0..3 + shared + own[0])
            .chain(3 + 2 * shared + own[0]..order.len())
            .map(|row| row as i64)
            .collect();
        let wanted = run(&inputs, DType::F64, |x| {
            let rows = |of: &[i64]| Tensor::<1, burn::tensor::Int>::from_ints(of, &x[0].device());
            let x: Vec<Tensor<3>> = x.iter().map(|x| x.clone().select(0, rows(&order))).collect();
            formula(&x, &lengths, true).select(0, rows(&kept))
        });
        same(&found, &wanted, 2.0 * TOLERANCE, &format!("{shared} {own:?}"));
        let composed = run(&inputs, DType::F32, |x| {
            attention_reference(x[0].clone(), x[1].clone(), x[2].clone(), &segments, true)
        });
        same(&composed, &wanted, 4.0 * TOLERANCE, &format!("composed {shared} {own:?}"));
    }
}

#[test]
fn attention_over_a_cache_is_that_of_each_row_alone_and_of_separate_operators() {
    for (heads, kv_heads, width, columns) in [
        (1, 1, 1, vec![2..3, 0..3]),
        (4, 2, 8, vec![3..40, 0..40, 39..40]),
        (8, 1, 20, vec![7..300, 299..300]),
    ] {
        let rows = columns.len();
        let capacity = columns[0].end + 5;
        let lengths = || columns.iter().map(std::ops::Range::len);
        let plain = |input: Input| input.leaf(&Device::flex(), DType::F32).inner();
        let query = plain(input(25, [rows, heads, width], 1.0));
        let cache = |seed| {
            plain(input(seed, [rows * kv_heads, capacity, width], 1.0))
                .reshape([rows, kv_heads, capacity, width])
        };
        let (keys, values) = (cache(26), cache(27));
        let all = Columns::new(capacity, columns[0].end, lengths());
        let found = numbers(decode_attention(query.clone(), &keys, &values, &all));
        let wanted = numbers(decode_attention_reference(query.clone(), &keys, &values, &all));
        same(std::slice::from_ref(&found), &[wanted], TOLERANCE, &format!("{heads} {kv_heads} {width}"));
        for row in 0..rows {
            let one = |x: &Tensor<4>| x.clone().narrow(0, row, 1);
            let alone = decode_attention(
                query.clone().narrow(0, row, 1),
                &one(&keys),
                &one(&values),
                &Columns::new(capacity, columns[0].end, [columns[row].len()]),
            );
            assert_eq!(numbers(alone), found[row * heads * width..(row + 1) * heads * width]);
        }
        // However far the ring has turned, the bits are the same.
        for turned in [1, 3, capacity / 2, capacity - 1] {
            let turn = |x: &Tensor<4>| {
                let (first, rest) = (x.clone().narrow(2, 0, capacity - turned), capacity - turned);
                Tensor::cat(vec![x.clone().narrow(2, rest, turned), first], 2)
            };
            let end = (columns[0].end + turned - 1) % capacity + 1;
            let all = Columns::new(capacity, end, lengths());
            let (keys, values) = (turn(&keys), turn(&values));
            assert_eq!(
                numbers(decode_attention(query.clone(), &keys, &values, &all)),
                found,
                "turned by {turned}"
            );
            let composed = numbers(decode_attention_reference(query.clone(), &keys, &values, &all));
            same(
                &[composed],
                std::slice::from_ref(&found),
                TOLERANCE,
                &format!("composed, turned by {turned}"),
            );
        }
        // The formula, for the last position of a row.
        let inputs: Vec<Tensor<3>> = [keys, values]
            .iter()
            .map(|x| {
                let x = x.clone().narrow(0, 0, 1).narrow(2, columns[0].start, columns[0].len());
                x.reshape([kv_heads, columns[0].len(), width]).swap_dims(0, 1).cast(DType::F64)
            })
            .collect();
        let last = query.narrow(0, 0, 1).cast(DType::F64).repeat_dim(0, columns[0].len());
        let whole = [
            Tensor::from_inner(last),
            Tensor::from_inner(inputs[0].clone()),
            Tensor::from_inner(inputs[1].clone()),
        ];
        let wanted = numbers(formula(&whole, &[columns[0].len()], false).inner());
        same(
            &[found[..heads * width].to_vec()],
            &[wanted[..heads * width].to_vec()],
            TOLERANCE,
            "against f64",
        );
    }
}
