//! How the rows of a data set are laid out, and what becomes of conversations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a row of a data set says its question, its images and its answer.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DataLayout {
    /// Whichever of the others a row has, told by its fields.
    #[default]
    Auto,
    /// Question, answer and images in the fields that `data.fields` names.
    Rows,
    /// LLaVA's `conversations` beside `image`.
    Llava,
    /// `messages` of `role` and `content`, as OpenAI and ms-swift have them.
    Messages,
    /// ShareGPT's `conversations`, with `images` beside them or without.
    Sharegpt,
    /// TRL's `prompt` with `completion`, `answer` or `solution`.
    Trl,
    /// `question` with `answer`, and `choices` or `options` to choose from.
    Vqa,
    /// `instruction` and `output`, or `query` and `response`.
    Instruction,
}

impl DataLayout {
    /// All that a row can have.
    pub const ALL: [Self; 7] =
        [Self::Rows, Self::Llava, Self::Messages, Self::Sharegpt, Self::Trl, Self::Vqa, Self::Instruction];

    /// Its name in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Rows => "rows",
            Self::Llava => "llava",
            Self::Messages => "messages",
            Self::Sharegpt => "sharegpt",
            Self::Trl => "trl",
            Self::Vqa => "vqa",
            Self::Instruction => "instruction",
        }
    }
}

/// What becomes of a conversation of several questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Turns {
    /// Its row cannot be used.
    #[default]
    Refuse,
    /// Its last question is asked, after all that was said before.
    Last,
    /// Each of its questions is a row of its own, after all that was said before it.
    Each,
}
