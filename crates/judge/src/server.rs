//! Questions to an OpenAI-compatible server, answered in bounded time and memory.

use std::fmt::{self, Debug, Formatter};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Response;
use vigos_core::text::one_line;

/// Most bytes of an answer.
const LONGEST: u64 = 1 << 20;
/// Most letters of a server's words.
const WORDS: usize = 200;
/// Most tokens of a reply: a number is wanted, and some models say a sentence first.
const MOST_TOKENS: usize = 256;
/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A server and the model there.
pub(crate) struct Server {
    agent: Agent,
    pub(crate) url: String,
    pub(crate) model: String,
    key: Option<String>,
}

/// What a model said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) text: String,
    /// Tokens that it read, as the server counts; 0 where it does not say.
    pub(crate) read: u64,
    /// Tokens that it wrote.
    pub(crate) written: u64,
}

/// Why there was no reply.
pub(crate) enum Fault {
    /// It may pass: after so long, if the server says.
    Passing { reason: String, wait: Option<Duration> },
    /// It will not.
    Lasting { status: u16, message: String },
}

impl Debug for Server {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "Server({})", self.url)
    }
}

impl Server {
    /// A server at `address`, such as `http://127.0.0.1:8000/v1`.
    pub(crate) fn new(address: &str, model: &str, key: Option<String>, timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // A key goes nowhere but where it was meant for.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        let url = format!("{}/chat/completions", address.trim_end_matches('/'));
        Self { agent: config.into(), url, model: model.to_owned(), key }
    }

    /// Asks once.
    pub(crate) fn ask(&self, prompt: &str, temperature: f64) -> Result<Reply, Fault> {
        let body = json!({
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": temperature,
            "max_tokens": MOST_TOKENS,
        });
        let mut request = self.agent.post(&self.url).header("Content-Type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        match request.send(body.to_string().as_bytes()) {
            Err(error) => Err(passing(&error.to_string())),
            Ok(found) => self.read(found),
        }
    }

    fn read(&self, mut found: Response<ureq::Body>) -> Result<Reply, Fault> {
        let status = found.status().as_u16();
        let wait = found.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let text = found.body_mut().with_config().limit(LONGEST).lossy_utf8(true).read_to_string();
        let text = text.map_err(|error| passing(&error.to_string()))?;
        let said: Option<Value> = serde_json::from_str(&text).ok();
        if status == 200 {
            return reply(said.as_ref(), &text).map_err(|reason| passing(&reason));
        }
        let words = said.as_ref().and_then(|said| {
            said.pointer("/error/message").or_else(|| said.get("message")).and_then(Value::as_str)
        });
        let message = self.without_key(&one_line(words.unwrap_or(&text), WORDS));
        match status {
            408 | 409 | 425 | 429 | 500.. => Err(Fault::Passing {
                reason: format!("answered {status}: {message}"),
                wait: wait.map(|wait| wait.min(LONGEST_WAIT)),
            }),
            _ => Err(Fault::Lasting { status, message }),
        }
    }

    /// A server may repeat what it was sent.
    fn without_key(&self, words: &str) -> String {
        match self.key.as_deref().filter(|key| !key.is_empty()) {
            Some(key) => words.replace(key, "…"),
            None => words.to_owned(),
        }
    }
}

fn passing(reason: &str) -> Fault {
    Fault::Passing { reason: one_line(reason, WORDS).into_owned(), wait: None }
}

/// The reply in an answer, or what is wrong with it.
fn reply(said: Option<&Value>, text: &str) -> Result<Reply, String> {
    let said = said.ok_or_else(|| format!("answered what is not JSON: {}", one_line(text, 80)))?;
    let count = |field: &str| {
        said.get("usage").and_then(|usage| usage.get(field)).and_then(Value::as_u64).unwrap_or_default()
    };
    let content = said
        .pointer("/choices/0/message/content")
        .and_then(Value::as_str)
        .ok_or("answered JSON without choices[0].message.content; is it an OpenAI-compatible server?")?;
    Ok(Reply { text: content.to_owned(), read: count("prompt_tokens"), written: count("completion_tokens") })
}
