//! Prompt templates: the text of a user's turn for the student and for each teacher.
//!
//! Templates are files that can be replaced; the built-in ones are those of `configs/prompts/vigos`.
//! `{problem}` and `{reference}` are replaced in a single pass, so a question that happens to contain
//! `{reference}` stays as it is. Images are no part of a template: they go before its text.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use vigos_core::files::{FileError, read_limited};

use crate::{Input, Method, Teacher};

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

/// Prompt templates by name.
#[derive(Debug, Clone)]
pub struct Prompts {
    origin: String,
    templates: BTreeMap<String, Vec<Piece>>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Problem,
    Reference,
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
    /// A placeholder that is neither `{problem}` nor `{reference}`.
    #[error("{file}: unknown placeholder `{placeholder}`; wanted `{{problem}}` or `{{reference}}`")]
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
        "{file}: found `{placeholder}` {found}, wanted it {wanted}: the context of {reader} is {context}"
    )]
    Context {
        /// The file, or the built-in template.
        file: String,
        /// The placeholder with its braces.
        placeholder: &'static str,
        /// Whether the template has it.
        found: &'static str,
        /// Whether the context has it.
        wanted: &'static str,
        /// Who reads the prompt.
        reader: String,
        /// What that reader is shown.
        context: String,
    },
    /// A template that shows a reference, rendered without one.
    #[error("{file}: found no reference answer for `{{reference}}`, wanted one")]
    NoReference {
        /// The file, or the built-in template.
        file: String,
    },
}

impl Prompts {
    /// The templates that a method names, checked against what each of their readers is shown.
    ///
    /// # Errors
    /// As [`Prompts::load`] and [`Prompts::check`].
    pub fn for_method(method: &Method) -> Result<Self, PromptError> {
        let prompts = Self::load(method.prompts.as_deref())?;
        prompts.check("the student", &method.student_prompt, &[Input::Image, Input::Problem])?;
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
        let mut prompts = Self { origin: "built-in prompts".into(), templates: BTreeMap::new() };
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

    /// Check that a template is there and names exactly what its reader is shown: `{problem}` and
    /// `{reference}` where the context lists them and not elsewhere. `reader` is named in the error.
    ///
    /// # Errors
    /// [`PromptError::UnknownTemplate`] and [`PromptError::Context`].
    pub fn check(&self, reader: &str, template: &str, context: &[Input]) -> Result<(), PromptError> {
        let pieces = self.template(template)?;
        let slots = [
            (Piece::Problem, Input::Problem, "{problem}"),
            (Piece::Reference, Input::Reference, "{reference}"),
        ];
        for (piece, input, placeholder) in slots {
            let (found, wanted) = (pieces.contains(&piece), context.contains(&input));
            if found != wanted {
                let word = |there| if there { "in the template" } else { "not in the template" };
                return Err(PromptError::Context {
                    file: self.file(template),
                    placeholder,
                    found: word(found),
                    wanted: word(wanted),
                    reader: reader.to_owned(),
                    context: format!("{context:?}").to_lowercase(),
                });
            }
        }
        Ok(())
    }

    /// The text of a user's turn: the template with the question and the reference answer in place.
    ///
    /// # Errors
    /// [`PromptError::UnknownTemplate`], and [`PromptError::NoReference`] for a template that shows a
    /// reference when there is none.
    pub fn render(
        &self,
        template: &str,
        problem: &str,
        reference: Option<&str>,
    ) -> Result<String, PromptError> {
        let mut text = String::new();
        for piece in self.template(template)? {
            match (piece, reference) {
                (Piece::Text(literal), _) => text.push_str(literal),
                (Piece::Problem, _) => text.push_str(problem),
                (Piece::Reference, Some(reference)) => text.push_str(reference),
                (Piece::Reference, None) => {
                    return Err(PromptError::NoReference { file: self.file(template) });
                }
            }
        }
        Ok(text)
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

/// Cut a template at its placeholders. Braces around anything but a word of lower-case letters and `_` are
/// text, and so are those of a LaTeX command.
fn pieces(text: &str, file: &str) -> Result<Vec<Piece>, PromptError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once('{') {
        literal.push_str(before);
        let end = inside.find(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'));
        let (word, after) = end.and_then(|end| inside.split_at_checked(end)).unwrap_or((inside, ""));
        let Some(after) = after.strip_prefix('}').filter(|_| !word.is_empty()) else {
            literal.push('{');
            rest = inside;
            continue;
        };
        let placeholder = || format!("{{{word}}}");
        let piece = match (word, ends_with_command(&literal)) {
            ("problem", false) => Piece::Problem,
            ("reference", false) => Piece::Reference,
            ("problem" | "reference", true) => {
                return Err(PromptError::AmbiguousPlaceholder {
                    file: file.to_owned(),
                    placeholder: placeholder(),
                });
            }
            (_, true) => {
                literal.push_str(&placeholder());
                rest = after;
                continue;
            }
            (_, false) => {
                return Err(PromptError::UnknownPlaceholder {
                    file: file.to_owned(),
                    placeholder: placeholder(),
                });
            }
        };
        pieces.push(Piece::Text(std::mem::take(&mut literal)));
        pieces.push(piece);
        rest = after;
    }
    literal.push_str(rest);
    pieces.push(Piece::Text(literal));
    Ok(pieces)
}

/// Whether a text ends with a LaTeX command such as `\boxed`.
fn ends_with_command(text: &str) -> bool {
    let before = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    before.len() < text.len() && before.ends_with('\\')
}
