//! The code with raw memory or vector units, and the own decoder, under what sees a wrong access: AddressSanitizer, and
//! Miri for what it can run.
//!
//! Both are parts of a nightly Rust (`rustup toolchain install nightly --component miri,rust-src`).

use crate::shell::{host, root, succeed};
use anyhow::Result;
use std::process::Command;

/// Crates whose tests are run: whatever is in them, no list of files.
const CRATES: [&str; 3] = ["vigos-operators", "vigos-kernels", "vigos-jpeg"];

pub(crate) fn run() -> Result<()> {
    let host = host()?;
    let mut tests = nightly(&["test", "--profile", "quick", "--locked", "--tests", "--target", &host]);
    tests.args(["--target-dir", "target/sanitize"]).args(CRATES.iter().flat_map(|name| ["--package", name]));
    // What counts the memory of a process counts the sanitizer's own.
    tests.args(["--no-fail-fast", "--", "--skip", "no_product_copies_the_weight"]);
    // Threads of a pool outlive the tests, with what they hold.
    tests.env("RUSTFLAGS", "-Zsanitizer=address").env("ASAN_OPTIONS", "detect_leaks=0");
    succeed(&mut tests)?;
    println!("AddressSanitizer found nothing in the tests of {}", CRATES.join(" and "));
    let mut miri =
        nightly(&["miri", "test", "--locked", "--target-dir", "target/miri", "--package", "vigos-jpeg"]);
    // It reads the fixtures of the tests.
    miri.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "2");
    succeed(&mut miri)?;
    println!("Miri found nothing in the tests of vigos-jpeg");
    Ok(())
}

/// Cargo of a nightly Rust.
fn nightly(words: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).args(words).current_dir(root());
    // The cargo that runs this has set them for its own Rust.
    command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command
}
