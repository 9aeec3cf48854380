//! One row of a data set, whatever it was read from, and why one cannot be used.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vigos_core::text::one_line;
pub use vigos_core::text::shortened;

/// What stands in a question for one of the row's images, in the order that they have.
pub const IMAGE_MARK: &str = "<image>";
/// The same within a prompt that is being made: a character that no text has, as Unicode keeps it free for such uses.
pub const IMAGE_PLACE: char = '\u{fdd0}';

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name; without one in the data set, the number of its line or row, counted from 1.
    pub id: String,
    /// The question. Each [`IMAGE_MARK`] in it is the place of an image; those without one come before the text.
    pub problem: String,
    /// What is said before the question: what a system is told, and the turns of a conversation. Their [`IMAGE_MARK`]s
    /// are the places of the first images.
    pub before: Vec<Turn>,
    /// The reference answer as the data set has it; a recipe says what of it is shown.
    pub answer: String,
    /// At least one image.
    pub images: Vec<ImageSource>,
    /// Where it stands: `FILE:LINE`, or `FILE: row group G row R`, both counted from 0.
    pub origin: String,
    /// What else it says of itself, for evaluation.
    pub labels: Labels,
    /// The answer to learn, where the row is for supervised training.
    pub demonstration: Option<Demonstration>,
}

/// A turn of what is said before a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who speaks.
    pub speaker: Speaker,
    /// What is said.
    pub text: String,
}

/// Who speaks in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Who tells the model how to answer.
    System,
    /// Who asks.
    User,
    /// Who answers.
    Assistant,
}

impl Speaker {
    /// The name that chat templates have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// An answer that a model is to learn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demonstration {
    /// How it begins; given, not learnt.
    pub prefill: String,
    /// How it goes on; what is learnt.
    pub completion: String,
}

/// What a row may say of itself beside question and answer, in fields of these names; training reads none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// The kind of question, which results are grouped by.
    pub kind: Option<String>,
    /// Its place in a prior suite.
    pub place: Option<Place>,
    /// `wrong_answers`: answers to the question that are not right.
    pub wrong_answers: Vec<String>,
    /// How answers are judged.
    pub rule: Rule,
}

/// How answers to a row are judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// As the grader does.
    #[default]
    Grader,
    /// By the choice that is named: one of these texts, or the letter of one; any letter if there are none.
    Choice(Vec<String>),
    /// By the choice whose text is nearest, where no letter is named.
    Nearest(Vec<String>),
    /// As numbers, rounded to so many decimals.
    Rounded(u8),
    /// As whole numbers, what follows the point cut off.
    Truncated,
    /// By whether one of these is said.
    Says(Vec<String>),
    /// By the first word that is true or false.
    Truth,
    /// By a language model alone.
    Judged,
}

/// The place of a row in a prior suite, which asks one question of three images: one that shows what one would
/// guess, and two that do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The three rows of a number and wording belong together.
    pub triple: u64,
    /// Which of the images it asks about.
    pub role: Role,
    /// How the question is put, such as `fact` and `plain`: with and without a sentence that suggests the guess.
    pub wording: Option<String>,
}

/// Whether the guess is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It is.
    Prior,
    /// It is not.
    Score,
}

impl Row {
    /// The question with a mark for each of its own images, those that come before its text first: all that the marks of
    /// what is said before leave over.
    pub fn marked_problem(&self) -> String {
        let marks = |text: &str| text.matches(IMAGE_MARK).count();
        let user = |turn: &&Turn| turn.speaker == Speaker::User;
        let before: usize = self.before.iter().filter(user).map(|turn| marks(&turn.text)).sum();
        let unmarked = self.images.len().saturating_sub(before + marks(&self.problem));
        format!("{}{}", IMAGE_MARK.repeat(unmarked), self.problem)
    }

    /// The question with every mark of an image as its place in a prompt.
    pub fn placed_problem(&self) -> String {
        self.problem.replace(IMAGE_MARK, IMAGE_PLACE.encode_utf8(&mut [0; 4]))
    }
}

impl Role {
    /// The role of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "prior" => Some(Self::Prior),
            "score" => Some(Self::Score),
            _ => None,
        }
    }
}

/// Where the encoded bytes of an image are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// In a file of this absolute path, below the folder that the data set's paths are relative to.
    File(PathBuf),
    /// Here: a PNG or JPEG file's bytes, for example.
    Bytes(Arc<[u8]>),
    /// Behind this web address. A data set puts a file in its place when the row is loaded.
    Link(Arc<str>),
}

/// A row that cannot be used, though the data set around it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Where it stands, as in [`Row::origin`].
    pub origin: String,
    /// Its name, as in [`Row::id`].
    pub id: String,
    /// What was found and what was wanted.
    pub reason: String,
}

impl BadRow {
    /// A row of this place and name, and why it cannot be used; a name or reason that a row makes
    /// long is shortened, and one with line breaks is one line.
    pub fn new(origin: String, id: &str, reason: &str) -> Self {
        let [id, reason] = [one_line(id, 80), one_line(reason, 400)].map(Cow::into_owned);
        Self { origin, id, reason }
    }
}

/// Why a row cannot be used, if one of its image files is not there.
pub fn missing_file(images: &[ImageSource]) -> Option<String> {
    let missing = images.iter().find_map(|image| match image {
        ImageSource::File(path) if !path.is_file() => Some(path),
        _ => None,
    })?;
    Some(format!(
        "there is no image file {}; image paths are relative to data.image_root, or else to the data set's folder",
        shortened(&missing.display().to_string(), 300)
    ))
}
