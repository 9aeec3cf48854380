//! The span-masked KL divergence between two language models that share a frozen head.
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
//! [`span_kl_linear`] starts from hidden states, so that no `[N, V]` tensor of all active rows ever exists: it
//! goes over the rows in chunks and returns the gradient with respect to the student's hidden states, already
//! computed. Nothing here knows of text, images or files.
//!
//! Shapes: `N` student rows, `M` teacher rows, `D` width, `V` vocabulary, `R` active rows.

mod linear;
mod logits;

pub use linear::{ActiveRow, SpanKl, chunk_rows, span_kl_linear};
pub use logits::{Direction, RowKl, row_kl};
