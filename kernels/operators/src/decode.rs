//! Attention of one new token in each of several sequences, over a key/value cache.
//!
//! On the CPU in f32 it is one operator, in which a row's result does not depend on the other rows. Elsewhere it is made of
//! others, which read the whole rectangle and mask what is not a sequence's own.
//!
//! Shapes: `B` rows, `H` query heads, `Hkv` key/value heads, `C` width of a head, `L` columns of the cache.

use burn::tensor::activation::softmax;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The columns of each row's sequence in a cache that is a ring: all end where the newest token is, and what begins before
/// the first column begins at the end of the ring.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Columns of each row.
    lengths: Arc<[usize]>,
    /// One more than the newest token's column.
    end: usize,
    capacity: usize,
    /// For the separate operators, made once for all layers. `[B, 1, 1, L]`, 0 or −∞
    mask: Arc<OnceLock<Tensor<4>>>,
}

impl Columns {
    /// The last so many columns of each row before column `end` of a ring of `capacity`.
    ///
    /// # Panics
    /// If `end` or a length is more than the ring has.
    pub fn new(capacity: usize, end: usize, lengths: impl IntoIterator<Item = usize>) -> Self {
        let lengths: Arc<[usize]> = lengths.into_iter().collect();
        assert!(end <= capacity && lengths.iter().all(|&length| length <= capacity), "columns of a ring");
        Self { lengths, end, capacity, mask: Arc::default() }
    }

    /// One more than the newest token's column.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Columns of the longest row.
    #[cfg(feature = "flex")]
    pub(crate) fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(0)
    }

    /// A row's columns, older ones first.
    pub fn parts(&self, row: usize) -> [Range<usize>; 2] {
        let length = self.lengths[row];
        let older = length.saturating_sub(self.end);
        [self.capacity - older..self.capacity, self.end - (length - older)..self.end]
    }

    /// Columns in use by any row: from the first through these.
    fn used(&self) -> usize {
        let wrapped = self.lengths.iter().any(|&length| length > self.end);
        if wrapped { self.capacity } else { self.end }
    }

    fn mask(&self, device: &Device) -> Tensor<4> {
        let mask = self.mask.get_or_init(|| {
            let used = self.used();
            let mut mask = vec![f32::NEG_INFINITY; self.lengths.len() * used];
            for (row, mask) in mask.chunks_exact_mut(used.max(1)).enumerate() {
                for part in self.parts(row) {
                    if !part.is_empty() {
                        mask[part].fill(0.0);
                    }
                }
                // A row without columns reads the last one, so that its numbers are numbers.
                if self.lengths[row] == 0 {
                    mask[used - 1] = 0.0;
                }
            }
            let shape = [self.lengths.len(), 1, 1, used];
            Tensor::from_data(TensorData::new(mask, shape), (device, DType::F32))
        });
        mask.clone()
    }
}

/// `softmax(q·kᵀ / √C)·v` over the columns of each row; a row without columns gives whatever.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use vigos_operators::{Columns, decode_attention};
///
/// let of = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Default, &Device::flex());
/// let query = of([1, 2, 4, 8]).reshape([2, 4, 8]);
/// let (keys, values) = (of([2, 2, 16, 8]), of([2, 2, 16, 8]));
/// // Of 16 columns the first sequence has the last 7 and the first 2, the second has one.
/// assert_eq!(decode_attention(query, &keys, &values, &Columns::new(16, 2, [9, 1])).dims(), [2, 32]);
/// ```
///
/// # Shapes
/// - `query`: `[B, H, C]`; `keys`, `values`: `[B, Hkv, L, C]`, where `Hkv` divides `H`
/// - `columns`: of `B` rows
/// - output: `[B, H·C]`
///
/// # Panics
/// If the columns are not those of `B` rows in a ring of `L`.
pub fn decode_attention(
    query: Tensor<3>,
    keys: &Tensor<4>,
    values: &Tensor<4>,
    columns: &Columns,
) -> Tensor<2> {
    let [rows, _, capacity, _] = keys.dims();
    assert!(columns.lengths.len() == rows && columns.capacity == capacity, "columns of every row");
    #[cfg(feature = "flex")]
    if !query.is_autodiff() && crate::placement::on_flex(&query) && crate::placement::on_flex(keys) {
        return fused::decode_attention(query, keys, values, columns.clone());
    }
    decode_attention_reference(query, keys, values, columns)
}

/// The same made of separate operators.
///
/// # Shapes
/// As [`decode_attention`].
pub fn decode_attention_reference(
    query: Tensor<3>,
    keys: &Tensor<4>,
    values: &Tensor<4>,
    columns: &Columns,
) -> Tensor<2> {
    let ([rows, heads, width], kv_heads, dtype) = (query.dims(), keys.dims()[1], query.dtype());
    let (used, mask) = (columns.used(), columns.mask(&query.device()));
    let in_use = |t: &Tensor<4>| t.clone().narrow(2, 0, used);
    // The query heads that share a key/value head are its query rows. [B, Hkv, H/Hkv, C]
    let query = query.reshape([rows, kv_heads, heads / kv_heads, width]);
    let scores = query.matmul(in_use(keys).transpose()).cast(DType::F32);
    let weights = softmax(scores * (1.0 / (width as f64).sqrt()) + mask, 3);
    weights.cast(dtype).matmul(in_use(values)).reshape([rows, heads * width])
}

#[cfg(feature = "flex")]
pub(crate) mod fused {
    use super::Columns;
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Backend, Dispatch, backend_extension};
    use burn::tensor::Tensor;

    pub(super) fn decode_attention(
        query: Tensor<3>,
        keys: &Tensor<4>,
        values: &Tensor<4>,
        columns: Columns,
    ) -> Tensor<2> {
        let query = query.into_dispatch();
        let (keys, values) = (keys.clone().into_dispatch(), values.clone().into_dispatch());
        let attended = <Dispatch as DecodeBackend>::decode_attend(query, keys, values, columns);
        Tensor::from_dispatch(attended)
    }

    /// A backend with attention over a cache as one operator.
    #[backend_extension(Flex)]
    pub(crate) trait DecodeBackend: Backend {
        /// The output, `[B, H·C]`.
        fn decode_attend(
            query: FloatTensor<Self>,
            keys: FloatTensor<Self>,
            values: FloatTensor<Self>,
            columns: Columns,
        ) -> FloatTensor<Self>;
    }
}
