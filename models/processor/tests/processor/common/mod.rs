//! Where the fixtures are.
#![allow(dead_code, reason = "no test file needs them all")]

use std::path::{Path, PathBuf};

/// A fixture of this crate.
pub(crate) fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The folder of the JPEG decoder's fixtures.
pub(crate) fn jpeg() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../jpeg/tests/fixtures")
}

/// A fixture that all crates share.
pub(crate) fn shared(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

/// The tiny model's folder.
pub(crate) fn model() -> PathBuf {
    shared("../../assets/tiny-qwen2_5-vl")
}
