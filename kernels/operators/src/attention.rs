//! Attention over packed sequences.
//!
//! There is no batch axis and no padding: sequences lie one after another, and [`Segments`] says where each one ends.
//! Several may go on from one beginning, which is there once. Query heads may share key/value heads. Softmax and sums are f32.
//!
//! On the CPU in f32, and on CubeCL's runtimes, it is one operator, whose memory grows with the length and not with its
//! square: the forward keeps the output and the log-sum-exp of every row, the backward works out the weights again, tile by
//! tile (FlashAttention-2, arXiv 2307.08691). Elsewhere it is the backend's own attention, which under autodiff is made of
//! separate operators.
//!
//! Shapes: `T` rows, `H` query heads, `Hkv` key/value heads, `C` width of a head.

use burn::tensor::module::attention as scaled_dot_product;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Tensor, TensorData};
use std::ops::Range;
use std::sync::Arc;
use vigos_devices::send;

/// A sequence in a packed batch, or the beginning that some of them share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its rows.
    pub rows: Range<usize>,
    /// The rows of the segment that it goes on from, all of which its rows read as well; empty where it begins a
    /// sequence.
    pub before: Range<usize>,
}

/// Which rows of a packed batch read each other.
#[derive(Clone, Debug)]
pub struct Segments {
    segments: Arc<[Segment]>,
    /// For CubeCL's runtimes: which rows a row reads, full and causal, sent once for all layers.
    #[cfg(feature = "cube")]
    tables: Arc<[crate::table::Table; 2]>,
}

impl Segments {
    /// Sequences of these lengths, one after another; empty ones are left out.
    pub fn new(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut end = 0;
        let rows = lengths.into_iter().map(|length| {
            end += length;
            Segment { rows: end - length..end, before: 0..0 }
        });
        Self::of(rows.filter(|segment| !segment.rows.is_empty()).collect())
    }

    /// These segments. They cover the rows of the batch in order, and what one goes on from is a segment before it
    /// that itself begins a sequence.
    ///
    /// # Panics
    /// If that is not so.
    pub fn sharing(segments: impl IntoIterator<Item = Segment>) -> Self {
        let segments: Arc<[Segment]> =
            segments.into_iter().filter(|segment| !segment.rows.is_empty()).collect();
        let mut end = 0;
        for (number, Segment { rows, before }) in segments.iter().enumerate() {
            let begins = |s: &Segment| s.rows == *before && s.before.is_empty();
            assert!(rows.start == end, "segments cover the rows in order");
            assert!(
                before.is_empty() || segments[..number].iter().any(begins),
                "a segment goes on from another"
            );
            end = rows.end;
        }
        Self::of(segments)
    }

    fn of(segments: Arc<[Segment]>) -> Self {
        Self {
            segments,
            #[cfg(feature = "cube")]
            tables: Arc::default(),
        }
    }

    /// Rows in all segments.
    pub fn rows(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.rows.end)
    }

    /// The segments, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter()
    }

    #[cfg(feature = "cube")]
    pub(crate) fn table(&self, is_causal: bool) -> &crate::table::Table {
        &self.tables[usize::from(is_causal)]
    }

    /// For each row, the rows that it reads, before its own segment and within it, and a range in which all are that read
    /// it, each as a start and an end. `[T, 6]`
    #[cfg(feature = "cube")]
    pub(crate) fn ranges(&self, is_causal: bool) -> Vec<i32> {
        let mut ranges = Vec::with_capacity(self.rows() * vigos_cubes::attention::RANGES);
        for Segment { rows, before } in self.iter() {
            let readers = self.iter().filter(|other| !other.before.is_empty() && other.before == *rows);
            let last = readers.map(|other| other.rows.end).max().unwrap_or(rows.end);
            for row in rows.clone() {
                let end = if is_causal { row + 1 } else { rows.end };
                let first = if is_causal { row } else { rows.start };
                ranges.extend([before.start, before.end, rows.start, end, first, last].map(|n| n as i32));
            }
        }
        ranges
    }

    /// Runs of neighbours of one length that begin sequences, each of which is one batched attention, and segments that
    /// go on from another by themselves.
    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for Segment { rows, before } in self.iter() {
            match runs.last_mut() {
                Some(run) if run.length == rows.len() && run.before.is_empty() && before.is_empty() => {
                    run.count += 1;
                }
                _ => {
                    runs.push(Run { start: rows.start, count: 1, length: rows.len(), before: before.clone() })
                }
            }
        }
        runs
    }
}

/// Neighbouring segments of one length.
struct Run {
    start: usize,
    count: usize,
    length: usize,
    before: Range<usize>,
}

/// `softmax(q·kᵀ / √C)·v` within each segment. Differentiable with respect to all three.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use vigos_operators::{Segments, attention};
///
/// let of = |heads| Tensor::<3>::random([5, heads, 8], Distribution::Default, &Device::flex());
/// let (query, key, value) = (of(4), of(2), of(2));
/// let found = attention(query, key, value, &Segments::new([3, 2]), true);
/// assert_eq!(found.dims(), [5, 32]);
/// ```
///
/// # Shapes
/// - `query`: `[T, H, C]`
/// - `key`, `value`: `[T, Hkv, C]`, where `Hkv` divides `H`
/// - output: `[T, H·C]`
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    segments: &Segments,
    is_causal: bool,
) -> Tensor<2> {
    #[cfg(any(feature = "flex", feature = "cube"))]
    if [&key, &value].into_iter().all(|x| x.dtype() == query.dtype()) && crate::placement::is_fused(&query) {
        return fused::attention(query, key, value, segments, is_causal);
    }
    attention_reference(query, key, value, segments, is_causal)
}

/// The same by the backend's own attention.
///
/// # Shapes
/// As [`attention`].
pub fn attention_reference(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    segments: &Segments,
    is_causal: bool,
) -> Tensor<2> {
    let ([_, heads, width], dtype) = (query.dims(), query.dtype());
    let options = AttentionModuleOptions { is_causal, ..Default::default() };
    // A backend's own attention has its softmax in f32. Under autodiff it is made of separate operators, and has it
    // in the precision of its inputs.
    if query.is_autodiff() && dtype != DType::F32 {
        let [query, key, value] = [query, key, value].map(|x| x.cast(DType::F32));
        return attention_reference(query, key, value, segments, is_causal).cast(dtype);
    }
    let outputs = segments
        .runs()
        .into_iter()
        .map(|Run { start, count, length, before }| {
            // [count·length, h, C] -> [count, H, length, C]
            let batched = |x: Tensor<3>| {
                let (kept, length) = (x.dims()[1], x.dims()[0] / count);
                let x = x.reshape([count, length, kept, width]).swap_dims(1, 2);
                if kept == heads {
                    return x;
                }
                x.unsqueeze_dim::<5>(2)
                    .expand([count, kept, heads / kept, length, width])
                    .reshape([count, heads, length, width])
            };
            let own = |x: &Tensor<3>| x.clone().narrow(0, start, count * length);
            let attended = if before.is_empty() {
                let [query, key, value] = [&query, &key, &value].map(|x| batched(own(x)));
                scaled_dot_product(query, key, value, None, None, options)
            } else {
                let read = |x: &Tensor<3>| {
                    let before = x.clone().narrow(0, before.start, before.len());
                    batched(Tensor::cat(vec![before, own(x)], 0))
                };
                let unmasked = AttentionModuleOptions::default();
                let bias = is_causal.then(|| later(before.len(), length, heads, &query));
                scaled_dot_product(batched(own(&query)), read(&key), read(&value), None, bias, unmasked)
            };
            attended.swap_dims(1, 2).reshape([count * length, heads * width])
        })
        .collect();
    Tensor::cat(outputs, 0)
}

/// −∞ where a key comes after its query, of `length` rows behind `before`. `[1, H, length, before + length]`
fn later(before: usize, length: usize, heads: usize, like: &Tensor<3>) -> Tensor<4> {
    let across = before + length;
    let values: Vec<f32> = (0..length * across)
        .map(|i| if i % across > before + i / across { f32::NEG_INFINITY } else { 0.0 })
        .collect();
    let device = if like.is_autodiff() { like.clone().inner().device() } else { like.device() };
    let bias: Tensor<4> = send(TensorData::new(values, [1, 1, length, across]), &device, like.dtype());
    let bias = bias.expand([1, heads, length, across]);
    if like.is_autodiff() { Tensor::from_inner(bias) } else { bias }
}

#[cfg(any(feature = "flex", feature = "cube"))]
#[allow(clippy::too_many_arguments)] // A backend's operator takes its tensors one by one.
pub(crate) mod fused {
    use super::Segments;
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    #[cfg(feature = "fusion")]
    use burn::backend::fusion::custom::TensorSpec;
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, backend_extension};
    use burn::tensor::Tensor;
    #[cfg(feature = "fusion")]
    use burn::tensor::{DType, Shape};

    pub(super) fn attention(
        query: Tensor<3>,
        key: Tensor<3>,
        value: Tensor<3>,
        segments: &Segments,
        is_causal: bool,
    ) -> Tensor<2> {
        let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
        let attended = <Dispatch as AttentionBackend>::attend(query, key, value, segments.clone(), is_causal);
        Tensor::from_dispatch(attended)
    }

    /// A backend with attention over packed sequences as one operator.
    #[backend_extension(
        Cube: cfg(feature = "cube"),
        Flex: cfg(feature = "flex"),
        Autodiff,
        Fusion: cfg(feature = "fusion")
    )]
    pub(crate) trait AttentionBackend: Backend {
        /// The output, `[T, H·C]`, differentiable.
        #[fusion(meta = |query, _key, _value, _segments, _is_causal| heads_together(query))]
        fn attend(
            query: FloatTensor<Self>,
            key: FloatTensor<Self>,
            value: FloatTensor<Self>,
            segments: Segments,
            is_causal: bool,
        ) -> FloatTensor<Self>;

        /// The output, and the log-sum-exp of every row and head, `[T, H]`.
        #[fusion(meta = |query, _key, _value, _segments, _is_causal| (heads_together(query), of_heads(query)))]
        fn attend_kept(
            query: FloatTensor<Self>,
            key: FloatTensor<Self>,
            value: FloatTensor<Self>,
            segments: Segments,
            is_causal: bool,
        ) -> (FloatTensor<Self>, FloatTensor<Self>);

        /// The gradients of query, key and value.
        #[fusion(meta = |query, key, value, _output, _log_sums, _upstream, _segments, _is_causal| {
            (query.clone(), key.clone(), value.clone())
        })]
        fn attend_back(
            query: FloatTensor<Self>,
            key: FloatTensor<Self>,
            value: FloatTensor<Self>,
            output: FloatTensor<Self>,
            log_sums: FloatTensor<Self>,
            upstream: FloatTensor<Self>,
            segments: Segments,
            is_causal: bool,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    }

    /// `[T, H, C]` as `[T, H·C]`.
    #[cfg(feature = "fusion")]
    pub(crate) fn heads_together(query: &TensorSpec) -> TensorSpec {
        let [rows, heads, width] = [0, 1, 2].map(|axis| query.shape[axis]);
        TensorSpec::new(Shape::from([rows, heads * width]), query.dtype)
    }

    /// `[T, H]` in f32.
    #[cfg(feature = "fusion")]
    fn of_heads(query: &TensorSpec) -> TensorSpec {
        TensorSpec::new(Shape::from([query.shape[0], query.shape[1]]), DType::F32)
    }

    /// What the backward needs.
    #[derive(Clone, Debug)]
    struct Kept<T> {
        /// Query, key and value.
        inputs: [T; 3],
        output: T,
        log_sums: T,
        segments: Segments,
        is_causal: bool,
    }

    impl<B: AttentionBackend, C: CheckpointStrategy> AttentionBackend for Autodiff<B, C> {
        fn attend(
            query: FloatTensor<Self>,
            key: FloatTensor<Self>,
            value: FloatTensor<Self>,
            segments: Segments,
            is_causal: bool,
        ) -> FloatTensor<Self> {
            #[derive(Debug)]
            struct AttentionBackward;

            impl<B: AttentionBackend> Backward<B, 3> for AttentionBackward {
                type State = Kept<FloatTensor<B>>;

                fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
                    let parents = ops.parents;
                    let upstream = gradients.consume::<B>(&ops.node);
                    let Kept { inputs: [query, key, value], output, log_sums, segments, is_causal } =
                        ops.state;
                    let (of_query, of_key, of_value) =
                        B::attend_back(query, key, value, output, log_sums, upstream, segments, is_causal);
                    for (parent, gradient) in parents.into_iter().zip([of_query, of_key, of_value]) {
                        if let Some(parent) = parent {
                            gradients.register::<B>(parent.id, gradient);
                        }
                    }
                }
            }

            let nodes = [query.node(), key.node(), value.node()];
            let inputs = [query, key, value].map(Self::FloatTensorPrimitive::into_primitive);
            let [query, key, value] = inputs.clone();
            match AttentionBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(step) => {
                    let (output, log_sums) = B::attend_kept(query, key, value, segments.clone(), is_causal);
                    let kept = Kept { inputs, output: output.clone(), log_sums, segments, is_causal };
                    step.finish(kept, output)
                }
                OpsKind::UnTracked(step) => step.finish(B::attend(query, key, value, segments, is_causal)),
            }
        }

        fn attend_kept(
            query: FloatTensor<Self>,
            key: FloatTensor<Self>,
            value: FloatTensor<Self>,
            segments: Segments,
            is_causal: bool,
        ) -> (FloatTensor<Self>, FloatTensor<Self>) {
            let [query, key, value] = [query, key, value].map(Self::FloatTensorPrimitive::into_primitive);
            let (output, log_sums) = B::attend_kept(query, key, value, segments, is_causal);
            (Self::from_inner(output), Self::from_inner(log_sums))
        }

        fn attend_back(
            query: FloatTensor<Self>,
            key: FloatTensor<Self>,
            value: FloatTensor<Self>,
            output: FloatTensor<Self>,
            log_sums: FloatTensor<Self>,
            upstream: FloatTensor<Self>,
            segments: Segments,
            is_causal: bool,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            let [query, key, value, output, log_sums, upstream] =
                [query, key, value, output, log_sums, upstream]
                    .map(Self::FloatTensorPrimitive::into_primitive);
            let (of_query, of_key, of_value) =
                B::attend_back(query, key, value, output, log_sums, upstream, segments, is_causal);
            (Self::from_inner(of_query), Self::from_inner(of_key), Self::from_inner(of_value))
        }
    }
}
