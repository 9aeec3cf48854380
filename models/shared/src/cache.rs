//! The key/value cache of a batch that decodes together.
//!
//! Sequences are right-aligned: the newest token of every sequence lies in the same column, so a step writes
//! one column, whatever the lengths. The columns are a ring: behind the last one comes the first again, and a row
//! needs no more of them than its longest sequence. Since keys carry their rotary position, a column has no meaning
//! of its own, and a row can be freed or filled with another sequence without touching the others.
//!
//! `B` rows, `Hkv` key/value heads, `L` columns in use, `C` head width.

use crate::architecture::TextShape;
use crate::rows::indices;
use burn::tensor::{DType, Device, Tensor};
use std::ops::Range;
use vigos_kernels::{Columns, NewToken, attend_new};

/// Keys and values of one layer, after the rotary embedding: each `[T, Hkv, C]`.
#[derive(Clone, Debug)]
pub struct KeyValue {
    /// Keys.
    pub key: Tensor<3>,
    /// Values.
    pub value: Tensor<3>,
}

/// The cache of all layers.
#[derive(Debug)]
pub struct KvCache {
    /// One for each decoder layer.
    pub layers: Vec<LayerCache>,
    /// Tokens of each row's sequence; `None` where the row is free.
    lengths: Vec<Option<usize>>,
    /// One more than the newest token's column.
    end: usize,
    capacity: usize,
    /// Those of the last step, while the same sequences are under way.
    columns: Option<Columns>,
}

/// The cache of one layer.
#[derive(Debug)]
pub struct LayerCache {
    /// `[B, Hkv, capacity, C]`
    keys: Tensor<4>,
    /// `[B, Hkv, capacity, C]`
    values: Tensor<4>,
    /// The columns of each row in the step under way, the open one last.
    columns: Columns,
}

impl KvCache {
    /// An empty cache of `rows` sequences whose longest prompt has `longest_prompt` tokens and whose longest
    /// sequence fits `capacity` columns.
    pub fn new(
        model: &TextShape,
        rows: usize,
        longest_prompt: usize,
        capacity: usize,
        device: &Device,
        dtype: DType,
    ) -> Self {
        let shape = [rows, model.num_key_value_heads, capacity, model.head_dim];
        let layers = (0..model.num_hidden_layers)
            .map(|_| LayerCache {
                keys: Tensor::zeros(shape, (device, dtype)),
                values: Tensor::zeros(shape, (device, dtype)),
                columns: Columns::new(capacity, 0, []),
            })
            .collect();
        Self { layers, lengths: vec![None; rows], end: longest_prompt.min(capacity), capacity, columns: None }
    }

    /// Rows, free ones included.
    pub fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// Puts a prompt into a free row: keys and values of every layer, each `[P, Hkv, C]`.
    ///
    /// # Panics
    /// If the row does not exist or the prompt is longer than the ring.
    pub fn admit(&mut self, row: usize, prompt: &[KeyValue]) {
        let length = prompt.first().map_or(0, |kv| kv.key.dims()[0]);
        let columns = Columns::new(self.capacity, self.end, [length]);
        for (layer, kv) in self.layers.iter_mut().zip(prompt) {
            let mut from = 0;
            for part in columns.parts(0) {
                let of = |t: &Tensor<3>| t.clone().narrow(0, from, part.len()).swap_dims(0, 1).unsqueeze();
                if !part.is_empty() {
                    layer.write(row..row + 1, part.start, of(&kv.key), of(&kv.value));
                }
                from += part.len();
            }
        }
        self.lengths[row] = Some(length);
        self.columns = None;
    }

    /// Frees a row.
    pub fn release(&mut self, row: usize) {
        self.lengths[row] = None;
    }

    /// Keeps only these rows, in this order.
    pub fn keep(&mut self, rows: &[usize], device: &Device) {
        let index = indices(rows.iter().copied(), device);
        for layer in &mut self.layers {
            layer.replace(|t| t.select(0, index.clone()));
        }
        self.lengths = rows.iter().map(|r| self.lengths[*r]).collect();
        self.columns = None;
    }

    /// Opens the next column for a step.
    ///
    /// # Panics
    /// If a live sequence has outgrown the ring.
    pub fn advance(&mut self) {
        self.end = self.end % self.capacity + 1;
        for length in self.lengths.iter_mut().flatten() {
            *length += 1;
        }
        // A free row computes along, over the open column.
        let columns = match self.columns.take() {
            Some(last) => last.advanced(|row| self.lengths[row].is_some()),
            None => {
                let lengths = self.lengths.iter().map(|length| length.unwrap_or(1));
                Columns::new(self.capacity, self.end, lengths)
            }
        };
        self.columns = Some(columns.clone());
        for layer in &mut self.layers {
            layer.columns = columns.clone();
        }
    }
}

impl LayerCache {
    /// Turns one token for each row, stores it in the open column and attends over all columns of its sequence.
    ///
    /// # Shapes
    /// - output: `[B, H·C]`
    ///
    /// # Panics
    /// If no column was opened.
    pub fn attend(&mut self, token: NewToken) -> Tensor<2> {
        let (keys, values) = (taken(&mut self.keys), taken(&mut self.values));
        let attended;
        (attended, self.keys, self.values) = attend_new(token, keys, values, &self.columns);
        attended
    }

    /// Writes `[rows, Hkv, n, C]` keys and values from `column` on.
    fn write(&mut self, rows: Range<usize>, column: usize, keys: Tensor<4>, values: Tensor<4>) {
        let [_, heads, count, width] = keys.dims();
        let place = [rows, 0..heads, column..column + count, 0..width];
        update(&mut self.keys, |t| t.slice_assign(place.clone(), keys));
        update(&mut self.values, |t| t.slice_assign(place, values));
    }

    fn replace(&mut self, f: impl Fn(Tensor<4>) -> Tensor<4>) {
        update(&mut self.keys, &f);
        update(&mut self.values, &f);
    }
}

/// Changes a tensor in place.
fn update(slot: &mut Tensor<4>, f: impl FnOnce(Tensor<4>) -> Tensor<4>) {
    *slot = f(taken(slot));
}

/// Moves a tensor out, so that who gets it holds the only handle to its memory.
fn taken(slot: &mut Tensor<4>) -> Tensor<4> {
    let nothing = Tensor::empty([1; 4], (&slot.device(), slot.dtype()));
    std::mem::replace(slot, nothing)
}
