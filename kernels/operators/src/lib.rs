//! A language model's inner operators on Burn tensors: what runs around its products, and the products with frozen
//! weights.
//!
//! [`adapted`] is a frozen layer with its low-rank update, [`attention`] attends within packed sequences and
//! [`decode_attention`] over a cache, [`rms_norm`], [`gated`], [`rotate`] and [`dropped`] are what stands between. [`project`] and
//! [`project_back`] are products with a frozen weight, and [`adamw`] updates what is trained. On the CPU each is one operator
//! with a backward of its own, and attention and what stands between are on CubeCL's runtimes too; elsewhere they are made of others,
//! as every `…_reference` is everywhere.
//!
//! Nothing here knows of models, text or files. `vigos-kernels` passes all of it on.

mod adamw;
mod adapted;
mod attention;
#[cfg(feature = "cube")]
mod cube;
mod decode;
mod dropout;
#[cfg(feature = "cube")]
mod few_rows;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod frozen;
mod gate;
mod likeliest;
mod norm;
mod placement;
mod projection;
mod rotary;
#[cfg(feature = "cube")]
mod table;
mod update;
mod weight;

pub use adamw::{AdamWStep, Moments, adamw, adamw_reference};
pub use adapted::{adapted, adapted_onto, adapted_reference};
pub use attention::{Segment, Segments, attention, attention_reference};
pub use decode::{Columns, NewToken, attend_new, decode_attention, decode_attention_reference};
pub use dropout::{DropMask, dropped, dropped_reference};
#[cfg(feature = "flex")]
pub use flex::vector;
pub use gate::{gated, gated_reference};
pub use likeliest::{Likeliest, likeliest};
pub use norm::{rms_norm, rms_norm_reference};
pub use placement::{EXACT_ROWS, on_cpu};
pub use projection::{project, project_back};
pub use rotary::{rotate, rotate_reference};
pub use update::Update;
pub use weight::{Bits, GROUP, Quantised, Weight};
