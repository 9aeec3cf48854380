//! Divergences by name, for whoever reads names from a file.

use crate::divergence::{Divergence, ForwardKl, ReverseKl};
use crate::error::UnknownDivergence;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Divergences by name: `forward` and `reverse` to begin with, and whatever is added. A clone costs nothing.
///
/// ```
/// use burn::tensor::Tensor;
/// use vigos_kernels::{Divergence, Divergences};
///
/// #[derive(Debug)]
/// struct TotalVariation;
///
/// impl Divergence for TotalVariation {
///     fn name(&self) -> &str {
///         "total_variation"
///     }
///
///     fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
///         (student.exp() - teacher.exp()).abs().sum_dim(1).squeeze_dim::<1>(1) / 2.0
///     }
/// }
///
/// let divergences = Divergences::default().with(TotalVariation);
/// assert_eq!(divergences.get("total_variation")?.name(), "total_variation");
/// assert_eq!(divergences.names().collect::<Vec<_>>(), ["forward", "reverse", "total_variation"]);
/// # Ok::<(), vigos_kernels::UnknownDivergence>(())
/// ```
#[derive(Clone, Debug)]
pub struct Divergences {
    known: Arc<BTreeMap<String, Arc<dyn Divergence>>>,
}

impl Default for Divergences {
    fn default() -> Self {
        Self { known: Arc::default() }.with(ForwardKl).with(ReverseKl)
    }
}

impl Divergences {
    /// These and one more, in the place of one of the same name if there is one.
    #[must_use]
    pub fn with(mut self, divergence: impl Divergence + 'static) -> Self {
        let name = divergence.name().to_owned();
        Arc::make_mut(&mut self.known).insert(name, Arc::new(divergence));
        self
    }

    /// The divergence of this name.
    ///
    /// # Errors
    /// If there is none; the error names those that there are.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Divergence>, UnknownDivergence> {
        let unknown =
            || UnknownDivergence { found: name.to_owned(), known: self.names().map(str::to_owned).collect() };
        self.known.get(name).cloned().ok_or_else(unknown)
    }

    /// All names, in the order of the alphabet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }
}
