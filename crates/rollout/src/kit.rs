//! What a program brings along: model families, data sources, divergences. Whoever links more registers more.

use vigos_data::Sources;
use vigos_kernels::Divergences;
use vigos_models::Families;

/// The parts that a recipe may name, and the library does not know by itself. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Kit {
    /// The families that a model may be of.
    pub families: Families,
    /// Where data sets come from.
    pub sources: Sources,
    /// How far a student may be from a teacher.
    pub divergences: Divergences,
}
