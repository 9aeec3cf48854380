//! What a client reads: an object, or a stream of them.

use crate::asked::{Event, Told};
use crate::refusal::Refusal;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;
use vigos_processor::Tokenizer;
use vigos_rollout::engine::Finish;

/// What stands for a log-probability that JSON has no number for.
const LEAST_LOGPROB: f64 = -9999.0;

/// Which endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Text,
}

/// How an answer looks.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// Whether log-probabilities are told.
    pub(crate) logprobs: bool,
    /// Whether a stream ends with the numbers of tokens.
    pub(crate) usage: bool,
    /// Whether the ids of tokens are told.
    pub(crate) ids: bool,
    /// Those of each prompt, in which an image has all of its tokens.
    pub(crate) prompts: Vec<Vec<u32>>,
    /// Completions of each prompt.
    pub(crate) choices: usize,
}

/// A completion as far as it is known.
#[derive(Debug, Default)]
struct Made {
    text: String,
    tokens: Vec<Token>,
    finish: Option<Finish>,
}

#[derive(Debug)]
struct Token {
    id: u32,
    logprob: f64,
    alternatives: Vec<(u32, f64)>,
}

impl Form {
    /// The whole answer, once all completions are there.
    ///
    /// # Errors
    /// If they cannot be.
    pub(crate) async fn whole(&self, mut events: UnboundedReceiver<Event>) -> Result<Response, Refusal> {
        let mut made: Vec<Made> = Vec::new();
        made.resize_with(self.completions(), Made::default);
        let mut open = made.len();
        while open > 0 {
            match events.recv().await {
                Some(Event::Token(told)) => {
                    open -= usize::from(told.finish.is_some());
                    if let Some(completion) = made.get_mut(told.choice) {
                        completion.add(told);
                    }
                }
                Some(Event::Failed(refusal)) => return Err(refusal),
                None => return Err(Refusal::failed("the model is gone")),
            }
        }
        let tokens = made.iter().map(|completion| completion.tokens.len()).sum();
        let choices: Vec<Value> =
            made.iter().enumerate().map(|(index, made)| self.choice(index, made)).collect();
        let kind = if self.kind == Kind::Chat { "chat.completion" } else { "text_completion" };
        let mut body = self.head(kind, choices);
        body.insert("usage".into(), self.usage(tokens));
        if self.ids && self.kind == Kind::Chat {
            body.insert("prompt_token_ids".into(), json!(self.prompts.first()));
        }
        Ok(Json(Value::Object(body)).into_response())
    }

    /// The answer piece by piece, as server-sent events. A client that is gone drops it, and with it the other end of
    /// `events`.
    pub(crate) fn stream(self, events: UnboundedReceiver<Event>) -> Response {
        let open = self.completions();
        let first: VecDeque<String> = match self.kind {
            Kind::Chat => (0..open)
                .map(|index| self.chunk(index, json!({"role": "assistant", "content": ""}), None))
                .collect(),
            Kind::Text => VecDeque::new(),
        };
        let stream = Stream { form: self, events, ready: first, open, tokens: 0, ended: false };
        let body = unfold(stream, |mut stream| async move {
            let piece = stream.next().await?;
            Some((Ok::<_, Infallible>(Bytes::from(format!("data: {piece}\n\n"))), stream))
        });
        let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
        (headers, Body::from_stream(body)).into_response()
    }

    fn completions(&self) -> usize {
        self.prompts.len() * self.choices
    }

    /// What every object begins with.
    fn head(&self, kind: &str, choices: Vec<Value>) -> Map<String, Value> {
        let mut head = Map::new();
        head.insert("id".into(), json!(self.id));
        head.insert("object".into(), json!(kind));
        head.insert("created".into(), json!(self.created));
        head.insert("model".into(), json!(self.model));
        head.insert("choices".into(), Value::Array(choices));
        head
    }

    fn usage(&self, completion: usize) -> Value {
        let prompt: usize = self.prompts.iter().map(Vec::len).sum();
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
    }

    /// A completion of the whole answer.
    fn choice(&self, index: usize, made: &Made) -> Value {
        let mut choice = Map::new();
        choice.insert("index".into(), json!(index));
        match self.kind {
            Kind::Chat => choice.insert("message".into(), json!({"role": "assistant", "content": made.text})),
            Kind::Text => choice.insert("text".into(), json!(made.text)),
        };
        choice.insert("logprobs".into(), self.logprobs(&made.tokens));
        choice.insert("finish_reason".into(), json!(made.finish));
        if self.ids {
            choice.insert(
                "token_ids".into(),
                json!(made.tokens.iter().map(|token| token.id).collect::<Vec<_>>()),
            );
            if self.kind == Kind::Text {
                choice
                    .insert("prompt_token_ids".into(), json!(self.prompts.get(index / self.choices.max(1))));
            }
        }
        Value::Object(choice)
    }

    /// A piece of a stream: of a chat the change of a message, else a text.
    fn chunk(&self, index: usize, delta: Value, told: Option<&Made>) -> String {
        let mut choice = Map::new();
        choice.insert("index".into(), json!(index));
        choice.insert(if self.kind == Kind::Chat { "delta" } else { "text" }.into(), delta);
        let tokens = told.map_or(&[][..], |made| &made.tokens);
        choice.insert("logprobs".into(), self.logprobs(tokens));
        choice.insert("finish_reason".into(), json!(told.and_then(|made| made.finish)));
        if self.ids {
            choice.insert("token_ids".into(), json!(tokens.iter().map(|token| token.id).collect::<Vec<_>>()));
        }
        Value::Object(self.head(self.chunk_kind(), vec![Value::Object(choice)])).to_string()
    }

    fn chunk_kind(&self) -> &'static str {
        if self.kind == Kind::Chat { "chat.completion.chunk" } else { "text_completion" }
    }

    fn logprobs(&self, tokens: &[Token]) -> Value {
        if !self.logprobs || tokens.is_empty() {
            return Value::Null;
        }
        match self.kind {
            Kind::Chat => {
                let named = |id, logprob| {
                    let bytes = self.tokenizer.token_bytes(id).unwrap_or_default();
                    json!({"token": self.piece(id), "logprob": finite(logprob), "bytes": bytes})
                };
                let content = tokens.iter().map(|token| {
                    let mut said = named(token.id, token.logprob);
                    said["top_logprobs"] =
                        token.alternatives.iter().map(|(id, logprob)| named(*id, *logprob)).collect();
                    said
                });
                json!({"content": content.collect::<Vec<_>>(), "refusal": null})
            }
            Kind::Text => {
                let pieces: Vec<String> = tokens.iter().map(|token| self.piece(token.id)).collect();
                let offsets = pieces.iter().scan(0, |at, piece| {
                    let before = *at;
                    *at += piece.chars().count();
                    Some(before)
                });
                let best = tokens.iter().map(|token| {
                    let named = token.alternatives.iter();
                    named
                        .map(|(id, logprob)| (self.piece(*id), json!(finite(*logprob))))
                        .collect::<Map<_, _>>()
                });
                json!({
                    "text_offset": offsets.collect::<Vec<usize>>(),
                    "tokens": pieces,
                    "token_logprobs": tokens.iter().map(|token| finite(token.logprob)).collect::<Vec<_>>(),
                    "top_logprobs": best.collect::<Vec<_>>(),
                })
            }
        }
    }

    /// A token as it is written.
    fn piece(&self, id: u32) -> String {
        self.tokenizer.decode(&[id], false)
    }
}

impl Made {
    fn add(&mut self, Told { token, logprob, alternatives, text, finish, .. }: Told) {
        self.text += &text;
        self.tokens.push(Token { id: token, logprob, alternatives });
        self.finish = finish;
    }
}

/// An answer that is read piece by piece.
struct Stream {
    form: Form,
    events: UnboundedReceiver<Event>,
    /// Pieces that were made and not read.
    ready: VecDeque<String>,
    /// Completions that go on.
    open: usize,
    tokens: usize,
    ended: bool,
}

impl Stream {
    /// The next piece, `[DONE]` at last.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            if self.ended {
                return None;
            }
            if self.open == 0 {
                self.ended = true;
                if self.form.usage {
                    let mut last = self.form.head(self.form.chunk_kind(), vec![]);
                    last.insert("usage".into(), self.form.usage(self.tokens));
                    self.ready.push_back(Value::Object(last).to_string());
                }
                self.ready.push_back("[DONE]".to_owned());
                continue;
            }
            match self.events.recv().await {
                Some(Event::Token(told)) => self.take(told),
                Some(Event::Failed(refusal)) => self.fail(&refusal),
                None => self.fail(&Refusal::failed("the model is gone")),
            }
        }
    }

    /// A token that shows nothing yet is told only where tokens are asked for.
    fn take(&mut self, told: Told) {
        self.tokens += 1;
        self.open -= usize::from(told.finish.is_some()).min(self.open);
        let index = told.choice;
        let shows = !told.text.is_empty() || told.finish.is_some() || self.form.logprobs || self.form.ids;
        if shows {
            let mut made = Made::default();
            made.add(told);
            let delta = match self.form.kind {
                Kind::Chat if made.text.is_empty() => json!({}),
                Kind::Chat => json!({"content": made.text}),
                Kind::Text => json!(made.text),
            };
            self.ready.push_back(self.form.chunk(index, delta, Some(&made)));
        }
    }

    /// The status was sent long ago: what went wrong is the stream's last word.
    fn fail(&mut self, refusal: &Refusal) {
        self.ended = true;
        self.ready.push_back(refusal.body().to_string());
    }
}

fn finite(logprob: f64) -> f64 {
    logprob.max(LEAST_LOGPROB)
}
