//! What the rows of a data set are, and the names that their fields have.

use vigos_recipe::row::Fields;

/// What rows are read as, and the names of their fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowFields {
    /// Questions with a reference answer.
    Questions(Fields),
    /// Demonstrations: prompts with the completion that a model is to learn.
    Demonstrations(DemonstrationFields),
}

/// The names that the fields of a demonstration have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemonstrationFields {
    /// The image or images. With the name `image` a row may have `images` instead.
    pub image: String,
    /// The user's text: a string, empty or absent where the images alone are shown.
    pub prompt: String,
    /// How the answer begins: a string, empty or absent where it begins with the completion.
    pub prefill: String,
    /// What is learnt: a string that is not blank.
    pub completion: String,
    /// The row's name: a string or a number, or absent.
    pub id: String,
}

impl Default for DemonstrationFields {
    fn default() -> Self {
        let [image, prompt, prefill, completion, id] =
            ["image", "prompt", "prefill", "completion", "id"].map(str::to_owned);
        Self { image, prompt, prefill, completion, id }
    }
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
