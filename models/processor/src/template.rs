//! A model's chat template: messages to the text that the model was trained on.
//!
//! Templates come with the model, in the dialect of Jinja2 that Hugging Face's libraries read. They are other
//! people's programs, so a render has a budget that bounds both its time and its memory.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::value::{Serde, Value, ValueKind, merge_maps};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, context, syntax::SyntaxConfig};
use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};

mod json;
mod python;

/// Where a template may lie in a model's folder, in the order of precedence.
const JINJA_FILE: &str = "chat_template.jinja";
const JSON_FILE: &str = "chat_template.json";
const TOKENIZER_FILE: &str = "tokenizer_config.json";

const MAX_FILE_BYTES: u64 = 16 << 20;
const NAME: &str = "chat template";
/// Instructions and units of 64 bytes that a render may use: 128 MB at the very most.
const FUEL: u64 = 2_000_000;
/// Far above what fits into any model's context.
const MAX_OUTPUT_BYTES: usize = 32 << 20;

/// A compiled chat template with the tokens that it refers to.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    tokens: NamedTokens,
}

/// Tokens that a template knows by name, as text; those that the model lacks are `None`, and undefined in the
/// template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedTokens {
    /// Begins a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bos_token: Option<String>,
    /// Ends a turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eos_token: Option<String>,
    /// Fills up a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_token: Option<String>,
    /// Stands for what the vocabulary lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unk_token: Option<String>,
}

/// Why there is no template, or why it cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// No file of the folder has a template.
    #[error(
        "{folder} has no chat template: wanted {JINJA_FILE}, {JSON_FILE} or `chat_template` in {TOKENIZER_FILE}"
    )]
    Missing {
        /// The model's folder.
        folder: String,
    },
    /// The template is not valid Jinja, or uses something that is not supported.
    #[error("the chat template does not compile: {0:#}")]
    Syntax(Error),
    /// The template itself refuses the messages.
    #[error("the chat template refuses the messages: {message}")]
    Raised {
        /// Its words.
        message: String,
    },
    /// The template runs on and on, or makes more text than any prompt has.
    #[error("the chat template uses more time or memory than a template may: does it loop without end?")]
    Runaway,
    /// The template fails while it runs.
    #[error("the chat template fails: {0:#}")]
    Render(Error),
}

impl ChatTemplate {
    /// The template of the model in `folder`.
    ///
    /// # Errors
    /// If there is none, or it cannot be read or compiled.
    pub fn from_dir(folder: &Path) -> Result<Self, TemplateError> {
        let tokenizer: TokenizerConfig =
            read_optional_json(&folder.join(TOKENIZER_FILE))?.unwrap_or_default();
        let tokens = tokenizer.named_tokens();
        let jinja = folder.join(JINJA_FILE);
        let source = if jinja.exists() {
            Some(files::read_text(&jinja, MAX_FILE_BYTES)?)
        } else {
            let own: Option<TemplateFile> = read_optional_json(&folder.join(JSON_FILE))?;
            own.and_then(|file| file.chat_template)
                .or(tokenizer.chat_template)
                .and_then(Source::default_template)
        };
        let missing = || TemplateError::Missing { folder: folder.display().to_string() };
        Self::new(&source.ok_or_else(missing)?, tokens)
    }

    /// Compiles a template.
    ///
    /// # Errors
    /// If it is not valid.
    pub fn new(source: &str, tokens: NamedTokens) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true);
        environment.set_syntax(syntax.build().map_err(TemplateError::Syntax)?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_fuel(Some(FUEL));
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", json::to_json);
        environment.add_test("iterable", is_iterable);
        environment.add_test("sequence", is_sequence);
        let source = generation_blocks_to_ifs(source);
        environment.add_template_owned(NAME, source).map_err(TemplateError::Syntax)?;
        Ok(Self { environment, tokens })
    }

    /// The text of `messages`: a sequence of maps with `role` and `content`, the latter a text or a sequence of
    /// parts. With `add_generation_prompt` it ends where the assistant is to speak.
    ///
    /// # Errors
    /// If the template refuses the messages, fails, or runs away.
    pub fn render(
        &self,
        messages: impl Serialize,
        add_generation_prompt: bool,
    ) -> Result<String, TemplateError> {
        self.render_with(messages, add_generation_prompt, BTreeMap::<String, Value>::new())
    }

    /// As [`ChatTemplate::render`], with further variables that some templates know: `tools`, `enable_thinking`,
    /// `add_vision_id`.
    ///
    /// # Errors
    /// If the template refuses the messages, fails, or runs away.
    pub fn render_with(
        &self,
        messages: impl Serialize,
        add_generation_prompt: bool,
        variables: impl Serialize,
    ) -> Result<String, TemplateError> {
        let template = self.environment.get_template(NAME).map_err(TemplateError::Render)?;
        // Transformers gives these two to every template, as none if there are none. Later maps win.
        let absent = context! { tools => Value::from(()), documents => Value::from(()) };
        let given = context! { messages => Value::from(Serde(messages)), add_generation_prompt };
        let text = template.render(merge_maps([
            absent,
            Value::from(Serde(&self.tokens)),
            Value::from(Serde(variables)),
            given,
        ]));
        match text {
            Ok(text) if text.len() > MAX_OUTPUT_BYTES => Err(TemplateError::Runaway),
            other => other.map_err(render_error),
        }
    }
}

fn render_error(error: Error) -> TemplateError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(Raised(message)) = inner.downcast_ref() {
            return TemplateError::Raised { message: message.clone() };
        }
        if inner.downcast_ref::<Error>().is_some_and(|error| error.kind() == ErrorKind::OutOfFuel) {
            return TemplateError::Runaway;
        }
        cause = inner.source();
    }
    TemplateError::Render(error)
}

/// What `raise_exception` leaves in an error's chain, to be told from the engine's own errors.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "raised by the template").with_source(Raised(message)))
}

/// As Jinja2 has it: one cannot go over none.
fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// As Jinja2 has it: texts and maps have a length and items, too.
fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
}

/// The local date and time, written as `format` says.
fn strftime_now(format: &str) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, &jiff::Zoned::now())
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, "bad date format").with_source(error))
}

/// `{% generation %}` marks what an assistant said, for training masks that are not made here. Jinja's engine
/// does not know the tag; as a condition that always holds it keeps its effect on white space.
fn generation_blocks_to_ifs(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        rest = tag;
        let inner_at = tag.len() - tag.trim_start_matches(['-', '+']).trim_start().len();
        let (lead, inner) = tag.split_at(inner_at);
        for (name, replacement) in [("generation", "if true"), ("endgeneration", "endif")] {
            let Some(after) = inner.strip_prefix(name) else { continue };
            if after.trim_start().trim_start_matches(['-', '+']).starts_with("%}") {
                out.push_str(lead);
                out.push_str(replacement);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// What of `tokenizer_config.json` concerns templates.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
    chat_template: Option<Source>,
    bos_token: Option<Token>,
    eos_token: Option<Token>,
    pad_token: Option<Token>,
    unk_token: Option<Token>,
}

impl TokenizerConfig {
    fn named_tokens(&self) -> NamedTokens {
        let text = |token: &Option<Token>| token.as_ref().map(|token| token.text().to_owned());
        NamedTokens {
            bos_token: text(&self.bos_token),
            eos_token: text(&self.eos_token),
            pad_token: text(&self.pad_token),
            unk_token: text(&self.unk_token),
        }
    }
}

#[derive(Deserialize)]
struct TemplateFile {
    chat_template: Option<Source>,
}

/// One template, or several with names.
#[derive(Deserialize)]
#[serde(untagged)]
enum Source {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

impl Source {
    fn default_template(self) -> Option<String> {
        match self {
            Self::One(template) => Some(template),
            Self::Named(all) => all.into_iter().find(|one| one.name == "default").map(|one| one.template),
        }
    }
}

/// A token as plain text, or with its flags.
#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Flagged { content: String },
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Flagged { content: text } => text,
        }
    }
}

fn read_optional_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    if path.exists() { files::read_json(path, MAX_FILE_BYTES).map(Some) } else { Ok(None) }
}
