//! The `[rollout]` section: how completions are sampled, and who draws them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::document::Contradiction;
use crate::unset::Unset;

/// How completions are sampled: keys of `[rollout]` and `[eval]`.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sampling {
    /// Sampling temperature, which divides the logits. 0: always the most likely token.
    #[default(1.0)]
    #[schemars(range(min = 0.0))]
    pub temperature: f64,
    /// Sample among the so many most likely tokens. 0: off.
    #[default(20)]
    pub top_k: usize,
    /// Sample among the fewest tokens whose probabilities add up to this. 1: off.
    #[default(1.0)]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub top_p: f64,
    /// Leave out tokens less likely than this share of the most likely one. 0: off.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_p: f64,
    /// Tokens after which a completion is cut off.
    #[default(4096)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_new_tokens: usize,
    /// Completions that are decoded together.
    #[default(8)]
    #[schemars(range(min = 1, max = 4096), extend("x-resume" = ["train"]))]
    pub batch: usize,
}

/// The `[rollout]` section: how the student's completions are sampled.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Rollout {
    /// The draws.
    #[serde(flatten)]
    #[default(Sampling { temperature: 1.1, top_p: 0.95, ..Sampling::default() })]
    pub sampling: Sampling,
    /// Factor against tokens that the prompt or the completion has. 1: off.
    #[default(1.0)]
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub repetition_penalty: f64,
    /// Taken off the logits of tokens that the completion has. 0: off.
    #[schemars(range(min = -1000.0, max = 1000.0))]
    pub presence_penalty: f64,
    /// Completions of a sample. The completions of a step are train.batch times train.accumulate, so its samples are so
    /// many times fewer; prompt and images are read once for all of a sample.
    #[default(1)]
    #[schemars(range(min = 1, max = 4096))]
    pub per_sample: usize,
    /// Who draws them: this program, or a vLLM server with the student's adapter on it, see
    /// [rollout-server.md](rollout-server.md).
    pub engine: Engine,
    /// Address of that server, such as `http://127.0.0.1:8000`. Empty: none.
    #[serde(with = "Unset::<String>")]
    #[schemars(extend("x-resume" = ["train"]))]
    pub url: Option<String>,
    /// Seconds that the server may take for an answer, and may be in trouble, before the run ends.
    #[default(600.0)]
    #[schemars(range(min = 0.1, max = 86_400.0), extend("x-resume" = ["train"]))]
    pub patience: f64,
    /// 1: the completions of the next step are drawn while a step learns, by the student before the update that this makes; each
    /// step's are at most one update old. 0: they are drawn after it.
    #[schemars(range(min = 0, max = 1))]
    pub ahead: usize,
    /// Most that a token counts for in the loss which another drew than the student as it is: its probability for the student
    /// over that at which it was drawn, up to this. 0: all count the same.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub max_weight: f64,
}

/// Who draws the completions of `[rollout]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// This program.
    #[default]
    Own,
    /// A vLLM server.
    Vllm,
}

impl Rollout {
    /// Refuses a server without an address, and an address that nobody asks.
    pub(crate) fn names_its_server(&self) -> Result<(), Contradiction> {
        let is_one = |url: &&str| ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        let (found, wanted) = match (self.engine, self.url.as_deref()) {
            (Engine::Own, None) => return Ok(()),
            (Engine::Own, Some(url)) => {
                (url, "none with rollout.engine = \"own\", or rollout.engine = \"vllm\"")
            }
            (Engine::Vllm, Some(url)) if is_one(&url) => return Ok(()),
            (Engine::Vllm, url) => {
                (url.unwrap_or("nothing"), "the address of a server, such as http://127.0.0.1:8000")
            }
        };
        let (key, found) = ("rollout.url".into(), found.chars().take(100).collect());
        Err(Contradiction { key, found, wanted: wanted.into(), hint: String::new() })
    }
}
