//! A model's chat template: messages to the text that the model was trained on.
//!
//! Templates come with the model, in the dialect of Jinja2 that Hugging Face's libraries read. They are other
//! people's programs, so a render has a budget that bounds both its time and its memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use minijinja::value::{Serde, Value, ValueKind, merge_maps};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, context, syntax::SyntaxConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use vigos_core::keys::{KeyError, Keys};

use crate::files::{self, FileError};
use crate::tokenizer_config::{self, TokenizerConfig};

mod json;
mod python;

/// Where a template may lie in a model's folder, in the order of precedence, which is Transformers': its processors
/// ask the first three, its tokenizers the third and the last.
const PROCESSOR_FILE: &str = "processor_config.json";
const JSON_FILE: &str = "chat_template.json";
const JINJA_FILE: &str = "chat_template.jinja";
const TOKENIZER_FILE: &str = tokenizer_config::FILE_NAME;
/// The key that three of them have it under.
const KEY: &str = "chat_template";

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
    /// Where it came from, if from a file.
    file: Option<PathBuf>,
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
        "{folder} has no chat template: wanted {JINJA_FILE}, {JSON_FILE}, or `{KEY}` in {PROCESSOR_FILE} or {TOKENIZER_FILE}"
    )]
    Missing {
        /// The model's folder.
        folder: String,
    },
    /// The template is not valid Jinja, or uses something that is not supported.
    #[error("the chat template does not compile: {0}")]
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
    /// One of these of the template in a file.
    #[error("{}: {error}", file.display())]
    In {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        error: Box<TemplateError>,
    },
}

impl From<KeyError> for TemplateError {
    fn from(error: KeyError) -> Self {
        Self::File(error.into())
    }
}

impl ChatTemplate {
    /// The template of the model in `folder`.
    ///
    /// # Errors
    /// If there is none, or it cannot be read or compiled.
    pub fn from_dir(folder: &Path) -> Result<Self, TemplateError> {
        let tokenizer = TokenizerConfig::of_folder(folder)?;
        let [processor, json, jinja, last] =
            [PROCESSOR_FILE, JSON_FILE, JINJA_FILE, TOKENIZER_FILE].map(|name| folder.join(name));
        let (file, source) = if let Some(found) = in_json(&processor)? {
            (processor, Some(found))
        } else if let Some(found) = in_json(&json)? {
            (json, Some(found))
        } else if jinja.exists() {
            let found = files::read_text(&jinja, MAX_FILE_BYTES)?;
            (jinja, Some(found))
        } else {
            (last, default_template(&tokenizer.keys()?)?)
        };
        let missing = || TemplateError::Missing { folder: folder.display().to_string() };
        let tokens = NamedTokens {
            bos_token: tokenizer.named("bos_token"),
            eos_token: tokenizer.named("eos_token"),
            pad_token: tokenizer.named("pad_token"),
            unk_token: tokenizer.named("unk_token"),
        };
        match Self::new(&source.ok_or_else(missing)?, tokens) {
            Ok(template) => Ok(Self { file: Some(file), ..template }),
            Err(error) => Err(TemplateError::In { file, error: error.into() }),
        }
    }

    /// What it is called in messages: its file.
    pub(crate) fn name(&self) -> String {
        self.file.as_ref().map_or_else(|| "the chat template".to_owned(), |file| file.display().to_string())
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
        let source = generation_blocks_to_ifs(&with_plain_line_ends(source));
        environment.add_template_owned(NAME, source).map_err(TemplateError::Syntax)?;
        Ok(Self { environment, tokens, file: None })
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
        let text = match text {
            Ok(text) if text.len() > MAX_OUTPUT_BYTES => Err(TemplateError::Runaway),
            other => other.map_err(render_error),
        };
        text.map_err(|error| match &self.file {
            Some(file) => TemplateError::In { file: file.clone(), error: error.into() },
            None => error,
        })
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

/// Jinja2 takes each of three line ends for the plain one before it reads a template.
fn with_plain_line_ends(source: &str) -> String {
    source.replace("\r\n", "\n").replace('\r', "\n")
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

/// The template in a JSON file, if there is such a file and it has one.
fn in_json(path: &Path) -> Result<Option<String>, FileError> {
    match files::read_optional_json(path, MAX_FILE_BYTES)? {
        Some(value) => Ok(default_template(&Keys::of(path, &value)?)?),
        None => Ok(None),
    }
}

/// The template under its key: one, or of several with names the one called `default`.
fn default_template(keys: &Keys) -> Result<Option<String>, KeyError> {
    const WANTED: &str = "a template, or several with names, one of them `default`";
    let Some(found) = keys.get(KEY) else { return Ok(None) };
    let template = match found {
        Json::String(template) => Some(template),
        Json::Array(all) => {
            match all.iter().find(|one| one.get("name").is_some_and(|name| name == "default")) {
                Some(Json::Object(one)) => one.get("template").and_then(text),
                _ => None,
            }
        }
        Json::Object(all) => all.get("default").and_then(text),
        _ => None,
    };
    template.cloned().map(Some).ok_or_else(|| keys.fault(KEY, WANTED))
}

fn text(value: &Json) -> Option<&String> {
    match value {
        Json::String(text) => Some(text),
        _ => None,
    }
}
