//! Prompt templates: the text of a user's turn for the student and for each teacher.
//!
//! Templates are files that can be replaced; the built-in ones are those of `configs/prompts/vigos`.
//! A placeholder names a context that is a text, such as `{problem}` and `{reference}`; all are replaced in a single
//! pass, so a question that happens to contain `{reference}` stays as it is. Images are no part of a template: they
//! go before its text.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use vigos_core::files::{FileError, read_limited};

use crate::context::{self, Context, Contexts};
use crate::method::Method;
use crate::row::Row;
use crate::teacher::Teacher;

/// A prompt is a page of text.
const LARGEST_FILE: u64 = 1 << 20;

const BUILT_IN: [(&str, &str); 6] = [
    ("student", include_str!("../../../configs/prompts/vigos/student.txt")),
    ("perception", include_str!("../../../configs/prompts/vigos/perception.txt")),
    ("reasoning", include_str!("../../../configs/prompts/vigos/reasoning.txt")),
    ("reference", include_str!("../../../configs/prompts/vigos/reference.txt")),
    ("plain", include_str!("../../../configs/prompts/vigos/plain.txt")),
    ("plain_reference", include_str!("../../../configs/prompts/vigos/plain_reference.txt")),
];

/// Prompt templates by name, and the texts that stand in them.
#[derive(Debug, Clone)]
pub struct Prompts {
    origin: String,
    templates: BTreeMap<String, Vec<Piece>>,
    contexts: Contexts,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The text of the context of this name.
    Slot(String),
}

/// Templates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// A folder or file that could not be read.
    #[error("prompt templates: {reason}")]
    Read {
        /// The folder or file.
        file: String,
        /// What was wrong with which folder or file.
        reason: String,
    },
    /// A placeholder that is the name of no text.
    #[error("{file}: unknown placeholder `{placeholder}`; wanted {}", context::placeholders())]
    UnknownPlaceholder {
        /// The file, or the built-in template.
        file: String,
        /// The placeholder with its braces.
        placeholder: String,
    },
    /// A placeholder in the braces of a LaTeX command, which can be meant in two ways.
    #[error(
        "{file}: `{placeholder}` right after a LaTeX command; write `{{{placeholder}}}` if the command's \
         braces are to stay"
    )]
    AmbiguousPlaceholder {
        /// The file, or the built-in template.
        file: String,
        /// The placeholder with its braces.
        placeholder: String,
    },
    /// A template that nobody wrote.
    #[error("{origin}: no template `{name}`, found {found}; add `{name}.txt` or name another in the recipe")]
    UnknownTemplate {
        /// The folder, or the built-in templates.
        origin: String,
        /// The template wanted.
        name: String,
        /// The templates there are.
        found: String,
    },
    /// A template that shows its reader something else than the recipe says.
    #[error(
        "{file}: found `{placeholder}` {}, wanted it {}: the context of {reader} is {context}",
        place(*.shown), place(!*.shown)
    )]
    Context {
        /// The file, or the built-in template.
        file: String,
        /// The placeholder with its braces.
        placeholder: String,
        /// Whether the template has it, where the context does not; otherwise it is the other way round.
        shown: bool,
        /// Who reads the prompt.
        reader: String,
        /// What that reader is shown.
        context: String,
    },
    /// A template that shows a text, rendered without it.
    #[error("{file}: found no text for `{placeholder}`, wanted one")]
    NoText {
        /// The file, or the built-in template.
        file: String,
        /// The placeholder with its braces.
        placeholder: String,
    },
    /// A context that the recipe names and the program does not bring.
    #[error(
        "the context of {reader}: found `{context}`, wanted one that this program brings; it brings {known}"
    )]
    UnknownContext {
        /// Who reads the prompt.
        reader: String,
        /// The context.
        context: String,
        /// What there is.
        known: String,
    },
}

impl Prompts {
    /// The templates that a method names, checked against what each of their readers is shown.
    ///
    /// # Errors
    /// As [`Prompts::load`] and [`Prompts::check`].
    pub fn for_method(method: &Method) -> Result<Self, PromptError> {
        Self::with_contexts(method, Contexts::default())
    }

    /// The same for a program that brings contexts of its own.
    ///
    /// # Errors
    /// As [`Prompts::load`] and [`Prompts::check`].
    pub fn with_contexts(method: &Method, contexts: Contexts) -> Result<Self, PromptError> {
        let prompts = Self { contexts, ..Self::load(method.prompts.as_deref())? };
        let student = [context::IMAGE, context::PROBLEM].map(Context::named);
        prompts.check("the student", &method.student_prompt, &student)?;
        for Teacher { name, prompt, context, .. } in method.teachers.iter().filter(|teacher| teacher.runs()) {
            prompts.check(&format!("the {name} teacher"), prompt, context)?;
        }
        Ok(prompts)
    }

    /// Every `<name>.txt` of a folder, or the built-in templates. A folder is used alone: nothing is filled
    /// in from the built-in ones. One line break at the end of a file is left out.
    ///
    /// # Errors
    /// [`PromptError`] for a folder or file that cannot be read and for a placeholder that is unknown or
    /// ambiguous.
    pub fn load(dir: Option<&Path>) -> Result<Self, PromptError> {
        let mut prompts = Self {
            origin: "built-in prompts".into(),
            templates: BTreeMap::new(),
            contexts: Contexts::default(),
        };
        let Some(dir) = dir else {
            for (name, text) in BUILT_IN {
                prompts.add(name, text)?;
            }
            return Ok(prompts);
        };
        prompts.origin = dir.display().to_string();
        let unreadable =
            |file: &Path, reason: String| PromptError::Read { file: file.display().to_string(), reason };
        let listing = |error| unreadable(dir, FileError::io("list", dir, error).to_string());
        for entry in fs::read_dir(dir).map_err(listing)? {
            let path = entry.map_err(listing)?.path();
            let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
            if path.extension().is_none_or(|extension| extension != "txt") {
                continue;
            }
            let bytes =
                read_limited(&path, LARGEST_FILE).map_err(|error| unreadable(&path, error.to_string()))?;
            let text = String::from_utf8(bytes)
                .map_err(|error| unreadable(&path, format!("{} is not text: {error}", path.display())))?;
            prompts.add(name, &text)?;
        }
        Ok(prompts)
    }

    /// Check that a template is there and names exactly what its reader is shown: every text that the context lists
    /// and no other. `reader` is named in the error.
    ///
    /// # Errors
    /// [`PromptError::UnknownTemplate`], [`PromptError::UnknownContext`] and [`PromptError::Context`].
    pub fn check(&self, reader: &str, template: &str, context: &[Context]) -> Result<(), PromptError> {
        if let Some(strange) = context.iter().find(|context| !self.contexts.knows(context.name())) {
            let own: Vec<&str> = self.contexts.own().collect();
            return Err(PromptError::UnknownContext {
                reader: reader.to_owned(),
                context: strange.to_string(),
                known: if own.is_empty() { "none".into() } else { own.join(", ") },
            });
        }
        let slots: Vec<&str> = self.slots(template)?.collect();
        let shown: Vec<&str> =
            context.iter().map(Context::name).filter(|name| context::is_text(name)).collect();
        let mut all = shown.clone();
        all.extend(&slots);
        for name in all {
            let (found, wanted) = (slots.contains(&name), shown.contains(&name));
            if found != wanted {
                let context: Vec<&str> = context.iter().map(Context::name).collect();
                return Err(PromptError::Context {
                    file: self.file(template),
                    placeholder: format!("{{{name}}}"),
                    shown: found,
                    reader: reader.to_owned(),
                    context: format!("[{}]", context.join(", ")),
                });
            }
        }
        Ok(())
    }

    /// The text of a user's turn for a row: the template with the texts of its contexts in place. `reference` stands
    /// for the row's reference answer.
    ///
    /// # Errors
    /// As [`Prompts::render`].
    pub fn turn(&self, template: &str, row: &Row, reference: &str) -> Result<String, PromptError> {
        self.fill(template, |name| match name {
            context::REFERENCE => Some(reference.to_owned()),
            _ => self.contexts.text(name, row),
        })
    }

    /// The same for a question and perhaps a reference answer that no row holds.
    ///
    /// # Errors
    /// [`PromptError::UnknownTemplate`], and [`PromptError::NoText`] for a template that shows a text which is not
    /// there.
    pub fn render(
        &self,
        template: &str,
        problem: &str,
        reference: Option<&str>,
    ) -> Result<String, PromptError> {
        self.fill(template, |name| match name {
            context::PROBLEM => Some(problem.to_owned()),
            context::REFERENCE => reference.map(str::to_owned),
            _ => None,
        })
    }

    fn fill(&self, template: &str, text: impl Fn(&str) -> Option<String>) -> Result<String, PromptError> {
        let mut filled = String::new();
        for piece in self.template(template)? {
            match piece {
                Piece::Text(literal) => filled.push_str(literal),
                Piece::Slot(name) => match text(name) {
                    Some(text) => filled.push_str(&text),
                    None => {
                        let (file, placeholder) = (self.file(template), format!("{{{name}}}"));
                        return Err(PromptError::NoText { file, placeholder });
                    }
                },
            }
        }
        Ok(filled)
    }

    /// The contexts whose texts a template shows.
    fn slots(&self, template: &str) -> Result<impl Iterator<Item = &str>, PromptError> {
        Ok(self.template(template)?.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Slot(name) => Some(name.as_str()),
        }))
    }

    fn template(&self, name: &str) -> Result<&[Piece], PromptError> {
        let found = || match self.templates.is_empty() {
            true => "none".to_owned(),
            false => self.templates.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        };
        self.templates.get(name).map(Vec::as_slice).ok_or_else(|| PromptError::UnknownTemplate {
            origin: self.origin.clone(),
            name: name.to_owned(),
            found: found(),
        })
    }

    fn add(&mut self, name: &str, text: &str) -> Result<(), PromptError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        self.templates.insert(name.to_owned(), pieces(text, &self.file(name))?);
        Ok(())
    }

    /// How a template is named in errors.
    fn file(&self, name: &str) -> String {
        Path::new(&self.origin).join(format!("{name}.txt")).display().to_string()
    }
}

fn place(shown: bool) -> &'static str {
    if shown { "in the template" } else { "not in the template" }
}

/// Cut a template at its placeholders. Braces around anything but a word of lower-case letters and `_`, or `own:` and
/// a name, are text, and so are those of a LaTeX command.
fn pieces(text: &str, file: &str) -> Result<Vec<Piece>, PromptError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once('{') {
        literal.push_str(before);
        let (word, after) = split_word(inside);
        let Some(after) = after.strip_prefix('}').filter(|_| !word.is_empty()) else {
            literal.push('{');
            rest = inside;
            continue;
        };
        let (file, placeholder) = (file.to_owned(), format!("{{{word}}}"));
        match (context::is_text(word), ends_with_command(&literal)) {
            (true, false) => {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
                pieces.push(Piece::Slot(word.to_owned()));
            }
            (true, true) => return Err(PromptError::AmbiguousPlaceholder { file, placeholder }),
            (false, true) => literal.push_str(&placeholder),
            (false, false) => return Err(PromptError::UnknownPlaceholder { file, placeholder }),
        }
        rest = after;
    }
    literal.push_str(rest);
    pieces.push(Piece::Text(literal));
    Ok(pieces)
}

/// The word that a text begins with, and what follows it.
fn split_word(text: &str) -> (&str, &str) {
    let own = text.strip_prefix("own:").map(|name| {
        let name_ends = name.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter)));
        text.len() - name.len() + name_ends.unwrap_or(name.len())
    });
    let plain = || text.find(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'));
    let end = own.or_else(plain).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Whether a text ends with a LaTeX command such as `\boxed`.
fn ends_with_command(text: &str) -> bool {
    let before = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    before.len() < text.len() && before.ends_with('\\')
}
