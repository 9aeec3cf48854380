//! What a program brings along: model families, data sources, contexts, divergences. Whoever links more registers more.

use vigos_data::Sources;
use vigos_kernels::Divergences;
use vigos_models::Families;
use vigos_recipe::Contexts;

/// The parts that a recipe may name, and the library does not know by itself. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Kit {
    /// The families that a model may be of.
    pub families: Families,
    /// Where data sets come from.
    pub sources: Sources,
    /// What a teacher can be shown.
    pub contexts: Contexts,
    /// How far a student may be from a teacher.
    pub divergences: Divergences,
}
