//! How completions are asked for: what both endpoints have in common.

use crate::fields::Fields;
use crate::limits::Limits;
use crate::refusal::Refusal;
use serde::Deserialize;
use vigos_rollout::sampler::{Sampling, SamplingError};

/// The most stop texts, and the most bytes of one.
const STOPS: (usize, usize) = (16, 1024);
/// The most alternatives to a token that are told.
pub(crate) const MOST_ALTERNATIVES: usize = 20;

/// Keys that no answer depends on.
const IGNORED: &[&str] =
    &["user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"];

/// Keys of what is not supported, with the values that ask for nothing.
const REFUSED: &[(&str, &[&str])] = &[
    ("tools", &[]),
    ("tool_choice", &["\"none\"", "\"auto\""]),
    ("parallel_tool_calls", &["true"]),
    ("functions", &[]),
    ("function_call", &["\"none\"", "\"auto\""]),
    ("response_format", &[r#"{"type":"text"}"#]),
    ("logit_bias", &[]),
    ("modalities", &[]),
    ("audio", &[]),
    ("echo", &[]),
    ("suffix", &["\"\""]),
    ("best_of", &["1"]),
];

/// How completions are asked for.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The name of the model or adapter.
    pub(crate) model: String,
    pub(crate) sampling: Sampling,
    pub(crate) seed: Option<u64>,
    /// Completions of each prompt.
    pub(crate) choices: usize,
    /// Most tokens of a completion, where the client says.
    pub(crate) max_tokens: Option<usize>,
    /// Texts that end a completion.
    pub(crate) stops: Vec<String>,
    pub(crate) stream: bool,
    /// Whether a stream ends with the numbers of tokens.
    pub(crate) usage: bool,
    /// Whether the ids of tokens are told.
    pub(crate) ids: bool,
    /// Alternatives to each token that are told, if log-probabilities are.
    pub(crate) logprobs: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

impl Settings {
    /// Takes the keys that both endpoints have; `logprobs` was taken by the one that is asked.
    ///
    /// # Errors
    /// If one is wrong.
    pub(crate) fn take(
        fields: &mut Fields,
        logprobs: Option<usize>,
        default_tokens: Option<usize>,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        fields.ignore(IGNORED);
        fields.refuse(REFUSED)?;
        if let Some(count) = logprobs.filter(|count| *count > MOST_ALTERNATIVES) {
            let wanted = format!("at most {MOST_ALTERNATIVES}");
            return Err(Refusal::of("logprobs", count.to_string(), &wanted));
        }
        let most = limits.choices;
        let choices: u64 = fields.take("n", &format!("a whole number from 1 to {most}"))?.unwrap_or(1);
        let choices = usize::try_from(choices).ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| {
            Refusal::of("n", choices.to_string(), &format!("a whole number from 1 to {most}"))
        })?;
        let tokens = "a whole number, at least 1";
        let newer: Option<u64> = fields.take("max_completion_tokens", tokens)?;
        let older: Option<u64> = fields.take("max_tokens", tokens)?;
        let max_tokens = match newer.or(older) {
            Some(0) => return Err(Refusal::of("max_tokens", "0", tokens)),
            Some(count) => Some(usize::try_from(count).unwrap_or(usize::MAX)),
            None => default_tokens,
        };
        let options: StreamOptions =
            fields.take("stream_options", "an object with include_usage")?.unwrap_or_default();
        Ok(Self {
            model: fields.need("model", "the name of a model")?,
            sampling: sampling(fields)?,
            seed: seed(fields)?,
            choices,
            max_tokens,
            stops: stops(fields)?,
            stream: fields.take("stream", "true or false")?.unwrap_or_default(),
            usage: options.include_usage,
            ids: fields.take("return_token_ids", "true or false")?.unwrap_or_default(),
            logprobs,
        })
    }
}

fn sampling(fields: &mut Fields) -> Result<Sampling, Refusal> {
    let mut number = |key, neutral: f64| fields.take(key, "a number").map(|found| found.unwrap_or(neutral));
    let (temperature, top_p, min_p) =
        (number("temperature", 1.0)?, number("top_p", 1.0)?, number("min_p", 0.0)?);
    let repetition_penalty = number("repetition_penalty", 1.0)?;
    let (presence_penalty, frequency_penalty) =
        (number("presence_penalty", 0.0)?, number("frequency_penalty", 0.0)?);
    let top_k: i64 = fields.take("top_k", "a whole number; 0 or -1 is off")?.unwrap_or(0);
    let top_k = match top_k {
        -1 => 0,
        other => usize::try_from(other)
            .map_err(|_| Refusal::of("top_k", other.to_string(), "a whole number; 0 or -1 is off"))?,
    };
    let sampling = Sampling {
        temperature,
        top_k,
        top_p,
        min_p,
        repetition_penalty,
        presence_penalty,
        frequency_penalty,
    };
    match sampling.check() {
        Ok(()) => Ok(sampling),
        Err(SamplingError::Setting { key, found, wanted }) => {
            Err(Refusal::of(key, found.to_string(), wanted))
        }
        Err(other) => Err(Refusal::bad(other.to_string())),
    }
}

/// Negative seeds, which OpenAI allows, are those of the same bits.
fn seed(fields: &mut Fields) -> Result<Option<u64>, Refusal> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seed {
        Whole(u64),
        Negative(i64),
    }
    let seed = fields.take("seed", "a whole number of 64 bits")?;
    Ok(seed.map(|seed| match seed {
        Seed::Whole(seed) => seed,
        Seed::Negative(seed) => seed.cast_unsigned(),
    }))
}

fn stops(fields: &mut Fields) -> Result<Vec<String>, Refusal> {
    let (most, longest) = STOPS;
    let wanted = format!("a text or up to {most}, each of 1 to {longest} bytes");
    let stops = match fields.take("stop", &wanted)? {
        None => vec![],
        Some(OneOrMore::One(stop)) => vec![stop],
        Some(OneOrMore::More(stops)) => stops,
    };
    if stops.len() > most || stops.iter().any(|stop| stop.is_empty() || stop.len() > longest) {
        let lengths: Vec<String> = stops.iter().take(most + 1).map(|stop| stop.len().to_string()).collect();
        let found = format!("{} texts of {} bytes", stops.len(), lengths.join(", "));
        return Err(Refusal::of("stop", found, &wanted));
    }
    Ok(stops)
}
