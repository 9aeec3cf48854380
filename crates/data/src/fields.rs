//! What the rows of a data set are, and the names that their fields have.

pub use vigos_recipe::Fields;
pub use vigos_recipe::sft::SftFields as DemonstrationFields;

/// What rows are read as, and the names of their fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowFields {
    /// Questions with a reference answer.
    Questions(Fields),
    /// Demonstrations: prompts with the completion that a model is to learn.
    Demonstrations(DemonstrationFields),
}

impl From<&Fields> for RowFields {
    fn from(fields: &Fields) -> Self {
        Self::Questions(fields.clone())
    }
}

impl From<&DemonstrationFields> for RowFields {
    fn from(fields: &DemonstrationFields) -> Self {
        Self::Demonstrations(fields.clone())
    }
}
