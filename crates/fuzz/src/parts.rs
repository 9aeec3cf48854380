//! Bytes as several inputs.

/// The pieces of a text between zero bytes, the last one with all that is left; what is missing is empty.
pub(crate) fn texts<const N: usize>(data: &[u8]) -> [String; N] {
    let mut pieces = data.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| String::from_utf8_lossy(pieces.next().unwrap_or_default()).into_owned())
}

/// A piece with its length before it in two bytes, the lower one first, and what follows it.
#[cfg(feature = "models")]
pub(crate) fn measured(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = data.split_first_chunk() else { return (data, &[]) };
    rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()))
}

/// Whether a message is one line and no page.
pub(crate) fn is_a_line(message: &str) -> bool {
    !message.contains(['\n', '\r']) && message.len() < 8000
}
