//! A language model's inner operators on Burn tensors: what runs around its products, and the products with frozen
//! weights.
//!
//! [`adapted`] is a frozen layer with its low-rank update, [`attention`] attends within packed sequences and
//! [`decode_attention`] over a cache, [`rms_norm`], [`gated`] and [`rotate`] are what stands between. [`project`] and
//! [`project_back`] are products with a frozen weight, and [`adamw`] updates what is trained. On the CPU each is one operator
//! with a backward of its own, and norm, gate and rotation are on CubeCL's runtimes too; elsewhere they are made of others,
//! as every `…_reference` is everywhere. [`read`] is how results come back, and [`in_chunks`]
//! how a device that is out of memory gets less at a time.
//!
//! Nothing here knows of models, text or files. `vigos-kernels` passes all of it on.

mod adamw;
mod adapted;
mod attention;
#[cfg(feature = "cube")]
mod cube;
mod decode;
mod device;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod frozen;
mod gate;
mod norm;
mod placement;
mod projection;
#[cfg(feature = "cube")]
pub mod reduce;
mod rotary;
mod update;
mod weight;

pub use adamw::{AdamWStep, Moments, adamw, adamw_reference};
pub use adapted::{adapted, adapted_reference};
pub use attention::{Segment, Segments, attention, attention_reference};
#[cfg(feature = "cube")]
pub use cube::cube_count;
pub use decode::{Columns, decode_attention, decode_attention_reference};
pub use device::{DeviceError, computed, in_chunks, read};
#[cfg(feature = "flex")]
pub use flex::vector;
pub use gate::{gated, gated_reference};
pub use norm::{rms_norm, rms_norm_reference};
pub use placement::{EXACT_ROWS, on_cpu};
pub use projection::{project, project_back};
pub use rotary::{rotate, rotate_reference};
pub use update::Update;
pub use weight::{Bits, GROUP, Quantised, Weight};
