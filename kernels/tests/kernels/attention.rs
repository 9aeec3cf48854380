//! Attention over packed sequences and over a cache, on every backend that this build can test: values and gradients against
//! the formula in f64 on the CPU, whose gradients are Burn's autodiff.
#![cfg(feature = "flex")]

use crate::common::graded::{Input, input, numbers, run, run_on, same};
use burn::tensor::{DType, Device, Tensor, TensorData};
use vigos_kernels::{
    Columns, NewToken, Segment, Segments, attend_new, attention, attention_reference, decode_attention,
    decode_attention_reference, rotate,
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

/// Lengths of the sequences, query heads, key/value heads, width of a head, deviation of queries and keys.
type Case = (&'static [usize], usize, usize, usize, f64);

/// On every device, where each width is another kernel to be compiled.
const CASES: [Case; 4] = [
    (&[1, 0, 1, 3], 4, 1, 3, 1.0),
    (&[65, 1, 130], 6, 3, 8, 1.0),
    (&[33, 3], 4, 2, 80, 1.0),
    // Scores of some hundred: almost all weight on one key.
    (&[90], 4, 4, 8, 12.0),
];

/// On the CPU besides.
const MORE: [Case; 6] = [
    (&[1], 1, 1, 4, 1.0),
    (&[64], 8, 1, 16, 1.0),
    (&[300, 7], 2, 1, 64, 1.0),
    (&[513], 2, 2, 5, 3.0),
    (&[256, 257], 1, 1, 8, 1.0),
    (&[1025], 1, 1, 128, 1.0),
];

fn inputs((lengths, heads, kv_heads, width, deviation): Case) -> [Input; 3] {
    let rows = lengths.iter().sum();
    [
        input(6, [rows, heads, width], deviation),
        input(7, [rows, kv_heads, width], deviation),
        input(8, [rows, kv_heads, width], 1.0),
    ]
}

/// Values and gradients in a precision are within `tolerance` of f64's of the same inputs.
fn is_that_of_f64(device: &Device, case: Case, dtype: DType, tolerance: f64) {
    let (lengths, .., deviation) = case;
    let inputs = inputs(case).map(|input| input.rounded(dtype));
    let segments = Segments::new(lengths.iter().copied());
    for is_causal in [true, false] {
        let found = run_on(device, &inputs, dtype, |x| {
            attention(x[0].clone(), x[1].clone(), x[2].clone(), &segments, is_causal)
        });
        let wanted = run(&inputs, DType::F64, |x| formula(x, lengths, is_causal));
        // A score's rounding is relative to its size, and so is the weight's that comes of it.
        let tolerance = tolerance * (deviation * deviation).max(2.0);
        same(&found, &wanted, tolerance, &format!("{case:?} {dtype:?} {is_causal}"));
    }
}

/// Output and upstream gradient are rounded to the precision, and nothing else.
#[cfg(feature = "wgpu")]
fn is_that_of_f64_in_half_precision(device: &Device) {
    for (dtype, rounding) in [(DType::F16, 1.0 / 2048.0), (DType::BF16, 1.0 / 256.0)] {
        if device.supports_dtype(dtype) {
            is_that_of_f64(device, CASES[1], dtype, 2.0 * rounding);
        }
    }
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

fn a_shared_beginning_changes_neither_values_nor_gradients(device: &Device) {
    for (shared, own) in [(1, [1, 2]), (70, [65, 3]), (200, [40, 130])] {
        let (segments, rows) = shared_rows(shared, own);
        let inputs =
            [input(22, [rows, 4, 8], 1.0), input(23, [rows, 2, 8], 1.0), input(24, [rows, 2, 8], 1.0)];
        let found = run_on(device, &inputs, DType::F32, |x| {
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
        let composed = run_on(device, &inputs, DType::F32, |x| {
            attention_reference(x[0].clone(), x[1].clone(), x[2].clone(), &segments, true)
        });
        same(&composed, &wanted, 4.0 * TOLERANCE, &format!("composed {shared} {own:?}"));
    }
}

fn over_a_cache_it_is_that_of_each_row_alone_and_of_separate_operators(device: &Device) {
    for (heads, kv_heads, width, columns) in [
        (1, 1, 1, vec![2..3, 0..3]),
        (4, 2, 8, vec![3..40, 0..40, 39..40]),
        (8, 1, 20, vec![7..300, 299..300]),
    ] {
        let rows = columns.len();
        let capacity = columns[0].end + 5;
        let lengths = || columns.iter().map(std::ops::Range::len);
        let plain = |input: Input| input.leaf(device, DType::F32).inner();
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
        a_new_token_is_turned_and_stored(
            device,
            [&keys, &values],
            &query,
            [columns[0].end, capacity],
            &lengths().collect::<Vec<_>>(),
        );
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
                on_the_cpu(x.reshape([kv_heads, columns[0].len(), width]).swap_dims(0, 1))
            })
            .collect();
        let last = on_the_cpu(query.narrow(0, 0, 1)).repeat_dim(0, columns[0].len());
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

/// The same values in f64.
fn on_the_cpu(x: Tensor<3>) -> Tensor<3> {
    let shape = x.dims();
    Tensor::from_data(TensorData::new(numbers(x), shape), (&Device::flex(), DType::F64))
}

/// A token that comes to a cache of which the rows had one column less attends as if it had been put there.
fn a_new_token_is_turned_and_stored(
    device: &Device,
    [keys, values]: [&Tensor<4>; 2],
    query: &Tensor<3>,
    [end, capacity]: [usize; 2],
    lengths: &[usize],
) {
    let ([rows, kv_heads, _, width], heads) = (keys.dims(), query.dims()[1]);
    if width % 2 > 0 {
        return;
    }
    let plain = |input: Input| input.leaf(device, DType::F32).inner();
    let [key, value] = [28, 29].map(|seed| plain(input(seed, [rows, kv_heads, width], 1.0)));
    let table = |f: fn(f32) -> f32| {
        let values: Vec<f32> = (0..rows * width / 2).map(|i| f(i as f32 * 0.37)).collect();
        Tensor::<3>::from_data(TensorData::new(values, [rows, 1, width / 2]), (device, DType::F32))
    };
    let (cos, sin) = (table(f32::cos), table(f32::sin));
    // The columns as they were sent for the token before, and then one more.
    let before = Columns::new(capacity, end - 1, lengths.iter().map(|length| length - 1));
    decode_attention(query.clone(), keys, values, &before);
    let columns = before.advanced(|_| true);
    let token =
        NewToken { query: query.clone(), key: key.clone(), value: value.clone(), rotary: [&cos, &sin] };
    let (found, stored_keys, stored_values) = attend_new(token, keys.clone(), values.clone(), &columns);

    let place = [0..rows, 0..kv_heads, end - 1..end, 0..width];
    let wanted_keys = keys.clone().slice_assign(place.clone(), rotate(key, &cos, &sin).unsqueeze_dim(2));
    let wanted_values = values.clone().slice_assign(place, value.unsqueeze_dim(2));
    let all = Columns::new(capacity, end, lengths.iter().copied());
    let wanted =
        decode_attention_reference(rotate(query.clone(), &cos, &sin), &wanted_keys, &wanted_values, &all);
    let what = format!("a new token, {heads} {kv_heads} {width}");
    same(&[numbers(found)], &[numbers(wanted)], TOLERANCE, &what);
    same(&[numbers(stored_keys)], &[numbers(wanted_keys)], 2e-7, &what);
    assert_eq!(numbers(stored_values), numbers(wanted_values), "{what}");
}

mod flex {
    use burn::tensor::{DType, Device};

    #[test]
    fn attention_is_that_of_f64() {
        for case in super::CASES.into_iter().chain(super::MORE) {
            super::is_that_of_f64(&Device::flex(), case, DType::F32, super::TOLERANCE);
        }
    }

    #[test]
    fn attention_shares_beginnings() {
        super::a_shared_beginning_changes_neither_values_nor_gradients(&Device::flex());
    }

    #[test]
    fn attention_reads_a_cache() {
        super::over_a_cache_it_is_that_of_each_row_alone_and_of_separate_operators(&Device::flex());
    }
}

#[cfg(feature = "wgpu")]
mod wgpu {
    use burn::tensor::{DType, Device, DeviceKind};

    #[test]
    fn attention_is_that_of_f64() {
        let device = Device::wgpu(DeviceKind::DefaultDevice);
        for case in super::CASES {
            super::is_that_of_f64(&device, case, DType::F32, super::TOLERANCE);
        }
        super::is_that_of_f64_in_half_precision(&device);
    }

    #[test]
    fn attention_shares_beginnings() {
        super::a_shared_beginning_changes_neither_values_nor_gradients(&Device::wgpu(
            DeviceKind::DefaultDevice,
        ));
    }

    #[test]
    fn attention_reads_a_cache() {
        super::over_a_cache_it_is_that_of_each_row_alone_and_of_separate_operators(&Device::wgpu(
            DeviceKind::DefaultDevice,
        ));
    }
}
