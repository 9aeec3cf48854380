//! Why a file is not decoded.

/// Why a file is not decoded. None of them says that nobody else can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JpegError {
    /// Something ends before all of it is there.
    #[error("{0}: found its end, wanted more of it")]
    Short(&'static str),
    /// Something has a value that it cannot have.
    #[error("found {0}: the file is damaged")]
    Damaged(&'static str),
    /// The file is of a kind that is not decoded here.
    #[error("found {0}, wanted Huffman-coded samples of 8 bits, grey, coloured or of four inks")]
    Unsupported(&'static str),
    /// The image is not of the size that the caller was told.
    #[error("found {} by {} pixels, wanted {} by {}", found.0, found.1, wanted.0, wanted.1)]
    Size {
        /// Width and height in the file.
        found: (usize, usize),
        /// Width and height that the caller named.
        wanted: (usize, usize),
    },
}

/// A result of this crate.
pub(crate) type Result<T> = std::result::Result<T, JpegError>;
