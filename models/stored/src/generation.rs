//! What a model folder says about generation: the tokens that end a completion.

use crate::error::ModelError;
use serde_json::Value;
use std::path::Path;
use vigos_core::files::{FileError, read_limited};
use vigos_core::json;
use vigos_core::keys::whole;
use vigos_core::text::one_line;

const GENERATION: &str = "generation_config.json";
const CONFIG: &str = "config.json";
/// Both files are a page of JSON.
const MAX_FILE: u64 = 1 << 20;

/// The tokens that end a completion: `eos_token_id` of `generation_config.json`, or else of `config.json`,
/// at the top level or under `text_config`.
///
/// # Errors
/// If a file cannot be read, or none of them names a stop token.
pub fn stop_tokens(folder: &Path) -> Result<Vec<u32>, ModelError> {
    let generation = folder.join(GENERATION);
    // The file is optional; one that is there and broken is not.
    if generation.exists()
        && let Some(tokens) = tokens(&generation, &read(&generation)?, "eos_token_id")?
    {
        return Ok(tokens);
    }
    let config = folder.join(CONFIG);
    let value = read(&config)?;
    for key in ["eos_token_id", "text_config.eos_token_id"] {
        if let Some(tokens) = tokens(&config, &value, key)? {
            return Ok(tokens);
        }
    }
    Err(fault(&config, "eos_token_id", "nothing, nor in generation_config.json".into()))
}

/// The value of a dotted `key`: `None` where there is none.
fn tokens(path: &Path, root: &Value, key: &str) -> Result<Option<Vec<u32>>, ModelError> {
    let pointer = format!("/{}", key.replace('.', "/"));
    let found = match root.pointer(&pointer) {
        None | Some(Value::Null) => return Ok(None),
        Some(found) => found,
    };
    let id = |value: &Value| whole(value).and_then(|id| u32::try_from(id).ok());
    let ids: Option<Vec<u32>> = match found {
        Value::Array(ids) => ids.iter().map(id).collect(),
        single => id(single).map(|id| vec![id]),
    };
    match ids {
        Some(ids) if !ids.is_empty() => Ok(Some(ids)),
        _ => Err(fault(path, key, one_line(&found.to_string(), 120).into_owned())),
    }
}

fn read(path: &Path) -> Result<Value, ModelError> {
    let bytes = read_limited(path, MAX_FILE).map_err(|error| ModelError::Read {
        path: path.to_owned(),
        source: match error {
            FileError::Io { source, .. } => source,
            other => std::io::Error::other(other.to_string()),
        },
    })?;
    json::parse(&bytes).map_err(|found| ModelError::Config {
        path: path.to_owned(),
        key: "(whole file)".into(),
        found,
        wanted: "a JSON object".into(),
    })
}

fn fault(path: &Path, key: &str, found: String) -> ModelError {
    let wanted = "a token id or a list of token ids".into();
    ModelError::Config { path: path.to_owned(), key: key.to_owned(), found, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files; an empty text stands for no file.
    fn folder(generation: &str, config: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [(GENERATION, generation), (CONFIG, config)] {
            if !text.is_empty() {
                std::fs::write(dir.path().join(name), text).unwrap();
            }
        }
        dir
    }

    #[test]
    fn the_first_file_that_names_stop_tokens_counts() {
        for (generation, config, wanted) in [
            (r#"{"eos_token_id": [7, 5]}"#, r#"{"eos_token_id": 3}"#, vec![7, 5]),
            (r#"{"eos_token_id": 7}"#, "", vec![7]),
            (r#"{"temperature": 1}"#, r#"{"eos_token_id": 3}"#, vec![3]),
            ("", r#"{"eos_token_id": null, "text_config": {"eos_token_id": 4}}"#, vec![4]),
        ] {
            assert_eq!(stop_tokens(folder(generation, config).path()).unwrap(), wanted);
        }
    }

    #[test]
    fn what_names_no_stop_token_is_refused_by_file_and_key() {
        for (generation, config, named) in [
            ("", "{}", "config.json:eos_token_id"),
            ("", "", "config.json: cannot be read"),
            (r#"{"eos_token_id": "</s>"}"#, "{}", "generation_config.json:eos_token_id"),
            (r#"{"eos_token_id": []}"#, "{}", "generation_config.json:eos_token_id"),
            (r#"{"eos_token_id": -1}"#, "{}", "generation_config.json:eos_token_id"),
            ("{", "{}", "generation_config.json:(whole file)"),
        ] {
            let message = stop_tokens(folder(generation, config).path()).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
