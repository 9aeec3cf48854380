//! What a teacher can be shown. To add a context, add it to `CONTEXTS`: recipes, prompt templates, samples, the
//! schema and the documentation take it from there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::answer::reference_target;
use crate::row::Row;
use crate::texts::word_or_own;

/// The row's images.
pub const IMAGE: &str = "image";
/// The question.
pub const PROBLEM: &str = "problem";
/// The reference answer.
pub const REFERENCE: &str = "reference";

/// What a context takes from a row.
enum Takes {
    /// The images, which go before a prompt's text.
    Images,
    /// A text, which stands in a template as `{NAME}`.
    Text(fn(&Row) -> String),
}

/// Every context that recipes know: its name, what it is, and what it takes from a row.
const CONTEXTS: &[(&str, &str, Takes)] = &[
    (IMAGE, "The row's images, before the text.", Takes::Images),
    (PROBLEM, "The question.", Takes::Text(Row::placed_problem)),
    (REFERENCE, "The reference answer.", Takes::Text(|row| reference_target(&row.answer))),
];

/// How the name of a context that a program brings begins in recipes and templates.
const OWN: &str = "own:";

/// A context by its name in recipes: one of those that recipes know, or `own:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Context(String);

impl Context {
    /// The context of this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Context {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl JsonSchema for Context {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Context".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        word_or_own(CONTEXTS.iter().map(|(name, doc, _)| (*name, *doc)))
    }
}

/// Whether a context shows the row's images.
pub fn shows_images(context: &[Context]) -> bool {
    let images = |name: &str| {
        CONTEXTS.iter().any(|(known, _, takes)| *known == name && matches!(takes, Takes::Images))
    };
    context.iter().any(|context| images(&context.0))
}

/// Whether a template can have a text of this name: a context that is a text, or one that a program brings.
pub(crate) fn is_text(name: &str) -> bool {
    let own = name.strip_prefix(OWN).is_some_and(|own| !own.is_empty());
    own || CONTEXTS.iter().any(|(known, _, takes)| *known == name && matches!(takes, Takes::Text(_)))
}

/// The placeholders that templates can have, for messages.
pub(crate) fn placeholders() -> String {
    let texts = CONTEXTS.iter().filter(|(_, _, takes)| matches!(takes, Takes::Text(_)));
    let known: Vec<String> = texts.map(|(name, ..)| format!("`{{{name}}}`")).collect();
    format!("{} or `{{{OWN}NAME}}`", known.join(", "))
}

type Make = Arc<dyn Fn(&Row) -> String + Send + Sync>;

/// The texts that contexts take from a row: those that recipes know, and a program's own.
#[derive(Clone, Default)]
pub struct Contexts {
    own: BTreeMap<String, Make>,
}

impl Contexts {
    /// The same and one more, which recipes name `own:NAME` and templates `{own:NAME}`.
    pub fn with(mut self, name: &str, text: impl Fn(&Row) -> String + Send + Sync + 'static) -> Self {
        self.own.insert(format!("{OWN}{name}"), Arc::new(text));
        self
    }

    /// The text that a context of this name takes from a row; none where it is not known or is no text.
    pub fn text(&self, name: &str, row: &Row) -> Option<String> {
        if let Some(make) = self.own.get(name) {
            return Some(make(row));
        }
        CONTEXTS.iter().find(|(known, ..)| *known == name).and_then(|(_, _, takes)| match takes {
            Takes::Images => None,
            Takes::Text(make) => Some(make(row)),
        })
    }

    /// Whether there is one of this name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.own.contains_key(name) || CONTEXTS.iter().any(|(known, ..)| *known == name)
    }

    /// The names of a program's own.
    pub(crate) fn own(&self) -> impl Iterator<Item = &str> {
        self.own.keys().map(String::as_str)
    }
}

impl fmt::Debug for Contexts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.own.keys()).finish()
    }
}
