//! Completions from a vLLM server of the user's, in the place of the student's own.
//!
//! The student's adapter is put onto the server before every step, under a name and in a folder of its own ([`Remote`]);
//! prompts go there as token ids and completions come back as such, pictures go as data URLs. Whatever the server says is
//! looked at before it is believed ([`answer`]), and trouble that may pass is waited for.
//!
//! ```
//! use vigos_rollout::engine::Finish;
//! use vigos_vllm::answer::{Expected, read};
//!
//! let expected = Expected { adapter: "a", prompt: &[5, 6], vocabulary: 10, stops: &[9], most: 4 };
//! let said = br#"{"model": "a", "prompt_token_ids": [5, 6], "choices": [{"finish_reason": "stop", "token_ids": [7, 9],
//!     "logprobs": {"content": [{"token": "token_id:7", "logprob": -0.5}, {"token": "token_id:9", "logprob": 0}]}}]}"#;
//! let drawn = read(said, &expected).unwrap();
//! assert_eq!((drawn.tokens, drawn.logprobs, drawn.finish), (vec![7, 9], vec![-0.5, 0.0], Finish::Stop));
//! ```

pub mod answer;
mod asking;
mod http;
mod question;
mod remote;
mod server;

pub use remote::Remote;
