//! Text to token ids, and token ids back to bytes.
//!
//! Two things here are not left to the tokenizer library. Special tokens are found by [`Tokenizer::split`], so
//! that a caller can tell those of a template from look-alikes in a user's text. And an id gives its bytes,
//! not its text: a token may hold half a character, and whoever looks for tags in generated tokens needs to
//! know where exactly each begins.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::panic::catch_unwind;
use std::path::Path;

use serde::de::IgnoredAny;
use tokenizers::DecoderWrapper;
use vigos_core::text::{one_line, panic_words};

use crate::files::{self, FileError};
use crate::tokenizer_config::{Listed, MAX_ID, TokenizerConfig};

/// The file's name in a model's folder.
pub const FILE_NAME: &str = "tokenizer.json";

const MAX_FILE_BYTES: u64 = 256 << 20;
/// What a tokenizer of Python's own has in its place.
const SLOW_FILES: [&str; 2] = ["vocab.json", "merges.txt"];

/// A byte-level BPE tokenizer.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    /// Encodes special tokens as plain text; those are found by `split`.
    inner: tokenizers::Tokenizer,
    /// Bytes of every id, `None` where the vocabulary has a hole.
    bytes: Vec<Option<Box<[u8]>>>,
    /// Special tokens and their ids, longest first.
    specials: Vec<(String, u32)>,
}

/// A stretch of text between special tokens, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Ordinary text, never empty.
    Text(&'a str),
    /// A special token.
    Special(u32),
}

/// Why a tokenizer cannot be loaded or cannot encode.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder has a tokenizer in another form.
    #[error(
        "{folder} has no {FILE_NAME}, but {}; write it in Python with \
         transformers.AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)", SLOW_FILES.join(" and ")
    )]
    Slow {
        /// The model's folder.
        folder: String,
    },
    /// The file is not a tokenizer.
    #[error("{FILE_NAME} cannot be understood: {}", one_line(_0, 200))]
    Malformed(String),
    /// A token that stands beside the tokenizer would get another id than it has there.
    #[error(
        "{place}: found the token {token:?} with id {wanted}, wanted {found}, the id that it has in {FILE_NAME} or gets \
         behind its tokens; save the tokenizer again so that the files agree"
    )]
    OtherId {
        /// The file and key.
        place: String,
        /// The token.
        token: String,
        /// Its id there.
        wanted: u32,
        /// Its id here.
        found: u32,
    },
    /// The tokenizer is of a kind whose ids do not map to bytes.
    #[error("{FILE_NAME}: `decoder` is {found}, wanted ByteLevel, as Qwen models have it")]
    NotByteLevel {
        /// The decoder's kind.
        found: String,
    },
    /// A token has an id beyond any vocabulary.
    #[error("{FILE_NAME}: token {token:?} has id {id}, wanted at most {MAX_ID}")]
    IdTooLarge {
        /// The token.
        token: String,
        /// Its id.
        id: u32,
    },
    /// A special token wants its surroundings taken into account.
    #[error("{FILE_NAME}: special token {token:?} sets `{flag}`, which is not supported")]
    SpecialFlag {
        /// The token.
        token: String,
        /// The flag: `lstrip`, `rstrip` or `single_word`.
        flag: &'static str,
    },
    /// The tokenizer refuses a text.
    #[error("the text cannot be encoded: {0}")]
    Encode(String),
}

impl Tokenizer {
    /// The tokenizer of the model in `folder`: its `tokenizer.json`, and tokens that stand in `tokenizer_config.json`
    /// or the files before it alone.
    ///
    /// # Errors
    /// If a file cannot be read or understood, it is not a byte-level tokenizer, or the files disagree.
    pub fn from_dir(folder: &Path) -> Result<Self, TokenizerError> {
        let path = folder.join(FILE_NAME);
        if !path.exists() && SLOW_FILES.iter().all(|name| folder.join(name).is_file()) {
            return Err(TokenizerError::Slow { folder: folder.display().to_string() });
        }
        let json = files::read_own(&path, MAX_FILE_BYTES)?;
        Self::with_listed(&json, TokenizerConfig::of_folder(folder)?.listed)
    }

    /// The tokenizer in the file at `path`.
    ///
    /// # Errors
    /// If the file cannot be read or is not a byte-level tokenizer.
    pub fn from_file(path: &Path) -> Result<Self, TokenizerError> {
        Self::from_bytes(&files::read_own(path, MAX_FILE_BYTES)?)
    }

    /// The tokenizer in the JSON of a `tokenizer.json`.
    ///
    /// # Errors
    /// If it is not a byte-level tokenizer.
    pub fn from_bytes(json: &[u8]) -> Result<Self, TokenizerError> {
        Self::with_listed(json, Vec::new())
    }

    fn with_listed(json: &[u8], listed: Vec<Listed>) -> Result<Self, TokenizerError> {
        let malformed = |error: tokenizers::Error| TokenizerError::Malformed(error.to_string());
        let mut inner = read(json).map_err(malformed)?;
        // A prompt is never cut or filled up behind the caller's back.
        inner.with_truncation(None).map_err(malformed)?.with_padding(None);
        inner.set_encode_special_tokens(true);
        add(&mut inner, listed)?;
        check_decoder(&inner)?;
        let specials = special_tokens(&inner)?;
        let bytes = byte_table(&inner)?;
        Ok(Self { inner, bytes, specials })
    }

    /// The ids of `text`, in which special tokens count as such. Nothing is added before or after.
    ///
    /// # Errors
    /// If the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = Vec::new();
        for piece in self.split(text) {
            match piece {
                Piece::Text(text) => ids.extend(self.encode_plain(text)?),
                Piece::Special(id) => ids.push(id),
            }
        }
        Ok(ids)
    }

    /// The ids of `text`, in which a special token is the characters it is written with.
    ///
    /// # Errors
    /// If the tokenizer refuses the text.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.inner.encode_fast(text, false);
        Ok(encoding.map_err(|error| TokenizerError::Encode(error.to_string()))?.get_ids().to_vec())
    }

    /// `text` cut at its special tokens: the leftmost first, the longest of those that start together.
    pub fn split<'a>(&self, text: &'a str) -> Vec<Piece<'a>> {
        let mut pieces = Vec::new();
        let mut start = 0;
        let mut at = 0;
        while let Some(next) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let rest = &text[at..];
            if let Some((token, id)) =
                self.specials.iter().find(|(token, _)| rest.starts_with(token.as_str()))
            {
                if start < at {
                    pieces.push(Piece::Text(&text[start..at]));
                }
                pieces.push(Piece::Special(*id));
                at += token.len();
                start = at;
            } else {
                at += next.len_utf8();
            }
        }
        if start < at {
            pieces.push(Piece::Text(&text[start..at]));
        }
        pieces
    }

    /// The bytes that token `id` stands for; a special token gives what it is written with. `None` if the
    /// vocabulary has no such id (a model's embedding may have more rows than there are tokens).
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.bytes.get(id as usize)?.as_deref()
    }

    /// The text of `ids`. Bytes that are no UTF-8 become U+FFFD, ids that are no token nothing.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        let kept = ids.iter().filter(|id| !(skip_special && self.is_special(**id)));
        let bytes: Vec<u8> = kept.filter_map(|id| self.token_bytes(*id)).flatten().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The id of a token, written as in the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Whether `id` is a special token.
    pub fn is_special(&self, id: u32) -> bool {
        self.specials.iter().any(|(_, special)| *special == id)
    }

    /// The special tokens, longest first.
    pub fn specials(&self) -> impl Iterator<Item = &str> {
        self.specials.iter().map(|(token, _)| token.as_str())
    }

    /// One more than the highest id.
    pub fn vocab_size(&self) -> usize {
        self.bytes.len()
    }
}

/// Adds the tokens that other files list. One that a file describes counts as it is described there; one that is only
/// named is added where it is no token yet.
/// Reads a tokenizer; the library panics on a file that is cut off in the midst of a part.
fn read(json: &[u8]) -> Result<tokenizers::Tokenizer, tokenizers::Error> {
    serde_json::from_slice::<IgnoredAny>(json)?;
    // Nothing outlives the panic but its words.
    let read = catch_unwind(|| tokenizers::Tokenizer::from_bytes(json));
    read.unwrap_or_else(|panic| Err(panic_words(panic.as_ref()).unwrap_or("it is malformed").into()))
}

fn add(tokenizer: &mut tokenizers::Tokenizer, listed: Vec<Listed>) -> Result<(), TokenizerError> {
    let known: HashSet<String> =
        tokenizer.get_added_tokens_decoder().into_values().map(|token| token.content).collect();
    let mut described: HashSet<String> = HashSet::new();
    let (mut tokens, mut ids) = (Vec::new(), Vec::new());
    for Listed { token, id } in listed {
        if token.content.is_empty() {
            continue;
        }
        match id {
            Some((id, place)) => ids.push((token.content.clone(), id, place)),
            None if known.contains(&token.content) || described.contains(&token.content) => continue,
            None => {}
        }
        described.insert(token.content.clone());
        tokens.push(token);
    }
    tokenizer.add_tokens(tokens).map_err(|error| TokenizerError::Malformed(error.to_string()))?;
    for (token, wanted, place) in ids {
        match tokenizer.token_to_id(&token) {
            Some(found) if found != wanted => {
                let [token, place] = [one_line(&token, 80), one_line(&place, 160)].map(Cow::into_owned);
                return Err(TokenizerError::OtherId { place, token, wanted, found });
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_decoder(tokenizer: &tokenizers::Tokenizer) -> Result<(), TokenizerError> {
    let kind = |decoder: &DecoderWrapper| {
        let json = serde_json::to_value(decoder).unwrap_or_default();
        json.get("type").and_then(|kind| kind.as_str()).unwrap_or("of an unknown type").to_owned()
    };
    match tokenizer.get_decoder() {
        Some(DecoderWrapper::ByteLevel(_)) => Ok(()),
        Some(other) => Err(TokenizerError::NotByteLevel { found: kind(other) }),
        None => Err(TokenizerError::NotByteLevel { found: "absent".into() }),
    }
}

fn special_tokens(tokenizer: &tokenizers::Tokenizer) -> Result<Vec<(String, u32)>, TokenizerError> {
    let mut specials = Vec::new();
    for (id, token) in tokenizer.get_added_tokens_decoder() {
        if !token.special || token.content.is_empty() {
            continue;
        }
        let flags = [("lstrip", token.lstrip), ("rstrip", token.rstrip), ("single_word", token.single_word)];
        if let Some((flag, _)) = flags.into_iter().find(|(_, set)| *set) {
            return Err(TokenizerError::SpecialFlag { token: token.content, flag });
        }
        specials.push((token.content, id));
    }
    specials.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    Ok(specials)
}

/// Every id's bytes, worked out once.
fn byte_table(tokenizer: &tokenizers::Tokenizer) -> Result<Vec<Option<Box<[u8]>>>, TokenizerError> {
    let alphabet = byte_alphabet();
    let added = tokenizer.get_added_tokens_decoder();
    let mut table = Vec::new();
    for (token, id) in tokenizer.get_vocab(true) {
        if id > MAX_ID {
            return Err(TokenizerError::IdTooLarge { token, id });
        }
        let spelled: Option<Vec<u8>> = token.chars().map(|letter| alphabet.get(&letter).copied()).collect();
        // Added tokens are plain text; so is, in the library's eyes, a piece with a foreign letter.
        let bytes = match spelled {
            Some(bytes) if !added.contains_key(&id) => bytes,
            _ => token.into_bytes(),
        };
        let index = id as usize;
        if table.len() <= index {
            table.resize(index + 1, None);
        }
        table[index] = Some(bytes.into_boxed_slice());
    }
    Ok(table)
}

/// The letter that byte-level BPE writes for each byte, reversed: printable Latin-1 stands for itself, the rest
/// in order for the letters from U+0100 on.
fn byte_alphabet() -> HashMap<char, u8> {
    let is_printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let printable = (0..=u8::MAX).filter(|byte| is_printable(*byte)).map(|byte| (char::from(byte), byte));
    let shifted = ('\u{100}'..).zip((0..=u8::MAX).filter(|byte| !is_printable(*byte)));
    printable.chain(shifted).collect()
}
