//! Operators of a language model and of its distillation, on Burn tensors.
//!
//! What runs inside a model is in `vigos-operators`, which this passes on: [`adapted`] layers, [`attention`],
//! [`rms_norm`], [`gated`], [`rotate`], [`project`].
//!
//! The rest is the span-masked KL divergence between two language models that share a frozen head.
//!
//! For an active row with student logits `s` and teacher logits `u` over the full vocabulary, temperature τ,
//! `p = softmax(s/τ)` and `q = softmax(u/τ)`:
//!
//! ```text
//! forward  K = Σ q (log q − log p)      ∂K/∂s = (p − q)/τ
//! reverse  K = Σ p (log p − log q)      ∂K/∂s = p ⊙ (log p − log q − K)/τ
//! loss     Σ w·min(K, c)                zero gradient where K > c
//! ```
//!
//! - [`span_kl`] and [`span_kl_stacked`] take logits. They are one fused operator: it reads the logits at most
//!   twice and writes the gradient over the student's, so that no other tensor of their size exists. There is one
//!   for the CPU (`flex`) and one for every CubeCL runtime (`cuda`, `rocm`, `metal`, `vulkan`, `webgpu`, `wgpu`,
//!   `cpu`).
//!   [`span_kl_loss`] is the same as a differentiable operator.
//! - [`divergence_linear`] starts from hidden states, so that no `[N, V]` tensor of all active rows ever exists: it
//!   goes over the rows in chunks and returns the gradient with respect to the student's hidden states, already
//!   computed. It takes any [`Divergence`]: the two above, which go through the fused operator, or one of your own.
//! - [`span_kl_reference`] computes it from plain operators, for backends without the fused one.
//!
//! Nothing here knows of text, images or files.
//!
//! Shapes: `N` student rows, `M` teacher rows, `D` width, `V` vocabulary, `R` active rows.

mod checks;
#[cfg(feature = "cube")]
mod cube;
mod device;
mod differentiated;
mod divergence;
mod error;
#[cfg(feature = "flex")]
mod flex;
mod generalised;
mod linear;
mod logits;
mod operator;
mod reference;
mod registry;
mod rows;
mod tensors;

#[cfg(feature = "lowering")]
pub use cube::lowering;
pub use device::{AUTOTUNES, FUSES, Identity, identity};
pub use divergence::{Direction, Divergence, ForwardKl, ReverseKl};
pub use error::{SpanKlError, UnknownDivergence};
pub use generalised::{JensenShannon, TopTokens};
pub use linear::{LOGITS_BUDGET, LinearLoss, chunk_rows, divergence_linear};
pub use logits::{span_kl, span_kl_loss, span_kl_reference, span_kl_stacked};
pub use reference::{RowKl, row_kl};
pub use registry::Divergences;
pub use rows::{ActiveRow, RowLoss, RowStatistics, SpanKlRows};
pub use vigos_devices::{DeviceError, Traffic, computed, counted, in_chunks, read, send};
pub use vigos_operators::{
    AdamWStep, Bits, Columns, DropMask, EXACT_ROWS, Likeliest, Moments, NewToken, Quantised, Segment,
    Segments, Update, Weight, adamw, adamw_reference, adapted, adapted_onto, adapted_reference, attend_new,
    attention, attention_reference, decode_attention, decode_attention_reference, dropped, dropped_reference,
    gated, gated_reference, likeliest, on_cpu, project, project_back, rms_norm, rms_norm_reference, rotate,
    rotate_reference,
};
