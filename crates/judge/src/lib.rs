//! Answers graded by a language model behind an OpenAI-compatible server.
//!
//! What a rule cannot decide is put to a [`Judge`]: question, reference and answer stand in a [`Template`], and the model's
//! reply is read as a number from 0 to 1. A verdict is kept in a file named by the hash of all that was asked, so that the
//! same is never paid for twice. A server that is slow, busy or talks nonsense is asked again after a while; calls and spend
//! have limits.
//!
//! ```
//! use vigos_judge::{Template, score_of};
//!
//! let template = Template::parse("test", "{problem}? {reference}! {answer}".into())?;
//! assert_eq!(template.filled("What", "a {answer}", "b"), "What? a {answer}! b");
//! assert_eq!((score_of("0.5"), score_of("Score: 1"), score_of("perhaps")), (Some(0.5), Some(1.0), None));
//! # Ok::<(), vigos_judge::JudgeError>(())
//! ```

mod bill;
mod error;
mod judge;
mod kept;
mod score;
mod server;
mod template;

pub use bill::{Bill, Prices};
pub use error::JudgeError;
pub use judge::{Case, Judge, Settings, Verdict};
pub use score::score_of;
pub use template::Template;
