//! Whole numbers as Parquet writes them in its headers and before its lengths: seven bits a byte, the lowest first.

/// The number whose bytes `next` hands out, or none if it has more than 64 bits.
pub(super) fn unsigned<E>(mut next: impl FnMut() -> Result<u8, E>) -> Result<Option<u64>, E> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The number of either sign that is written as this one: 0, -1, 1, -2 and so on.
pub(super) fn signed(zigzag: u64) -> i64 {
    (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
}
