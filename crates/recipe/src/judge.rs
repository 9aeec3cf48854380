//! The `[eval.judge]` section: a language model that grades what the grader cannot.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::unset::Unset;

/// The `[eval.judge]` section: a language model that grades free answers which the grader cannot decide, see
/// [evaluation.md](evaluation.md#a-judge).
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Judge {
    /// Address of an OpenAI-compatible server up to its `/v1`, such as `http://127.0.0.1:8000/v1`. Empty: no judge.
    #[serde(with = "Unset::<String>")]
    #[schemars(extend("x-resume" = ["eval"]))]
    pub url: Option<String>,
    /// The model's name there.
    pub model: String,
    /// Environment variable that holds the server's key. One that is not set stands for a server that wants none.
    #[default("OPENAI_API_KEY")]
    #[schemars(extend("x-resume" = ["eval"]))]
    pub key: String,
    /// File with the prompt, which has `{problem}`, `{reference}` and `{answer}` in it. Empty: the built-in one.
    #[serde(with = "Unset::<PathBuf>")]
    pub prompt: Option<PathBuf>,
    /// Folder that verdicts are kept in, by what was asked. Empty: `judge` in the folder of the results.
    #[serde(with = "Unset::<PathBuf>")]
    #[schemars(extend("x-resume" = ["eval"]))]
    pub cache: Option<PathBuf>,
    /// Seconds to wait for an answer.
    #[default(60)]
    #[schemars(range(min = 1, max = 3600), extend("x-resume" = ["eval"]))]
    pub timeout: u64,
    /// Attempts at a verdict. A server that fails is asked again after one second, two, four and so on.
    #[default(5)]
    #[schemars(range(min = 1, max = 20), extend("x-resume" = ["eval"]))]
    pub attempts: usize,
    /// Requests that the verdicts of the folder may take. 0: no limit.
    #[default(10_000)]
    #[schemars(extend("x-resume" = ["eval"]))]
    pub max_calls: u64,
    /// What they may cost, by the two prices. 0: no limit.
    #[schemars(range(min = 0.0), extend("x-resume" = ["eval"]))]
    pub max_spend: f64,
    /// Price of a million tokens that the judge reads.
    #[schemars(range(min = 0.0), extend("x-resume" = ["eval"]))]
    pub price_read: f64,
    /// Price of a million tokens that it writes.
    #[schemars(range(min = 0.0), extend("x-resume" = ["eval"]))]
    pub price_written: f64,
    /// Share of the answers that the grader decides which the judge is asked about too, to tell how far both agree.
    #[default(0.05)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub checked: f64,
}
