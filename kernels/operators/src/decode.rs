//! Attention of one new token in each of several sequences, over a key/value cache.
//!
//! On the CPU in f32, and on CubeCL's runtimes, it is one operator, in which a row's result does not depend on the other rows.
//! Elsewhere it is made of others, which read the whole rectangle and mask what is not a sequence's own.
//!
//! Shapes: `B` rows, `H` query heads, `Hkv` key/value heads, `C` width of a head, `L` columns of the cache.

use crate::rotary::rotate;
use burn::tensor::activation::softmax;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use vigos_devices::send;

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
    /// For CubeCL's runtimes: each row's place when it was sent, for all layers and for the tokens that follow.
    #[cfg(feature = "cube")]
    table: Arc<crate::table::Table>,
    /// Tokens that every row has had since.
    #[cfg(feature = "cube")]
    since: usize,
}

impl Columns {
    /// The last so many columns of each row before column `end` of a ring of `capacity`.
    ///
    /// # Panics
    /// If `end` or a length is more than the ring has.
    pub fn new(capacity: usize, end: usize, lengths: impl IntoIterator<Item = usize>) -> Self {
        let lengths: Arc<[usize]> = lengths.into_iter().collect();
        assert!(end <= capacity && lengths.iter().all(|&length| length <= capacity), "columns of a ring");
        Self {
            lengths,
            end,
            capacity,
            mask: Arc::default(),
            #[cfg(feature = "cube")]
            table: Arc::default(),
            #[cfg(feature = "cube")]
            since: 0,
        }
    }

    /// The same with the next column of the ring open: one more for the rows that are `live`; the others have it alone, or
    /// whatever their operator reads.
    ///
    /// # Panics
    /// If a live row has no more room.
    #[must_use]
    pub fn advanced(&self, live: impl Fn(usize) -> bool) -> Self {
        let longer = |(row, length): (usize, &usize)| if live(row) { length + 1 } else { 1 };
        let lengths: Arc<[usize]> = self.lengths.iter().enumerate().map(longer).collect();
        assert!(lengths.iter().all(|&length| length <= self.capacity), "columns of a ring");
        Self {
            lengths,
            end: self.end % self.capacity.max(1) + 1,
            capacity: self.capacity,
            mask: Arc::default(),
            #[cfg(feature = "cube")]
            table: self.table.clone(),
            #[cfg(feature = "cube")]
            since: self.since + 1,
        }
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

    /// The table of [`Self::places`] when it was sent, and the tokens that every row has had since.
    #[cfg(feature = "cube")]
    pub(crate) fn table(&self) -> (&crate::table::Table, usize) {
        (&self.table, self.since)
    }

    /// The first column of every row and how many it had when the table was made. `[B, 2]`
    #[cfg(feature = "cube")]
    pub(crate) fn places(&self) -> Vec<i32> {
        let of_row = |&length: &usize| {
            let start = (self.end + self.capacity - length) % self.capacity.max(1);
            [start as i32, (length as i32 - self.since as i32).max(0)]
        };
        self.lengths.iter().flat_map(of_row).collect()
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
            send(TensorData::new(mask, shape), device, DType::F32)
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
    #[cfg(any(feature = "flex", feature = "cube"))]
    if !query.is_autodiff()
        && [keys, values].into_iter().all(|x| x.dtype() == query.dtype())
        && crate::placement::is_fused(&query)
    {
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

/// A token that is new in each sequence of a cache, query and key before the rotary embedding.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    /// `[B, H, C]`
    pub query: Tensor<3>,
    /// `[B, Hkv, C]`
    pub key: Tensor<3>,
    /// `[B, Hkv, C]`
    pub value: Tensor<3>,
    /// Cosine and sine of each row's angles, `[B, 1, C/2]` in f32.
    pub rotary: [&'a Tensor<3>; 2],
}

/// Turns query and key, stores key and value in the open column, and attends over the columns of each row. The output, and
/// both halves of the cache, in place where nobody else holds them. On CubeCL's runtimes it is one launch.
///
/// # Shapes
/// - `keys`, `values`: `[B, Hkv, L, C]`; `columns`: of `B` rows, the open one their last
/// - output: `[B, H·C]`
///
/// # Panics
/// If no column is open.
pub fn attend_new(
    token: NewToken,
    keys: Tensor<4>,
    values: Tensor<4>,
    columns: &Columns,
) -> (Tensor<2>, Tensor<4>, Tensor<4>) {
    #[cfg(feature = "cube")]
    if !token.query.is_autodiff()
        && [&keys, &values].into_iter().all(|x| x.dtype() == token.query.dtype())
        && crate::placement::is_on_cube(&token.query)
    {
        return fused::attend_new(token, keys, values, columns.clone());
    }
    let open = columns.end().checked_sub(1).expect("a column is opened before a step");
    let NewToken { query, key, value, rotary: [cos, sin] } = token;
    let [rows, heads, width] = key.dims();
    let place = [0..rows, 0..heads, open..open + 1, 0..width];
    let keys = keys.slice_assign(place.clone(), rotate(key, cos, sin).unsqueeze_dim(2));
    let values = values.slice_assign(place, value.unsqueeze_dim(2));
    let attended = decode_attention(rotate(query, cos, sin), &keys, &values, columns);
    (attended, keys, values)
}

#[cfg(any(feature = "flex", feature = "cube"))]
pub(crate) mod fused {
    use super::Columns;
    #[cfg(feature = "fusion")]
    use crate::attention::fused::heads_together;
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
    #[backend_extension(Cube: cfg(feature = "cube"), Flex: cfg(feature = "flex"), Fusion: cfg(feature = "fusion"))]
    pub(crate) trait DecodeBackend: Backend {
        /// The output, `[B, H·C]`.
        #[fusion(meta = |query, _keys, _values, _columns| heads_together(query))]
        fn decode_attend(
            query: FloatTensor<Self>,
            keys: FloatTensor<Self>,
            values: FloatTensor<Self>,
            columns: Columns,
        ) -> FloatTensor<Self>;
    }

    #[cfg(feature = "cube")]
    pub(super) fn attend_new(
        token: super::NewToken,
        keys: Tensor<4>,
        values: Tensor<4>,
        columns: Columns,
    ) -> (Tensor<2>, Tensor<4>, Tensor<4>) {
        let super::NewToken { query, key, value, rotary } = token;
        let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
        let [cos, sin] = rotary.map(|table| table.clone().into_dispatch());
        let (keys, values) = (keys.into_dispatch(), values.into_dispatch());
        let (attended, keys, values) =
            <Dispatch as StepBackend>::attend_new(query, key, value, cos, sin, keys, values, columns);
        (Tensor::from_dispatch(attended), Tensor::from_dispatch(keys), Tensor::from_dispatch(values))
    }

    /// A backend with rotation, storing and attention of a new token as one operator.
    #[cfg(feature = "cube")]
    #[allow(clippy::too_many_arguments)] // A backend's operator takes its tensors one by one.
    #[backend_extension(Cube, Fusion: cfg(feature = "fusion"))]
    pub(crate) trait StepBackend: Backend {
        /// The output, `[B, H·C]`, keys and values.
        #[fusion(meta = |query, _key, _value, _cos, _sin, keys, values, _columns| {
            (heads_together(query), keys.clone(), values.clone())
        })]
        fn attend_new(
            query: FloatTensor<Self>,
            key: FloatTensor<Self>,
            value: FloatTensor<Self>,
            cos: FloatTensor<Self>,
            sin: FloatTensor<Self>,
            keys: FloatTensor<Self>,
            values: FloatTensor<Self>,
            columns: Columns,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    }
}
