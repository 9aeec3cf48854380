//! What a server says that completions come from.

use vigos_rollout::engine::{Completion, Finish};
use vigos_vllm::answer::{Expected, read};

/// A completion that is believed is of the vocabulary, no longer than asked for, ends where it says and nowhere before, and
/// has a log-probability for each of its tokens.
pub fn served(data: &[u8]) {
    let expected = Expected { adapter: "a", prompt: &[5, 6], vocabulary: 100, stops: &[8, 9], most: 4 };
    let Ok(Completion { tokens, logprobs, finish }) = read(data, &expected) else { return };
    assert!((1..=expected.most).contains(&tokens.len()) && tokens.len() == logprobs.len());
    assert!(tokens.iter().all(|token| (*token as usize) < expected.vocabulary));
    assert!(logprobs.iter().all(|logprob| logprob.is_finite() && *logprob <= 0.0));
    let stop = tokens.iter().position(|token| expected.stops.contains(token));
    match finish {
        Finish::Stop => assert_eq!(stop, Some(tokens.len() - 1)),
        Finish::Length => assert!(stop.is_none() && tokens.len() == expected.most),
    }
}
