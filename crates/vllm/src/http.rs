//! Questions to the server, answered in bounded time and memory.

use serde_json::Value;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;
use vigos_core::text::one_line;

/// Where the server wants one, the key that it was started with.
const KEY: &str = "VLLM_API_KEY";
/// Most letters of a server's words.
const WORDS: usize = 200;
/// Most bytes of an answer that is not a completion.
pub(crate) const SHORT: u64 = 1 << 20;

/// Why a question has no answer, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It may have one later: nobody is there, or who is there is in trouble.
    Later(String),
    /// What it names is not known there.
    Unknown(String),
    /// It will never have one.
    Never(String),
}

/// A server and its address.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    agent: Agent,
    pub(crate) address: String,
}

impl Http {
    /// The one at `address`, which is given `wait` for an answer.
    pub(crate) fn new(address: &str, wait: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(wait))
            .http_status_as_error(false)
            // Who is asked is who the user named.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        Self { agent: config.into(), address: address.trim_end_matches('/').to_owned() }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Fault> {
        let mut request = self.agent.get(format!("{}{path}", self.address));
        if let Some(access) = access() {
            request = request.header("Authorization", access);
        }
        let bytes = answer(request.call(), SHORT)?;
        serde_json::from_slice(&bytes).map_err(|error| Fault::Later(format!("{path}: {error}")))
    }

    /// The answer to a JSON text, of at most `most` bytes.
    pub(crate) fn post(&self, path: &str, body: &[u8], most: u64) -> Result<Vec<u8>, Fault> {
        let url = format!("{}{path}", self.address);
        let mut request = self.agent.post(&url).header("Content-Type", "application/json");
        if let Some(access) = access() {
            request = request.header("Authorization", access);
        }
        answer(request.send(body), most)
    }
}

fn access() -> Option<String> {
    let key = std::env::var(KEY).ok().filter(|key| !key.is_empty())?;
    Some(format!("Bearer {key}"))
}

/// The bytes of an answer; of a refusal the server's words.
fn answer(found: Result<Response<ureq::Body>, ureq::Error>, most: u64) -> Result<Vec<u8>, Fault> {
    let later = |error: ureq::Error| Fault::Later(one_line(&error.to_string(), WORDS).into_owned());
    let mut found = found.map_err(later)?;
    let status = found.status();
    let most = if status.is_success() { most } else { SHORT };
    let bytes = found.body_mut().with_config().limit(most).read_to_vec().map_err(later)?;
    if status.is_success() {
        return Ok(bytes);
    }
    let words = format!("answered {}: {}", status.as_u16(), words(&bytes));
    Err(match status.as_u16() {
        404 => Fault::Unknown(words),
        408 | 425 | 429 | 500.. => Fault::Later(words),
        _ => Fault::Never(words),
    })
}

/// What a refusal says.
fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let said: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let message = ["/error/message", "/message", "/detail"].iter().find_map(|at| said.pointer(at)?.as_str());
    one_line(message.unwrap_or(&text), WORDS).into_owned()
}
