//! `/v1/chat/completions` and `/v1/completions`: from a request's bytes to what is asked of the model, to its answer.

use crate::answer::{Form, Kind};
use crate::asked::{Asked, How};
use crate::body;
use crate::fields::Fields;
use crate::messages::{Reader, Said};
use crate::refusal::Refusal;
use crate::settings::{MOST_ALTERNATIVES, Settings};
use crate::shared::Shared;
use crate::ticket::Ticket;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::unbounded_channel;
use vigos_processor::{ImagePatches, Sequence};

/// Completions of a text that do not say how long they may be have so many tokens, as OpenAI's.
const TEXT_TOKENS: usize = 16;

/// What `prompt` may be.
#[derive(Deserialize)]
#[serde(untagged)]
enum Prompts {
    Text(String),
    Ids(Vec<u32>),
    Texts(Vec<String>),
    Lists(Vec<Vec<u32>>),
}

/// A prompt with its images.
type Read = (Sequence, Vec<ImagePatches>);

/// `POST /v1/chat/completions`
pub(crate) async fn chat(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(shared, request, Kind::Chat).await.unwrap_or_else(IntoResponse::into_response)
}

/// `POST /v1/completions`
pub(crate) async fn completions(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(shared, request, Kind::Text).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(shared: Arc<Shared>, request: Request, kind: Kind) -> Result<Response, Refusal> {
    let deadline = Instant::now() + shared.limits.time;
    let (bytes, ticket) = body::read(request, &shared, deadline).await?;
    // Images are decoded on a thread that may take its time, by no more of them than there are cores.
    let worker = shared.workers.acquire().await.map_err(|_| Refusal::ending())?;
    let reading = Arc::clone(&shared);
    let prepared = tokio::task::spawn_blocking(move || prepare(&reading, &bytes, kind, ticket)).await;
    drop(worker);
    let Prepared { settings, prompts, ticket } =
        prepared.map_err(|_| Refusal::failed("the request could not be read"))??;

    let adapter = shared.registry.find(&settings.model)?;
    let (events, heard) = unbounded_channel();
    let number = shared.requests.fetch_add(1, Ordering::Relaxed) + 1;
    // A seed is the whole of what draws are keyed by; without one the request's number is part of it.
    let seed = settings.seed.map_or((shared.seed, number), |seed| (seed, 0));
    let (ticket, stops) = (Arc::new(ticket), settings.stops.into());
    let form = Form {
        kind,
        id: format!(
            "{}-{:08x}{number:08x}",
            if kind == Kind::Chat { "chatcmpl" } else { "cmpl" },
            shared.started
        ),
        created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        model: settings.model,
        tokenizer: Arc::clone(&shared.tokenizer),
        logprobs: settings.logprobs.is_some(),
        usage: settings.usage,
        ids: settings.ids,
        prompts: prompts.iter().map(|(prompt, _)| prompt.ids.clone()).collect(),
        choices: settings.choices,
    };
    for (place, (prompt, images)) in prompts.into_iter().enumerate() {
        let how = How {
            sampling: settings.sampling,
            seed,
            max_tokens: settings.max_tokens.unwrap_or(shared.context - prompt.ids.len()),
            stops: Arc::clone(&stops),
            alternatives: settings.logprobs.unwrap_or(0),
            events: events.clone(),
            deadline,
            _ticket: Arc::clone(&ticket),
        };
        // Of several prompts each has draws of its own.
        let index = |choice| place * settings.choices + choice;
        let choices = (0..settings.choices).map(|choice| (index(choice), index(choice) as u64)).collect();
        let asked = Asked { prompt, images, adapter: adapter.clone(), choices, how: how.into() };
        shared.ask(asked)?;
    }
    // Only what is asked holds the other end.
    drop(events);
    if settings.stream { Ok(form.stream(heard)) } else { form.whole(heard).await }
}

/// A request that was read.
struct Prepared {
    settings: Settings,
    prompts: Vec<Read>,
    ticket: Ticket,
}

/// Reads a request whole: a fault in its last key is found before anything is computed.
fn prepare(shared: &Shared, bytes: &[u8], kind: Kind, mut ticket: Ticket) -> Result<Prepared, Refusal> {
    let mut fields = Fields::parse(bytes)?;
    let reader = Reader {
        processor: &shared.processor,
        media: &shared.media,
        limits: &shared.limits,
        context: shared.context,
    };
    let (settings, prompts) = match kind {
        Kind::Chat => {
            let told: bool = fields.take("logprobs", "true or false")?.unwrap_or_default();
            let count: Option<usize> = fields.take("top_logprobs", "a whole number from 0 to 20")?;
            if let Some(count) = count.filter(|count| !told && *count > 0 || *count > MOST_ALTERNATIVES) {
                let wanted = format!("at most {MOST_ALTERNATIVES}, and logprobs = true beside it");
                return Err(Refusal::of("top_logprobs", count.to_string(), &wanted));
            }
            let logprobs = told.then(|| count.unwrap_or(0));
            let settings = Settings::take(&mut fields, logprobs, None, &shared.limits)?;
            shared.registry.find(&settings.model)?;
            let goes_on: bool = fields.take("continue_final_message", "true or false")?.unwrap_or_default();
            let asks: Option<bool> = fields.take("add_generation_prompt", "true or false")?;
            if asks.is_some_and(|asks| asks == goes_on) {
                let wanted = "true, or false together with continue_final_message";
                return Err(Refusal::of("add_generation_prompt", format!("{}", !goes_on), wanted));
            }
            let said: Vec<Said> =
                fields.need("messages", "a list of messages, each with role and content")?;
            fields.end()?;
            let hold = |bytes: usize| shared.places.hold(&mut ticket, bytes);
            (settings, vec![reader.prompt(said, goes_on, hold)?])
        }
        Kind::Text => {
            let logprobs = fields.take("logprobs", "a whole number from 0 to 20")?;
            let settings = Settings::take(&mut fields, logprobs, Some(TEXT_TOKENS), &shared.limits)?;
            shared.registry.find(&settings.model)?;
            let prompts = fields.need("prompt", "a text, a list of token ids, or a list of either")?;
            fields.end()?;
            (settings, texts(shared, prompts)?)
        }
    };
    for (prompt, _) in &prompts {
        let length = prompt.ids.len();
        reader.fits(length)?;
        let room = shared.context - length;
        if let Some(count) = settings.max_tokens.filter(|count| *count > room) {
            let wanted =
                format!("at most {room} behind a prompt of {length}, which this server has room for");
            return Err(Refusal::of("max_tokens", count.to_string(), &wanted).code("context_length_exceeded"));
        }
    }
    let completions = prompts.len().saturating_mul(settings.choices);
    if prompts.is_empty() || completions > shared.limits.choices {
        let found = format!("{completions} completions");
        return Err(Refusal::of(
            "n",
            found,
            &format!("1 to {} for all prompts together", shared.limits.choices),
        ));
    }
    Ok(Prepared { settings, prompts, ticket })
}

/// The prompts of `/v1/completions`, in which special tokens count as such.
fn texts(shared: &Shared, prompts: Prompts) -> Result<Vec<Read>, Refusal> {
    let encoded = |text: String| {
        shared.tokenizer.encode(&text).map_err(|error| Refusal::bad(format!("prompt: {error}")))
    };
    let lists = match prompts {
        Prompts::Text(text) => vec![encoded(text)?],
        Prompts::Ids(ids) => vec![ids],
        Prompts::Texts(texts) => texts.into_iter().map(encoded).collect::<Result<_, _>>()?,
        Prompts::Lists(lists) => lists,
    };
    let vocabulary = shared.model.architecture().text.vocab_size;
    if let Some(id) = lists.iter().flatten().find(|id| **id as usize >= vocabulary) {
        return Err(Refusal::of("prompt", format!("token id {id}"), &format!("ids below {vocabulary}")));
    }
    Ok(lists.into_iter().map(|ids| (Sequence { ids, images: vec![] }, vec![])).collect())
}
