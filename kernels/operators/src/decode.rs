//! Attention of one new token in each of several sequences, over a key/value cache.
//!
//! On the CPU in f32 it is one operator, in which a row's result does not depend on the other rows. Elsewhere it is made of
//! others, which read the whole rectangle and mask what lies before a sequence's first column.
//!
//! Shapes: `B` rows, `H` query heads, `Hkv` key/value heads, `C` width of a head, `L` columns of the cache.

use burn::tensor::activation::softmax;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The columns of each row's sequence in a cache: all end where the newest token is.
#[derive(Clone, Debug)]
pub struct Columns {
    rows: Arc<[Range<usize>]>,
    /// For the separate operators, made once for all layers. `[B, 1, 1, L]`, 0 or −∞
    mask: Arc<OnceLock<Tensor<4>>>,
}

impl Columns {
    /// Columns of these rows.
    ///
    /// # Panics
    /// If they do not end together.
    pub fn new(rows: impl IntoIterator<Item = Range<usize>>) -> Self {
        let rows: Arc<[Range<usize>]> = rows.into_iter().collect();
        let end = rows.first().map_or(0, |row| row.end);
        assert!(rows.iter().all(|row| row.end == end && row.start <= end), "columns that end together");
        Self { rows, mask: Arc::default() }
    }

    /// Where they end.
    pub fn end(&self) -> usize {
        self.rows.first().map_or(0, |row| row.end)
    }

    fn mask(&self, device: &Device) -> Tensor<4> {
        let mask = self.mask.get_or_init(|| {
            let end = self.end();
            let mask: Vec<f32> = self
                .rows
                .iter()
                // A row without columns reads the last one, so that its numbers are numbers.
                .map(|columns| columns.start.min(end.saturating_sub(1)))
                .flat_map(|first| (0..end).map(move |c| if c < first { f32::NEG_INFINITY } else { 0.0 }))
                .collect();
            Tensor::from_data(TensorData::new(mask, [self.rows.len(), 1, 1, end]), (device, DType::F32))
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
/// // The first sequence has 9 columns so far, the second one.
/// assert_eq!(decode_attention(query, &keys, &values, &Columns::new([0..9, 8..9])).dims(), [2, 32]);
/// ```
///
/// # Shapes
/// - `query`: `[B, H, C]`; `keys`, `values`: `[B, Hkv, L, C]`, where `Hkv` divides `H`
/// - `columns`: of `B` rows
/// - output: `[B, H·C]`
///
/// # Panics
/// If the columns are not those of `B` rows within `L`.
pub fn decode_attention(
    query: Tensor<3>,
    keys: &Tensor<4>,
    values: &Tensor<4>,
    columns: &Columns,
) -> Tensor<2> {
    let [rows, _, capacity, _] = keys.dims();
    assert!(columns.rows.len() == rows && columns.end() <= capacity, "columns of every row");
    #[cfg(feature = "flex")]
    if !query.is_autodiff() && crate::placement::on_flex(&query) && crate::placement::on_flex(keys) {
        return fused::decode_attention(query, keys, values, columns.rows.clone());
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
    let (used, mask) = (columns.end(), columns.mask(&query.device()));
    let in_use = |t: &Tensor<4>| t.clone().narrow(2, 0, used);
    // The query heads that share a key/value head are its query rows. [B, Hkv, H/Hkv, C]
    let query = query.reshape([rows, kv_heads, heads / kv_heads, width]);
    let scores = query.matmul(in_use(keys).transpose()).cast(DType::F32);
    let weights = softmax(scores * (1.0 / (width as f64).sqrt()) + mask, 3);
    weights.cast(dtype).matmul(in_use(values)).reshape([rows, heads * width])
}

#[cfg(feature = "flex")]
pub(crate) mod fused {
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Backend, Dispatch, backend_extension};
    use burn::tensor::Tensor;
    use std::ops::Range;
    use std::sync::Arc;

    pub(super) fn decode_attention(
        query: Tensor<3>,
        keys: &Tensor<4>,
        values: &Tensor<4>,
        columns: Arc<[Range<usize>]>,
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
            columns: Arc<[Range<usize>]>,
        ) -> FloatTensor<Self>;
    }
}
