//! Tensors that are none of a model's weights: harmless ones, quantised ones, and a copy of a tied head.

use super::stored::Stored;
use crate::error::ModelError;
use safetensors::Dtype;
use std::io::Read;
use vigos_core::text::one_line;

/// Values that are compared at a time.
const CHUNK: usize = 1 << 18;

/// Whether a tensor is none of a model's numbers: rotary frequencies that older savers wrote, which follow from the
/// configuration, and the value head that reinforcement learning puts beside a model.
pub(super) fn is_stranger(name: &str) -> bool {
    name.ends_with("inv_freq")
        || ["v_head.", "value_head.", "score."].iter().any(|head| name.starts_with(head))
}

/// What tensors of quantised layers are called at their ends, and by whom. `weight_scale` has many users.
const QUANTISED: [(&str, &str); 13] = [
    (".qweight", "GPTQ or AWQ"),
    (".qzeros", "GPTQ or AWQ"),
    (".scales", "GPTQ or AWQ"),
    (".g_idx", "GPTQ"),
    (".absmax", "bitsandbytes"),
    (".quant_map", "bitsandbytes"),
    (".SCB", "bitsandbytes"),
    (".weight_format", "bitsandbytes"),
    (".weight_packed", "compressed-tensors"),
    (".weight_scale", "FP8 or compressed-tensors"),
    (".weight_scale_inv", "FP8"),
    (".weight_scale_2", "NVFP4"),
    (".weight_zero_point", "compressed-tensors"),
];

/// Refuses a tensor that shows that weights are quantised, whatever the configuration says.
///
/// # Errors
/// If it does.
pub(super) fn is_not_quantised(stored: &Stored) -> Result<(), ModelError> {
    let name = stored.name.as_str();
    let by_name = QUANTISED.iter().find(|(end, _)| name.ends_with(end)).map(|(_, method)| *method);
    let by_name = by_name.or_else(|| name.contains(".quant_state.").then_some("bitsandbytes"));
    let by_type = || format!("{:?}", stored.dtype).starts_with('F') && stored.dtype.bitsize() <= 8;
    let method = match by_name {
        Some(method) => method.to_owned(),
        None if by_type() => format!("{:?}", stored.dtype),
        None => return Ok(()),
    };
    let found = format!("a model that is quantised by {method} (tensor `{}`)", one_line(name, 120));
    Err(ModelError::Quantised { path: stored.file.clone(), found })
}

/// Whether two tensors hold the same numbers. They are read a part at a time.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn are_equal(one: &Stored, other: &Stored) -> Result<bool, ModelError> {
    if one.shape != other.shape || one.float().is_none() || other.float().is_none() {
        return Ok(false);
    }
    let (mut reader, mut second) = (one.open()?, other.open()?);
    let values = one.shape.iter().product::<usize>();
    for start in (0..values).step_by(CHUNK) {
        let count = CHUNK.min(values - start);
        let (a, b) = (part(one, &mut reader, count)?, part(other, &mut second, count)?);
        let same = match one.dtype == other.dtype {
            true => a == b,
            false => numbers(one.dtype, &a) == numbers(other.dtype, &b),
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The bytes of the next `count` values.
fn part(stored: &Stored, reader: &mut impl Read, count: usize) -> Result<Vec<u8>, ModelError> {
    let mut bytes = vec![0; count * stored.bytes_per_value()];
    reader.read_exact(&mut bytes).map_err(|source| stored.failed(source))?;
    Ok(bytes)
}

/// The numbers in bytes of one of the types that weights may have.
fn numbers(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    let halves = bytes.as_chunks::<2>().0;
    match dtype {
        Dtype::BF16 => halves.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::F16 => halves.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
        _ => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    }
}
