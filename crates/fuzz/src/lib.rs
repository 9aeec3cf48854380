//! What must hold of every reader of untrusted bytes, whatever the bytes.
//!
//! A body takes any bytes, hands them to a reader as a file or a text, and panics if what comes back breaks a promise:
//! that what was read lies where it says, that it reads the same again, that both of two readers agree. That a reader
//! neither panics nor runs on is promised by all of them. The programs in `fuzz/` run the bodies under libFuzzer; the
//! tests of this crate run them over the corpora of those programs and over some mutations.

mod answers;
mod completions;
mod images;
mod layouts;
mod manifest;
mod parts;
mod prompts;
mod recipes;
mod rows;
mod scratch;
#[cfg(feature = "models")]
mod served;
#[cfg(feature = "models")]
mod spans;
#[cfg(feature = "models")]
mod weights;

pub use answers::{boxes, grade};
pub use completions::{replay, score};
pub use images::{image, jpeg};
pub use layouts::layouts;
pub use manifest::manifest;
pub use prompts::{prompt, template};
pub use recipes::recipe;
pub use rows::{archive, arrow, parquet, rows};
#[cfg(feature = "models")]
pub use served::served;
#[cfg(feature = "models")]
pub use spans::spans;
#[cfg(feature = "models")]
pub use weights::{adapter, weights};

/// A body: panics if a promise is broken.
pub type Body = fn(&[u8]);

/// Every body by its name, which the program in `fuzz/` and its folders have as well.
pub const BODIES: &[(&str, Body)] = &[
    #[cfg(feature = "models")]
    ("adapter", adapter),
    ("archive", archive),
    ("arrow", arrow),
    ("boxes", boxes),
    ("grade", grade),
    ("image", image),
    ("jpeg", jpeg),
    ("layouts", layouts),
    ("manifest", manifest),
    ("parquet", parquet),
    ("prompt", prompt),
    ("recipe", recipe),
    ("replay", replay),
    ("rows", rows),
    ("score", score),
    #[cfg(feature = "models")]
    ("served", served),
    #[cfg(feature = "models")]
    ("spans", spans),
    ("template", template),
    #[cfg(feature = "models")]
    ("weights", weights),
];
