//! The key/value cache of a batch that decodes together.
//!
//! Sequences are right-aligned: the newest token of every sequence lies in the same column, so a step writes
//! one column and reads one rectangle, whatever the lengths. A sequence's first column is its own; columns
//! before it are not read. Since keys carry their rotary position, a column has no meaning of its own, and a
//! row can be freed, filled with another sequence, or moved to the left without touching the others.
//!
//! `B` rows, `Hkv` key/value heads, `L` columns in use, `C` head width.

use crate::architecture::TextShape;
use crate::rows::indices;
use burn::tensor::{DType, Device, Tensor};
use std::ops::Range;
use vigos_kernels::{Columns, decode_attention};

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
    /// First column of each row's sequence; `None` where the row is free.
    starts: Vec<Option<usize>>,
    /// Columns in use.
    column: usize,
    capacity: usize,
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
                columns: Columns::new([]),
            })
            .collect();
        Self { layers, starts: vec![None; rows], column: longest_prompt, capacity }
    }

    /// Rows, free ones included.
    pub fn rows(&self) -> usize {
        self.starts.len()
    }

    /// Puts a prompt into a free row: keys and values of every layer, each `[P, Hkv, C]`.
    ///
    /// # Panics
    /// If the row does not exist or the prompt is longer than the columns in use.
    pub fn admit(&mut self, row: usize, prompt: Vec<KeyValue>) {
        let length = prompt.first().map_or(0, |kv| kv.key.dims()[0]);
        let start = self.column - length;
        for (layer, kv) in self.layers.iter_mut().zip(prompt) {
            layer.write(
                row..row + 1,
                start,
                kv.key.swap_dims(0, 1).unsqueeze(),
                kv.value.swap_dims(0, 1).unsqueeze(),
            );
        }
        self.starts[row] = Some(start);
    }

    /// Frees a row.
    pub fn release(&mut self, row: usize) {
        self.starts[row] = None;
    }

    /// Keeps only these rows, in this order.
    pub fn keep(&mut self, rows: &[usize], device: &Device) {
        let index = indices(rows.iter().copied(), device);
        for layer in &mut self.layers {
            layer.replace(|t| t.select(0, index.clone()));
        }
        self.starts = rows.iter().map(|r| self.starts[*r]).collect();
    }

    /// Opens the next column for a step, moving everything to the left first if none is free.
    ///
    /// # Panics
    /// If a live sequence has outgrown the capacity.
    pub fn advance(&mut self, longest_prompt: usize, device: &Device) {
        if self.column == self.capacity {
            let first = self.starts.iter().flatten().copied().min().unwrap_or(self.column);
            let shift = first.min(self.column.saturating_sub(longest_prompt));
            assert!(shift > 0, "a sequence outgrew the key/value cache");
            let (kept, capacity) = (self.column - shift, self.capacity);
            for layer in &mut self.layers {
                layer.replace(|t| {
                    let [rows, heads, _, width] = t.dims();
                    let free = Tensor::zeros([rows, heads, capacity - kept, width], (device, t.dtype()));
                    Tensor::cat(vec![t.narrow(2, shift, kept), free], 2)
                });
            }
            for start in self.starts.iter_mut().flatten() {
                *start -= shift;
            }
            self.column = kept;
        }
        let used = self.column + 1;
        // A free row computes along, over the open column.
        let columns = Columns::new(self.starts.iter().map(|start| start.unwrap_or(self.column)..used));
        for layer in &mut self.layers {
            layer.columns = columns.clone();
        }
        self.column = used;
    }
}

impl LayerCache {
    /// Stores one token for each row in the open column and attends over all columns of its sequence.
    ///
    /// # Shapes
    /// - `query`: `[B, H, C]`; `new`: `[B, Hkv, C]` each
    /// - output: `[B, H·C]`
    ///
    /// # Panics
    /// If no column was opened.
    pub fn attend(&mut self, query: Tensor<3>, new: KeyValue) -> Tensor<2> {
        let open = self.columns.end().checked_sub(1).expect("a column is opened before a step");
        self.write(0..query.dims()[0], open, new.key.unsqueeze_dim(2), new.value.unsqueeze_dim(2));
        decode_attention(query, &self.keys, &self.values, &self.columns)
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

/// Changes a tensor in place: it is moved out and back, so that `f` holds the only handle to its memory.
fn update(slot: &mut Tensor<4>, f: impl FnOnce(Tensor<4>) -> Tensor<4>) {
    let nothing = Tensor::empty([1; 4], (&slot.device(), slot.dtype()));
    *slot = f(std::mem::replace(slot, nothing));
}
