//! What git keeps in the place of a large file where git-lfs was not there to fetch it.

/// How every such file begins.
const START: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What to do about one.
pub const ADVICE: &str = "fetch the file itself with `git lfs pull`, or name the repository as hf:ORG/NAME";

/// Whether a file that begins with these bytes is a Git LFS pointer.
///
/// ```
/// assert!(vigos_core::pointer::is_pointer(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n"));
/// assert!(!vigos_core::pointer::is_pointer(b"version 2"));
/// ```
pub fn is_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(START)
}
