//! What can be wrong with a recipe, said so that it can be fixed without reading this crate.
//!
//! `origin` is where the value was written: the configuration file as the user named it, or `--set`.

use std::borrow::Cow;

use vigos_core::text::one_line;

/// A recipe that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The configuration file could not be read.
    #[error("configuration: {reason}")]
    Read {
        /// The file.
        origin: String,
        /// What was wrong with which file.
        reason: String,
    },
    /// The text is not TOML.
    #[error("{origin}:{line}:{column}: {}", shown(.message))]
    Syntax {
        /// The file.
        origin: String,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault in characters, from 1.
        column: usize,
        /// What the parser found and wanted.
        message: String,
    },
    /// A key that no recipe has.
    #[error("{origin}: unknown key `{}`; {}", shown(.key), shown(.hint))]
    UnknownKey {
        /// The file, or `--set`.
        origin: String,
        /// The key in full, with its section.
        key: String,
        /// The known key that it resembles most, when one is near enough.
        nearest: Option<String>,
        /// The nearest key, or the keys of that section.
        hint: String,
    },
    /// A value of another type than the key takes.
    #[error("{origin}: `{}`: found {}, wanted {wanted}{}", shown(.key), shown(.found), hinted(.hint))]
    WrongType {
        /// The file, or `--set`.
        origin: String,
        /// The key in full.
        key: String,
        /// Type and value found.
        found: String,
        /// Type wanted.
        wanted: String,
        /// How to write it; may be empty.
        hint: String,
    },
    /// A value of the right type that the key does not take.
    #[error("{origin}: `{}`: found {}, wanted {wanted}{}", shown(.key), shown(.found), hinted(.hint))]
    OutOfRange {
        /// The file, or `--set`.
        origin: String,
        /// The key in full.
        key: String,
        /// The value found.
        found: String,
        /// The values taken.
        wanted: String,
        /// A way out; may be empty.
        hint: String,
    },
    /// A key that a recipe cannot do without.
    #[error("{origin}: `{}` is missing: wanted {wanted}{}", shown(.key), hinted(.hint))]
    Missing {
        /// The file.
        origin: String,
        /// The key in full.
        key: String,
        /// What it has to be.
        wanted: String,
        /// How to write it; may be empty.
        hint: String,
    },
    /// Values that are fine one by one and contradict each other.
    #[error("{origin}: `{}`: found {}, wanted {wanted}{}", shown(.key), shown(.found), hinted(.hint))]
    Conflict {
        /// The file, or `--set`.
        origin: String,
        /// One of the keys, in full.
        key: String,
        /// What contradicts what.
        found: String,
        /// What would agree.
        wanted: String,
        /// A way out; may be empty.
        hint: String,
    },
    /// An override that is not `key=value`.
    #[error("--set {}: found no `=` after a key, wanted `key=value`; for example `--set optim.lr=1e-5`", shown(.text))]
    Override {
        /// The override as given.
        text: String,
    },
    /// A recipe whose values TOML cannot hold, such as a path that is not UTF-8.
    #[error("{origin}: the recipe cannot be turned into or out of TOML: {}", shown(.message))]
    Encoding {
        /// The file, or what was being written.
        origin: String,
        /// What the encoder said.
        message: String,
    },
}

impl RecipeError {
    /// The same error of values that stand at `place`, and not where they seem to.
    #[must_use]
    pub fn within(mut self, place: String) -> Self {
        match &mut self {
            Self::Read { origin, .. }
            | Self::Syntax { origin, .. }
            | Self::UnknownKey { origin, .. }
            | Self::WrongType { origin, .. }
            | Self::OutOfRange { origin, .. }
            | Self::Missing { origin, .. }
            | Self::Conflict { origin, .. }
            | Self::Encoding { origin, .. } => *origin = place,
            Self::Override { .. } => {}
        }
        self
    }
}

/// "; hint", or nothing for an empty hint.
fn hinted(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("; {}", shown(hint)) }
}

/// What a recipe may say as it likes, on one line: a quoted key can have line breaks, and a value too.
fn shown(text: &str) -> Cow<'_, str> {
    one_line(text, 1000)
}
