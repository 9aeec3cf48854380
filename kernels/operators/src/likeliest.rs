//! The highest logits of each row, read back in the place of a whole vocabulary.
//!
//! On CubeCL's runtimes it is one launch and one read of some hundred bytes a row. Elsewhere there is none: where the host has
//! the logits at hand, it looks at them itself.

use burn::tensor::Tensor;
use vigos_devices::DeviceError;
#[cfg(feature = "cube")]
use vigos_devices::read;

/// All tokens of a row whose logit is at least its k-th highest.
#[derive(Clone, Debug, PartialEq)]
pub struct Likeliest {
    /// Tokens and logits, by ascending token.
    pub tokens: Vec<(u32, f32)>,
    /// ln Σ exp(logit) over the whole vocabulary, summed in f32: within 1e-5 of f64's.
    pub log_sum: f32,
}

/// Those of each row of `logits`, `[R, V]`; `None` where the device has no operator for it, or a row has a logit that is
/// +∞ or no number, or none that is finite, or so many that equal its k-th highest that they were not all kept.
///
/// # Errors
/// If the device fails.
#[cfg_attr(not(feature = "cube"), allow(unused_variables))]
pub fn likeliest(logits: &Tensor<2>, k: usize) -> Result<Option<Vec<Likeliest>>, DeviceError> {
    #[cfg(feature = "cube")]
    if logits.dtype() == burn::tensor::DType::F32 && crate::placement::is_on_cube(logits) {
        let room = k + EQUALS;
        let found = read::<i32, 2, _>(fused::likeliest(logits.clone(), k, room))?;
        let row = |found: &[i32]| {
            let [count, log_sum, broken, rest @ ..] = found else { return None };
            let count =
                usize::try_from(*count).ok().filter(|count| (1..=room).contains(count) && *broken == 0)?;
            let (tokens, logits) = rest.split_at_checked(room)?;
            let float = |bits: i32| f32::from_bits(bits as u32);
            let tokens = tokens.iter().zip(logits).take(count);
            let tokens = tokens.map(|(&token, &logit)| (token as u32, float(logit))).collect();
            Some(Likeliest { tokens, log_sum: float(*log_sum) })
        };
        return Ok(found.chunks_exact(vigos_cubes::likeliest::HEAD + 2 * room).map(row).collect());
    }
    Ok(None)
}

/// Tokens that may equal the k-th and are kept as well.
#[cfg(feature = "cube")]
const EQUALS: usize = 12;

#[cfg(feature = "cube")]
pub(crate) mod fused {
    #[cfg(feature = "fusion")]
    use burn::backend::fusion::custom::TensorSpec;
    use burn::backend::tensor::{FloatTensor, IntTensor};
    use burn::backend::{Backend, Dispatch, backend_extension};
    #[cfg(feature = "fusion")]
    use burn::tensor::{DType, Shape};
    use burn::tensor::{Int, Tensor};

    pub(super) fn likeliest(logits: Tensor<2>, k: usize, room: usize) -> Tensor<2, Int> {
        Tensor::from_dispatch(<Dispatch as LikeliestBackend>::likeliest(logits.into_dispatch(), k, room))
    }

    /// A backend with the search as one operator.
    #[backend_extension(Cube, Fusion: cfg(feature = "fusion"))]
    pub(crate) trait LikeliestBackend: Backend {
        /// See [`vigos_cubes::likeliest::likeliest`].
        #[fusion(meta = |logits, _k, room| found(logits, *room))]
        fn likeliest(logits: FloatTensor<Self>, k: usize, room: usize) -> IntTensor<Self>;
    }

    #[cfg(feature = "fusion")]
    fn found(logits: &TensorSpec, room: usize) -> TensorSpec {
        let columns = vigos_cubes::likeliest::HEAD + 2 * room;
        TensorSpec::new(Shape::from([logits.shape[0], columns]), DType::I32)
    }
}
