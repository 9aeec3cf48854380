//! Questions to a server, answered in bounded time and memory.

use crate::error::TrackError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::fmt::{self, Debug, Formatter};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;
use vigos_core::text::one_line;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const LONGEST: u64 = 1 << 20;
/// Most letters of a server's words.
const WORDS: usize = 200;

/// What a server wants to see before it takes anything. Never shown.
#[derive(Clone, Default)]
pub enum Access {
    /// Nothing.
    #[default]
    Open,
    /// A token.
    Token(String),
    /// A name and a password.
    Name(String, String),
}

impl Debug for Access {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str("Access")
    }
}

/// A server and its address.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    agent: Agent,
    pub(crate) address: String,
    access: Access,
}

impl Http {
    pub(crate) fn new(address: &str, access: Access) -> Self {
        let config =
            Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        Self { agent: config.into(), address: address.trim_end_matches('/').to_owned(), access }
    }

    /// Asks for something that there may not be.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<Value>, TrackError> {
        let url = format!("{}{path}", self.address);
        let mut request = self.agent.get(&url).query_pairs(query.iter().copied());
        if let Some(access) = self.access() {
            request = request.header("Authorization", access);
        }
        match request.call().map_err(|error| unreachable(&url, &error)).and_then(|found| answer(&url, found))
        {
            Err(TrackError::Refused { status: 404, .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Says something.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, TrackError> {
        let url = format!("{}{path}", self.address);
        let mut request = self.agent.post(&url).header("Content-Type", "application/json");
        if let Some(access) = self.access() {
            request = request.header("Authorization", access);
        }
        let found = request.send(body.to_string().as_bytes());
        found.map_err(|error| unreachable(&url, &error)).and_then(|found| answer(&url, found))
    }

    fn access(&self) -> Option<String> {
        match &self.access {
            Access::Open => None,
            Access::Token(token) => Some(format!("Bearer {token}")),
            Access::Name(name, password) => {
                Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
            }
        }
    }
}

fn unreachable(url: &str, error: &ureq::Error) -> TrackError {
    TrackError::Unreachable { url: url.to_owned(), reason: one_line(&error.to_string(), WORDS).into_owned() }
}

/// What an answer says; of a refusal the server's words.
fn answer(url: &str, mut found: Response<ureq::Body>) -> Result<Value, TrackError> {
    let status = found.status();
    let text = found.body_mut().with_config().limit(LONGEST).read_to_string();
    let text = text.map_err(|error| unreachable(url, &error))?;
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    if status.is_success() {
        return Ok(said);
    }
    let words = said.get("message").and_then(Value::as_str).unwrap_or(&text);
    let message = one_line(words, WORDS).into_owned();
    Err(TrackError::Refused { url: url.to_owned(), status: status.as_u16(), message })
}
