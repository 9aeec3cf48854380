//! What runs around a model's products.

use super::bench::Bench;
use super::case::{Case, Pass, Work, moving};
use burn::tensor::{DType, Tensor, TensorData};
use vigos_kernels::{
    Columns, DropMask, Segments, Update, Weight, adapted, adapted_reference, attention, attention_reference,
    decode_attention, decode_attention_reference, dropped, dropped_reference, gated, gated_reference,
    rms_norm, rms_norm_reference, rotate, rotate_reference, send,
};

/// Width of a head.
const HEAD: usize = 64;
/// Query heads that share a key/value head.
const SHARED: usize = 4;
/// Rank of an update.
const RANK: usize = 16;
/// Sequences that decode together.
const DECODING: usize = 4;

pub(super) fn measure(bench: &mut Bench) {
    let sizes = bench.sizes;
    let (rows, width, inner) = (sizes.rows.get(), sizes.width.get(), sizes.inner.get());
    // Whole heads, and whole groups of them.
    let kv_heads = (width / HEAD / SHARED).max(1);
    let heads = kv_heads * SHARED;
    attend(bench, rows, [heads, kv_heads]);
    attend_cached(bench, rows, [heads, kv_heads]);

    let inputs = [bench.random(rows, width), bench.random(1, width)];
    let works = [moving(2 * rows * width), moving(3 * rows * width)];
    bench.both_ways(
        "norm",
        "f32",
        &[rows, width],
        works,
        &inputs,
        [&|x| rms_norm(x[0].clone(), &x[1], 1e-6), &|x| rms_norm_reference(x[0].clone(), &x[1], 1e-6)],
    );

    let inputs = [bench.random(rows, inner), bench.random(rows, inner)];
    let works = [moving(3 * rows * inner), moving(5 * rows * inner)];
    bench.both_ways(
        "swiglu",
        "f32",
        &[rows, inner],
        works,
        &inputs,
        [&|x| gated(x[0].clone(), x[1].clone()), &|x| gated_reference(x[0].clone(), x[1].clone())],
    );

    let angles = bench.random(rows, HEAD / 2).reshape([rows, 1, HEAD / 2]);
    let (cos, sin) = (angles.clone().cos(), angles.sin());
    let turned = |x: &Tensor<2>| x.clone().reshape([rows, heads, HEAD]);
    let inputs = [bench.random(rows, heads * HEAD)];
    bench.both_ways(
        "rotary",
        "f32",
        &[rows, heads, HEAD],
        [moving(2 * rows * heads * HEAD); 2],
        &inputs,
        [&|x| rotate(turned(&x[0]), &cos, &sin).reshape([rows, heads * HEAD]), &|x| {
            rotate_reference(turned(&x[0]), &cos, &sin).reshape([rows, heads * HEAD])
        }],
    );

    let words: Vec<i32> = (0..2 * rows as i32).map(|i| i.wrapping_mul(40_503) & 0xFFFF).collect();
    let words = send(TensorData::new(words, [rows, 2]), bench.device, DType::I32);
    let mask = DropMask { rows: words, site: 1 << 40, probability: 0.05 };
    bench.both_ways(
        "dropout",
        "f32",
        &[rows, width],
        [moving(2 * rows * width); 2],
        &[bench.random(rows, width)],
        [&|x| dropped(x[0].clone(), &mask), &|x| dropped_reference(x[0].clone(), &mask)],
    );

    let weight = Weight::from(bench.random(width, width));
    let inputs = [bench.random(rows, width), bench.random(RANK, width), bench.random(width, RANK)];
    let update = |x: &[Tensor<2>]| {
        Some(Update { dropped: None, a: x[1].clone(), b: x[2].clone(), scale: 1.0 / RANK as f64 })
    };
    let product = |count: f64| Work { operations: count * 2.0 * (rows * width) as f64, bytes: 0.0 };
    let works = [product((width + 2 * RANK) as f64), product((width + 5 * RANK) as f64)];
    bench.both_ways(
        "lora",
        "f32",
        &[rows, width, width, RANK],
        works,
        &inputs,
        [&|x| adapted(x[0].clone(), &weight, None, update(x)), &|x| {
            adapted_reference(x[0].clone(), &weight, None, update(x))
        }],
    );
}

/// Causal attention within one sequence.
fn attend(bench: &mut Bench, rows: usize, [heads, kv_heads]: [usize; 2]) {
    let segments = Segments::new([rows]);
    let of = |x: &Tensor<2>, heads| x.clone().reshape([rows, heads, HEAD]);
    let inputs = [heads, kv_heads, kv_heads].map(|heads| bench.random(rows, heads * HEAD));
    // Half of the scores are read; two products forward, five back.
    let product = |count: f64| Work {
        operations: count * (rows * rows * heads * HEAD) as f64,
        bytes: 4.0 * (rows * (2 * heads + 2 * kv_heads) * HEAD) as f64,
    };
    let split = |x: &[Tensor<2>]| (of(&x[0], heads), of(&x[1], kv_heads), of(&x[2], kv_heads));
    bench.both_ways(
        "attention",
        "f32",
        &[rows, heads, kv_heads, HEAD],
        [product(2.0), product(5.0)],
        &inputs,
        [
            &|x| {
                let (query, key, value) = split(x);
                attention(query, key, value, &segments, true)
            },
            &|x| {
                let (query, key, value) = split(x);
                attention_reference(query, key, value, &segments, true)
            },
        ],
    );
}

/// One new token in each of some sequences.
fn attend_cached(bench: &mut Bench, length: usize, [heads, kv_heads]: [usize; 2]) {
    let cache =
        || bench.random(DECODING * kv_heads * length, HEAD).reshape([DECODING, kv_heads, length, HEAD]);
    let (keys, values) = (cache(), cache());
    let query = bench.random(DECODING * heads, HEAD).reshape([DECODING, heads, HEAD]);
    let columns = Columns::new(length, length, [length; DECODING]);
    let case = Case {
        name: "decode_attention",
        pass: Pass::Forward,
        shape: vec![DECODING, length, heads, kv_heads, HEAD],
        dtype: "f32",
        work: moving(2 * DECODING * kv_heads * length * HEAD),
    };
    bench.compare(
        case,
        || decode_attention(query.clone(), &keys, &values, &columns),
        || decode_attention_reference(query.clone(), &keys, &values, &columns),
    );
}
