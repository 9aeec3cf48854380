//! Images and messages to what the model reads, with the files of one model's folder.
//!
//! Texts are other people's: one that spells `<|image_pad|>` or `<|im_end|>` must become neither an image nor
//! the end of a turn. So look-alikes of special tokens are broken up before the template runs and mended
//! after the special tokens were found. Those that are found, image slots among them, are the template's own.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use image::RgbImage;
use serde_json::{Value, json};

use crate::config::{ConfigError, ImageConfig};
use crate::patches::{self, Grid, ImagePatches, PatchError};
use crate::sequence::{ImageSlot, Sequence};
use crate::template::{ChatTemplate, TemplateError};
use crate::tokenizer::{self, Piece, Tokenizer, TokenizerError};

const IMAGE_TOKEN: &str = "<|image_pad|>";
/// What a template writes around an image.
const VISION_TOKENS: [&str; 2] = ["<|vision_start|>", "<|vision_end|>"];

/// Makes model input from images and messages.
#[derive(Debug)]
pub struct Processor {
    images: ImageConfig,
    template: ChatTemplate,
    tokenizer: Tokenizer,
    image_token: u32,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks: `system`, `user` or `assistant`.
    pub role: String,
    /// What is said and shown, in order.
    pub parts: Vec<Part>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The next image of those that come with the messages.
    Image,
    /// Text, taken literally: special tokens in it are just characters.
    Text(String),
}

/// Messages as the model reads them, and as people do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What the model reads.
    pub sequence: Sequence,
    /// The text as rendered, with a single image token for each image.
    pub text: String,
}

/// Why a processor cannot be loaded or cannot make a prompt.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The image settings are not sound.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The chat template is missing, or fails.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The tokenizer is not usable, or refuses a text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokenizer lacks a token without which no image can be shown.
    #[error("{}: special token {token} is missing; is this a Qwen-VL model?", tokenizer::FILE_NAME)]
    MissingToken {
        /// The token.
        token: &'static str,
    },
    /// The messages and the images do not belong together.
    #[error("the messages have {parts} image parts, but {grids} images are given")]
    ImageCount {
        /// Image parts in the messages.
        parts: usize,
        /// Images given.
        grids: usize,
    },
    /// The template does not write one image token for each image part.
    #[error(
        "{template}: expected {expected} image tokens, found {found}: the chat template does not show every image once"
    )]
    SlotCount {
        /// The template's file.
        template: String,
        /// Image parts in the messages.
        expected: usize,
        /// Image tokens in the rendered text.
        found: usize,
    },
    /// A text has both a special token's look-alike and every character for private use.
    #[error(
        "the text uses every private-use character of Unicode, which no prompt needs: is it a text at all?"
    )]
    NoMark,
    /// An image's patches do not make whole tokens.
    #[error("an image of {h} by {w} patches cannot be merged {merge} by {merge}")]
    Unmergeable {
        /// Patches along the height.
        h: usize,
        /// Patches along the width.
        w: usize,
        /// Patches along a side of a token.
        merge: usize,
    },
}

impl Message {
    /// A user's turn.
    pub fn user(parts: impl IntoIterator<Item = Part>) -> Self {
        Self { role: "user".into(), parts: parts.into_iter().collect() }
    }

    /// Instructions that come before the conversation.
    pub fn system(text: impl Into<String>) -> Self {
        Self { role: "system".into(), parts: vec![Part::Text(text.into())] }
    }
}

impl Processor {
    /// The processor of the model in `folder`: its image settings, tokenizer and chat template, wherever in the folder
    /// they are.
    ///
    /// # Errors
    /// If a file is missing or unsound, or the tokenizer has no image tokens.
    pub fn from_dir(folder: &Path) -> Result<Self, ProcessError> {
        let images = ImageConfig::from_dir(folder)?;
        let tokenizer = Tokenizer::from_dir(folder)?;
        let template = ChatTemplate::from_dir(folder)?;
        let special = |token: &'static str| match tokenizer.id(token) {
            Some(id) if tokenizer.is_special(id) => Ok(id),
            _ => Err(ProcessError::MissingToken { token }),
        };
        for token in VISION_TOKENS {
            special(token)?;
        }
        let image_token = special(IMAGE_TOKEN)?;
        Ok(Self { images, template, tokenizer, image_token })
    }

    /// The same processor with at most `max_pixels` pixels to an image.
    ///
    /// # Errors
    /// If the number is zero or over a gigapixel.
    pub fn with_max_pixels(mut self, max_pixels: u64) -> Result<Self, ProcessError> {
        self.images = self.images.with_max_pixels(max_pixels)?;
        Ok(self)
    }

    /// The image as the vision tower reads it.
    ///
    /// # Errors
    /// If it has no size that the model takes.
    pub fn patches(&self, image: &RgbImage) -> Result<ImagePatches, PatchError> {
        patches::patches(image, &self.images)
    }

    /// The prompt that asks the assistant to answer `messages`, beginning its answer with `prefill`. `grids` are
    /// those of the messages' images, in order.
    ///
    /// # Errors
    /// If images and messages do not belong together, or the template or the tokenizer refuses them.
    pub fn prompt(
        &self,
        messages: &[Message],
        prefill: &str,
        grids: &[Grid],
    ) -> Result<Prompt, ProcessError> {
        let parts =
            messages.iter().flat_map(|message| &message.parts).filter(|part| **part == Part::Image).count();
        if parts != grids.len() {
            return Err(ProcessError::ImageCount { parts, grids: grids.len() });
        }
        let messages: Vec<Turn> = messages.iter().map(Turn::from).collect();
        let guard = Guard::new(&self.tokenizer, &messages, prefill)?;
        let rendered: Vec<Value> = messages.iter().map(|turn| turn.render(&guard)).collect();
        let mut text = self.template.render(rendered, true)?;
        text.push_str(&guard.protect(prefill));

        let mut ids = Vec::new();
        let mut images = Vec::new();
        let mut found = 0;
        for piece in self.tokenizer.split(&text) {
            match piece {
                Piece::Text(text) => ids.extend(self.tokenizer.encode_plain(&guard.lift(text))?),
                Piece::Special(id) if id == self.image_token => {
                    if let Some(grid) = grids.get(found).copied() {
                        let tokens = self.tokens(grid)?;
                        images.push(ImageSlot { start: ids.len(), grid });
                        ids.resize(ids.len() + tokens, self.image_token);
                    }
                    found += 1;
                }
                Piece::Special(id) => ids.push(id),
            }
        }
        if found != parts {
            return Err(ProcessError::SlotCount { template: self.template.name(), expected: parts, found });
        }
        Ok(Prompt { sequence: Sequence { ids, images }, text: guard.lift(&text).into_owned() })
    }

    /// How the model wants its images.
    pub fn image_config(&self) -> &ImageConfig {
        &self.images
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The id of the token that stands for a piece of an image.
    pub fn image_token(&self) -> u32 {
        self.image_token
    }

    fn tokens(&self, grid: Grid) -> Result<usize, ProcessError> {
        let merge = self.images.merge_size as usize;
        if grid.patches() == 0 || !grid.h.is_multiple_of(merge) || !grid.w.is_multiple_of(merge) {
            return Err(ProcessError::Unmergeable { h: grid.h, w: grid.w, merge });
        }
        Ok(grid.tokens(merge))
    }
}

/// A message whose neighbouring texts are one, so that no special token can hide between two of them.
struct Turn<'a> {
    role: &'a str,
    /// `None` for an image.
    parts: Vec<Option<String>>,
}

impl<'a> From<&'a Message> for Turn<'a> {
    fn from(message: &'a Message) -> Self {
        let mut parts: Vec<Option<String>> = Vec::new();
        for part in &message.parts {
            match (part, parts.last_mut()) {
                (Part::Image, _) => parts.push(None),
                (Part::Text(text), Some(Some(before))) => before.push_str(text),
                (Part::Text(text), _) => parts.push(Some(text.clone())),
            }
        }
        Self { role: &message.role, parts }
    }
}

impl Turn<'_> {
    fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.role).chain(self.parts.iter().flatten().map(String::as_str))
    }

    /// The form that templates know.
    fn render(&self, guard: &Guard) -> Value {
        let part = |part: &Option<String>| match part {
            None => json!({"type": "image"}),
            Some(text) => json!({"type": "text", "text": guard.protect(text)}),
        };
        json!({"role": guard.protect(self.role), "content": self.parts.iter().map(part).collect::<Vec<_>>()})
    }
}

/// Keeps special tokens that a text merely spells from being taken for the template's.
struct Guard<'a> {
    tokenizer: &'a Tokenizer,
    /// A character that no text has. `None` if there is nothing to guard against, which leaves ordinary texts
    /// entirely alone.
    mark: Option<char>,
}

impl<'a> Guard<'a> {
    fn new(tokenizer: &'a Tokenizer, turns: &[Turn], prefill: &str) -> Result<Self, ProcessError> {
        let texts: Vec<&str> = turns.iter().flat_map(Turn::texts).chain([prefill]).collect();
        let has_special =
            |text: &&str| tokenizer.split(text).iter().any(|piece| matches!(piece, Piece::Special(_)));
        if !texts.iter().any(has_special) {
            return Ok(Self { tokenizer, mark: None });
        }
        // A character for private use, which no template writes.
        let mut marks = ('\u{f0000}'..='\u{ffffd}').chain('\u{100000}'..='\u{10fffd}');
        let taken: HashSet<char> =
            texts.into_iter().chain(tokenizer.specials()).flat_map(str::chars).collect();
        let mark = marks.find(|mark| !taken.contains(mark)).ok_or(ProcessError::NoMark)?;
        Ok(Self { tokenizer, mark: Some(mark) })
    }

    /// `text` with marks all through every look-alike, so that no part of one can match either.
    fn protect<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(mark) = self.mark else { return Cow::Borrowed(text) };
        let mut protected = String::with_capacity(text.len());
        for piece in self.tokenizer.split(text) {
            match piece {
                Piece::Text(text) => protected.push_str(text),
                Piece::Special(id) => {
                    let spelled = self.tokenizer.decode(&[id], false);
                    protected.extend(spelled.chars().flat_map(|letter| [letter, mark]));
                }
            }
        }
        Cow::Owned(protected)
    }

    /// The text that was protected.
    fn lift<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.mark {
            Some(mark) => Cow::Owned(text.replace(mark, "")),
            None => Cow::Borrowed(text),
        }
    }
}
