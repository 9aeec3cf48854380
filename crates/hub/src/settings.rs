//! Where the hub and its cache are, and how patient to be.

use std::path::PathBuf;
use std::time::Duration;

use hf_hub::Cache;

use crate::error::HubError;

const ENDPOINT: &str = "https://huggingface.co";
const TIMEOUT: Duration = Duration::from_secs(30);

/// The environment variables that the hub's other tools read, and limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The hub's address (`HF_ENDPOINT`).
    pub endpoint: String,
    /// Folder of the cache (`HF_HUB_CACHE`, or `hub` below `HF_HOME`).
    pub cache: PathBuf,
    /// The access token (`HF_TOKEN`, or the file `token` below `HF_HOME`).
    pub token: Option<String>,
    /// Whether to do without network (`HF_HUB_OFFLINE`).
    pub offline: bool,
    /// How long to wait for a connection, an answer, or the next bytes (`HF_HUB_DOWNLOAD_TIMEOUT`, in seconds).
    pub timeout: Duration,
    /// Attempts in a row that bring nothing before giving up.
    pub attempts: u32,
}

impl Settings {
    /// What the environment says.
    ///
    /// # Errors
    /// [`HubError::Setting`] if a variable holds what it cannot.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// What these variables say; an empty one counts as not set.
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self, HubError> {
        let get =
            |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let home = match get("HF_HOME") {
            Some(home) => PathBuf::from(home),
            None => match get("XDG_CACHE_HOME") {
                Some(caches) => PathBuf::from(caches).join("huggingface"),
                None => {
                    let home = get("HOME").or_else(|| get("USERPROFILE"));
                    let missing = || HubError::Setting {
                        variable: "HF_HOME",
                        found: String::new(),
                        wanted: "the folder of the hub's cache, as there is no home folder",
                    };
                    PathBuf::from(home.ok_or_else(missing)?).join(".cache/huggingface")
                }
            },
        };
        let cache = get("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from);
        let endpoint = get("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            let wanted = "an address that starts with https:// or http://";
            return Err(HubError::Setting { variable: "HF_ENDPOINT", found: endpoint, wanted });
        }
        let token = get("HF_TOKEN").or_else(|| Cache::new(home.join("hub")).token());
        if token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            // The token itself is not shown.
            let wanted = "a token without spaces and line breaks";
            return Err(HubError::Setting { variable: "HF_TOKEN", found: "another text".into(), wanted });
        }
        let offline = get("HF_HUB_OFFLINE")
            .is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str()));
        let timeout = match get("HF_HUB_DOWNLOAD_TIMEOUT") {
            None => TIMEOUT,
            Some(text) => match text.parse() {
                Ok(seconds) if (1..=86_400).contains(&seconds) => Duration::from_secs(seconds),
                _ => {
                    let wanted = "a whole number of seconds from 1 to 86400";
                    return Err(HubError::Setting {
                        variable: "HF_HUB_DOWNLOAD_TIMEOUT",
                        found: text,
                        wanted,
                    });
                }
            },
        };
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache,
            token,
            offline,
            timeout,
            attempts: 4,
        })
    }
}
