//! A completion as the server tells it, believed only when all of it is what was asked for.

use serde::Deserialize;
use vigos_rollout::engine::{Completion, Finish};

/// A log-probability above zero by so much is one of rounding.
const ROUNDING: f64 = 1e-3;
/// What the server says of a token whose log-probability it has not.
const NONE: f64 = -9000.0;
/// What the name of a token begins with that is told as its id.
const ID: &str = "token_id:";

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The model's name on the server.
    pub adapter: &'a str,
    /// The prompt, with as many image tokens as its images have.
    pub prompt: &'a [u32],
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Tokens that end a completion.
    pub stops: &'a [u32],
    /// Most tokens of the completion.
    pub most: usize,
}

#[derive(Deserialize)]
struct Answer {
    model: Option<String>,
    prompt_token_ids: Option<Vec<i64>>,
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    prompt_token_ids: Option<Vec<i64>>,
    token_ids: Option<Vec<i64>>,
    finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
struct Logprobs {
    content: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    token: String,
    logprob: f64,
}

/// Reads an answer: a token at least, and for each its log-probability under the unmodified softmax as the server has it,
/// none above zero.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(bytes: &[u8], expected: &Expected) -> Result<Completion, String> {
    let answer: Answer = serde_json::from_slice(bytes)
        .map_err(|error| format!("the answer is not what vLLM's /inference/v1/generate says: {error}"))?;
    if let Some(model) = answer.model.filter(|model| model != expected.adapter) {
        return Err(format!("`{model}` answered, not the adapter `{}`", expected.adapter));
    }
    let mut choices = answer.choices.into_iter();
    let (Some(choice), None) = (choices.next(), choices.next()) else {
        return Err("the answer has not one completion".into());
    };
    let Choice { prompt_token_ids, token_ids, finish_reason, logprobs } = choice;
    let prompt = answer.prompt_token_ids.or(prompt_token_ids);
    same_prompt(prompt.as_deref(), expected.prompt)?;
    let tokens = tokens(token_ids.unwrap_or_default(), expected)?;
    let finish = finish(&tokens, finish_reason.as_deref(), expected)?;
    let entries = logprobs.and_then(|logprobs| logprobs.content).unwrap_or_default();
    let logprobs = log_probabilities(&entries, &tokens)?;
    Ok(Completion { tokens, logprobs, finish })
}

/// Refuses a completion of another prompt: of other pictures' sizes, another template, or none that is told.
fn same_prompt(found: Option<&[i64]>, wanted: &[u32]) -> Result<(), String> {
    let Some(found) = found else {
        return Err("the answer does not say which prompt it is of (`prompt_token_ids`); is the server of a version that \
                    docs/rollout-server.md names?"
            .into());
    };
    if found.len() != wanted.len() {
        return Err(format!(
            "the server read a prompt of {} tokens where ours has {}; do both scale pictures alike?",
            found.len(),
            wanted.len()
        ));
    }
    match found.iter().zip(wanted).position(|(found, wanted)| *found != i64::from(*wanted)) {
        None => Ok(()),
        Some(at) => Err(format!("token {at} of the prompt is {} there and {} here", found[at], wanted[at])),
    }
}

fn tokens(found: Vec<i64>, expected: &Expected) -> Result<Vec<u32>, String> {
    if found.is_empty() || found.len() > expected.most {
        return Err(format!("a completion of {} tokens, wanted 1 to {}", found.len(), expected.most));
    }
    let known = |id: i64| {
        let id = u32::try_from(id).ok().filter(|id| (*id as usize) < expected.vocabulary);
        id.ok_or(())
    };
    found
        .into_iter()
        .map(|id| {
            let beyond =
                |()| format!("token {id}, which is none of the {} of the vocabulary", expected.vocabulary);
            known(id).map_err(beyond)
        })
        .collect()
}

/// Why a completion ended, if what is said of it is true.
fn finish(tokens: &[u32], said: Option<&str>, expected: &Expected) -> Result<Finish, String> {
    let stop = tokens.iter().position(|token| expected.stops.contains(token));
    match (said, stop) {
        (Some("stop"), Some(at)) if at + 1 == tokens.len() => Ok(Finish::Stop),
        (Some("length"), None) if tokens.len() == expected.most => Ok(Finish::Length),
        // The last of all may be a stop token as well.
        (Some("length"), Some(at)) if at + 1 == expected.most => Ok(Finish::Stop),
        (said, stop) => Err(format!(
            "a completion of {} tokens of {} with {} that ended by `{}`",
            tokens.len(),
            expected.most,
            stop.map_or("no token that ends it".into(), |at| format!("one that ends it at {at}")),
            said.unwrap_or("nothing").chars().take(40).collect::<String>()
        )),
    }
}

fn log_probabilities(entries: &[Entry], tokens: &[u32]) -> Result<Vec<f64>, String> {
    if entries.len() != tokens.len() {
        return Err(format!("{} log-probabilities of {} tokens", entries.len(), tokens.len()));
    }
    let checked = |(entry, token): (&Entry, &u32)| {
        let other = entry.token.strip_prefix(ID).is_some_and(|id| id != token.to_string());
        if other {
            return Err(format!("the log-probability of `{}` for token {token}", short(&entry.token)));
        }
        match entry.logprob {
            known if known.is_finite() && known <= ROUNDING && known > NONE => Ok(known.min(0.0)),
            other => Err(format!("{other} as the log-probability of token {token}")),
        }
    };
    entries.iter().zip(tokens).map(checked).collect()
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Expected, read};
    use serde_json::{Value, json};
    use vigos_rollout::engine::Finish;

    const EXPECTED: Expected =
        Expected { adapter: "a-1", prompt: &[5, 6], vocabulary: 10, stops: &[8, 9], most: 3 };

    fn good() -> Value {
        let entry =
            |id: u32| json!({"token": format!("token_id:{id}"), "logprob": -0.25, "top_logprobs": []});
        json!({
            "model": "a-1", "prompt_token_ids": [5, 6],
            "choices": [{
                "index": 0, "token_ids": [1, 2, 9], "finish_reason": "stop",
                "logprobs": {"content": [entry(1), entry(2), entry(9)]}
            }],
        })
    }

    fn said(pointer: &str, value: Value) -> Result<super::Completion, String> {
        let mut answer = good();
        *answer.pointer_mut(pointer).unwrap() = value;
        read(answer.to_string().as_bytes(), &EXPECTED)
    }

    #[test]
    fn what_was_asked_for_is_taken() {
        let drawn = read(good().to_string().as_bytes(), &EXPECTED).unwrap();
        assert_eq!(
            (drawn.tokens, drawn.logprobs, drawn.finish),
            (vec![1, 2, 9], vec![-0.25; 3], Finish::Stop)
        );
        // Texts of tokens are not ids.
        assert!(said("/choices/0/logprobs/content/1/token", json!("token")).is_ok());
        assert_eq!(said("/choices/0/finish_reason", json!("length")).unwrap().finish, Finish::Stop);
        assert_eq!(said("/choices/0/logprobs/content/1/logprob", json!(1e-6)).unwrap().logprobs[1], 0.0);
    }

    #[test]
    fn what_was_not_is_refused_with_its_reason() {
        let faults = [
            ("/model", json!("a-2"), "a-2"),
            ("/prompt_token_ids", json!([5, 7]), "token 1 of the prompt"),
            ("/prompt_token_ids", json!([5, 6, 6]), "3 tokens"),
            ("/prompt_token_ids", json!(null), "prompt_token_ids"),
            ("/prompt_token_ids", json!("5"), "invalid type"),
            ("/choices", json!([]), "not one completion"),
            ("/choices/0/token_ids", json!([1, 2, 10]), "token 10"),
            ("/choices/0/token_ids", json!([1, -2, 9]), "token -2"),
            ("/choices/0/token_ids", json!([1, 2, 3, 9]), "4 tokens, wanted 1 to 3"),
            ("/choices/0/token_ids", json!([]), "0 tokens"),
            ("/choices/0/token_ids", json!([1, 9, 2]), "ends it at 1"),
            ("/choices/0/token_ids", json!([1, 9]), "3 log-probabilities of 2 tokens"),
            ("/choices/0/token_ids", json!([1, 2, 3]), "ended by `stop`"),
            ("/choices/0/finish_reason", json!("abort"), "abort"),
            ("/choices/0/finish_reason", json!(null), "nothing"),
            ("/choices/0/logprobs", json!(null), "0 log-probabilities"),
            ("/choices/0/logprobs/content/0/logprob", json!(0.5), "0.5 as"),
            ("/choices/0/logprobs/content/0/logprob", json!(-9999.0), "-9999"),
            ("/choices/0/logprobs/content/0/token", json!("token_id:2"), "token_id:2"),
        ];
        for (pointer, value, reason) in faults {
            let refused = said(pointer, value.clone()).unwrap_err();
            assert!(refused.contains(reason), "{pointer} = {value}: {refused}");
        }
        assert!(read(b"<html>", &EXPECTED).unwrap_err().contains("/inference/v1/generate"));
    }

    #[test]
    fn a_completion_that_met_the_limit_has_all_its_tokens() {
        let mut answer = good();
        answer["choices"][0]["token_ids"] = json!([1, 2, 3]);
        answer["choices"][0]["finish_reason"] = json!("length");
        for (at, id) in [1, 2, 3].iter().enumerate() {
            answer["choices"][0]["logprobs"]["content"][at]["token"] = json!(format!("token_id:{id}"));
        }
        let drawn = read(answer.to_string().as_bytes(), &EXPECTED).unwrap();
        assert_eq!(drawn.finish, Finish::Length);
    }
}
