//! What stands beside `tokenizer.json`: `tokenizer_config.json`, and the two files that were written before it had all.
//!
//! Tokens that were added to a tokenizer of Python's own stand here alone. They are added as Transformers adds them:
//! those of `added_tokens_decoder` by their numbers, then the named ones, then the further special ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::AddedToken;
use vigos_core::keys::{KeyError, Keys};

use crate::files::{FileError, read_optional_json};

/// The file's name in a model's folder.
pub(crate) const FILE_NAME: &str = "tokenizer_config.json";
const SPECIAL_FILE: &str = "special_tokens_map.json";
const ADDED_FILE: &str = "added_tokens.json";

const MAX_FILE_BYTES: u64 = 16 << 20;
/// Ids above this are not a vocabulary's.
pub(crate) const MAX_ID: u32 = 1 << 24;
const DECODER: &str = "added_tokens_decoder";
/// Lists of further special tokens, by their newer and their older name.
const EXTRA: [&str; 2] = ["extra_special_tokens", "additional_special_tokens"];
const TOKEN: &str = "a token: a text, or an object with `content`";
const TOKENS: &str = "a list of tokens: texts, or objects with `content`";

/// The file, read.
#[derive(Debug)]
pub(crate) struct TokenizerConfig {
    path: PathBuf,
    root: Value,
    /// Tokens with names, such as `eos_token`.
    named: BTreeMap<String, AddedToken>,
    /// Every token that a file lists, in the order in which they are added.
    pub(crate) listed: Vec<Listed>,
}

/// A token that a file lists.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The token.
    pub(crate) token: AddedToken,
    /// The id that the file gives it, and where.
    pub(crate) id: Option<(u32, String)>,
}

impl TokenizerConfig {
    /// What the files of `folder` say; nothing where there are none.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self, FileError> {
        let path = folder.join(FILE_NAME);
        let root = read_optional_json(&path, MAX_FILE_BYTES)?.unwrap_or_else(|| Map::new().into());
        let keys = Keys::of(&path, &root)?;
        let decoder = keys.get(DECODER);
        // What has the one has all; the older files may be left from another day.
        let older = |name: &str| match decoder {
            Some(_) => Ok(None),
            None => read_optional_json(&folder.join(name), MAX_FILE_BYTES),
        };
        let special_path = folder.join(SPECIAL_FILE);
        let special = older(SPECIAL_FILE)?;
        let special = special.as_ref().map(|special| Keys::of(&special_path, special)).transpose()?;

        let mut named = named(&keys)?;
        let mut extra = extra(&keys)?;
        if let Some(special) = &special {
            named.extend(self::named(special)?);
            extra.extend(self::extra(special)?);
        }
        let mut listed = match (decoder, older(ADDED_FILE)?) {
            (Some(decoder), _) => decoded(&keys.below(DECODER, decoder)?)?,
            (None, Some(added)) => {
                let path = folder.join(ADDED_FILE);
                let is_special = |text: &str| named.values().chain(&extra).any(|token| token.content == text);
                numbered(&Keys::of(&path, &added)?, is_special)?
            }
            (None, None) => Vec::new(),
        };
        listed.extend(named.values().chain(&extra).map(|token| Listed { token: token.clone(), id: None }));
        Ok(Self { named, listed, path, root })
    }

    /// Its keys.
    pub(crate) fn keys(&self) -> Result<Keys<'_>, KeyError> {
        Keys::of(&self.path, &self.root)
    }

    /// The text of a token with a name.
    pub(crate) fn named(&self, name: &str) -> Option<String> {
        self.named.get(name).map(|token| token.content.clone())
    }
}

/// Tokens by their ids, each an object.
fn decoded(keys: &Keys) -> Result<Vec<Listed>, KeyError> {
    let mut listed = Vec::new();
    for (key, value) in keys.all() {
        let id = key.parse().ok().filter(|id| *id <= MAX_ID);
        let id: u32 = id.ok_or_else(|| keys.value(key, &key.into(), "a token's id for a key"))?;
        let token = token(&keys.below(key, value)?)?.ok_or_else(|| keys.fault(key, TOKEN))?;
        listed.push((id, token, key));
    }
    listed.sort_by_key(|(id, ..)| *id);
    let place = |key: &str| format!("{FILE_NAME}:{DECODER}.{key}");
    Ok(listed.into_iter().map(|(id, token, key)| Listed { token, id: Some((id, place(key))) }).collect())
}

/// Ids by their tokens.
fn numbered(keys: &Keys, is_special: impl Fn(&str) -> bool) -> Result<Vec<Listed>, KeyError> {
    let mut listed = Vec::new();
    for (text, found) in keys.all() {
        let id = found.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|id| *id <= MAX_ID);
        let id = id.ok_or_else(|| keys.value(text, found, "a token's id"))?;
        let id = Some((id, format!("{ADDED_FILE}:{text}")));
        listed.push(Listed { token: AddedToken::from(text, is_special(text)), id });
    }
    listed.sort_by_key(|listed| listed.id.as_ref().map(|(id, _)| *id));
    Ok(listed)
}

/// Tokens under names such as `eos_token`, and those of a table of further ones.
fn named(keys: &Keys) -> Result<BTreeMap<String, AddedToken>, KeyError> {
    let mut named = BTreeMap::new();
    for (key, value) in keys.all().filter(|(key, _)| key.ends_with("_token")) {
        match value {
            Value::String(text) => drop(named.insert(key.to_owned(), special(text))),
            Value::Object(_) => {
                let token = token(&keys.below(key, value)?)?.ok_or_else(|| keys.fault(key, TOKEN))?;
                named.insert(key.to_owned(), token.special(true));
            }
            // Such as `add_bos_token`.
            Value::Bool(_) => {}
            _ => return Err(keys.fault(key, TOKEN)),
        }
    }
    if let Some(value @ Value::Object(_)) = keys.get(EXTRA[0]) {
        let table = keys.below(EXTRA[0], value)?;
        for (key, value) in table.all() {
            let text = value.as_str().ok_or_else(|| table.fault(key, TOKEN))?;
            named.entry(key.to_owned()).or_insert_with(|| special(text));
        }
    }
    Ok(named)
}

/// The further special tokens of a list: the newer one, or the older one where that is empty.
fn extra(keys: &Keys) -> Result<Vec<AddedToken>, KeyError> {
    let mut tokens = Vec::new();
    for key in EXTRA {
        let items = match keys.get(key) {
            // A table of named ones.
            None | Some(Value::Object(_)) => continue,
            Some(Value::Array(items)) => items,
            Some(_) => return Err(keys.fault(key, TOKENS)),
        };
        for item in items {
            tokens.push(match item {
                Value::String(text) => special(text),
                Value::Object(_) => {
                    token(&keys.below(key, item)?)?.ok_or_else(|| keys.fault(key, TOKENS))?.special(true)
                }
                _ => return Err(keys.value(key, item, TOKENS)),
            });
        }
        if !tokens.is_empty() {
            break;
        }
    }
    Ok(tokens)
}

fn special(text: &str) -> AddedToken {
    AddedToken::from(text, true)
}

/// A token that is an object; none if it has no text.
fn token(keys: &Keys) -> Result<Option<AddedToken>, KeyError> {
    let Some(text) = keys.text("content")? else { return Ok(None) };
    let flag = |name: &str| keys.flag(name).map(|set| set.unwrap_or(false));
    let token = AddedToken::from(text, flag("special")?)
        .single_word(flag("single_word")?)
        .lstrip(flag("lstrip")?)
        .rstrip(flag("rstrip")?);
    Ok(Some(match keys.flag("normalized")? {
        Some(normalized) => token.normalized(normalized),
        None => token,
    }))
}
