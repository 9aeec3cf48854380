//! Attention over packed sequences and over a cache.

use super::bench::{Cases, PRODUCTS};
use crate::host::{self, Matrix};
use crate::numbers::{download, drawn, relative_error, upload};
use vigos_kernels::{Columns, Segment, Segments};

/// Heads, those of keys and values, and their width.
struct Heads {
    query: usize,
    kv: usize,
    width: usize,
}

/// As the decoder layers of the published models have them, of fewer heads.
const DECODER: Heads = Heads { query: 4, kv: 2, width: 128 };
/// As their vision towers.
const VISION: Heads = Heads { query: 2, kv: 2, width: 80 };
/// Narrower, for what is computed often.
const NARROW: Heads = Heads { query: 4, kv: 2, width: 32 };
/// Columns of a cache.
const CAPACITY: usize = 64;

pub(super) fn check(cases: &mut Cases) {
    forward(cases, "attention, causal", &DECODER, &Segments::new([70, 33]), true);
    forward(cases, "attention, vision", &VISION, &Segments::new([32, 32, 16]), false);
    // Two sequences go on from one beginning.
    let segment = |rows, before| Segment { rows, before };
    let shared = [segment(0..24, 0..0), segment(24..40, 0..24), segment(40..45, 0..24)];
    let shared = Segments::sharing(shared);
    forward(cases, "attention, shared beginning", &DECODER, &shared, true);
    for (name, segments, is_causal) in [
        ("attention under autodiff", Segments::new([20, 9]), true),
        ("attention of a tower under autodiff", Segments::new([12, 12]), false),
    ] {
        let own = cases.own;
        let Heads { query, kv, width } = NARROW;
        let rows = segments.rows();
        let inputs = inputs(&NARROW, rows);
        cases.both_ways(
            name,
            PRODUCTS,
            &inputs,
            &|x| {
                let of = |number: usize, heads| x[number].clone().reshape([rows, heads, width]);
                own.attention([of(0, query), of(1, kv), of(2, kv)], &segments, is_causal)
            },
            &|x| {
                let reads = |row| host::reads(&segments, row, is_causal);
                host::attention([x[0], x[1], x[2]], width, reads)
            },
        );
    }
    decode(cases);
}

fn inputs(heads: &Heads, rows: usize) -> [Matrix; 3] {
    let widths = [heads.query, heads.kv, heads.kv].map(|count| count * heads.width);
    [0, 1, 2].map(|number: usize| drawn(20 + number as u64, rows, widths[number]))
}

fn forward(cases: &mut Cases, name: &str, heads: &Heads, segments: &Segments, is_causal: bool) {
    let (own, device) = (cases.own, cases.device);
    let rows = segments.rows();
    let [query, key, value] = inputs(heads, rows);
    cases.check(name, PRODUCTS, || {
        let there = |matrix: &Matrix, heads_of| upload(matrix, device).reshape([rows, heads_of, heads.width]);
        let there = [there(&query, heads.query), there(&key, heads.kv), there(&value, heads.kv)];
        let found = download(own.attention(there, segments, is_causal))?;
        let reads = |row| host::reads(segments, row, is_causal);
        let wanted = host::attention([&query, &key, &value], heads.width, reads);
        Ok(relative_error(&found.values, &wanted.values))
    });
}

/// One new token in each of three sequences: one that goes round the end of the ring, one that does not, one that is short.
fn decode(cases: &mut Cases) {
    let (own, device) = (cases.own, cases.device);
    let Heads { query: heads, kv, width } = DECODER;
    let (rows, lengths, end) = (3, [50, 20, 1], 20);
    let query = drawn(30, rows, heads * width);
    // A row of the matrix is a column of the cache of one head of one sequence.
    let [keys, values] = [31, 32].map(|stream| drawn(stream, rows * kv * CAPACITY, width));
    cases.check("decode attention", PRODUCTS, || {
        let cache = |matrix: &Matrix| upload(matrix, device).reshape([rows, kv, CAPACITY, width]);
        let columns = Columns::new(CAPACITY, end, lengths);
        let query_there = upload(&query, device).reshape([rows, heads, width]);
        let found = download(own.decode_attention(query_there, &cache(&keys), &cache(&values), &columns))?;
        let mut wanted = Vec::new();
        for (row, length) in lengths.into_iter().enumerate() {
            // The columns of this sequence, heads side by side.
            let side_by_side = |matrix: &Matrix| {
                let columns = (0..CAPACITY).flat_map(|column| {
                    (0..kv).flat_map(move |head| matrix.row((row * kv + head) * CAPACITY + column).to_vec())
                });
                Matrix::of(CAPACITY, kv * width, columns)
            };
            let query = Matrix::of(1, heads * width, query.row(row).to_vec());
            let newest = |back: usize| (end + CAPACITY - 1 - back) % CAPACITY;
            let reads = |_| (0..length).map(newest).collect();
            let [keys, values] = [side_by_side(&keys), side_by_side(&values)];
            wanted.extend(host::attention([&query, &keys, &values], width, reads).values);
        }
        Ok(relative_error(&found.values, &wanted))
    });
}
