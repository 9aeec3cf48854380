//! The text of a token, for people.

/// The text of a token's bytes: those that are no UTF-8 stand as `⟨E2⟩`, so that half a character is seen for what it is.
///
/// ```
/// use vigos_recording::piece;
///
/// assert_eq!(piece(b" cup"), " cup");
/// assert_eq!(piece(&[b'a', 0xe2, 0x98]), "a⟨E2⟩⟨98⟩");
/// ```
pub fn piece(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("⟨{byte:02X}⟩")));
    }
    text
}
