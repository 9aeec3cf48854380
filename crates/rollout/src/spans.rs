//! Finds the description, the reasoning and the answer in a sampled completion.
//!
//! The completion follows the prefill `<description>`, which is not part of it:
//!
//! ```text
//! d </description> <think> r </think> \boxed{a}
//! ```
//!
//! Tags are found in the bytes of the sampled tokens, joined up to the first stop token, and mapped back to the
//! positions of the tokens that were sampled. Text is never tokenised again: a tag may be sampled as any pieces,
//! and share a token with its neighbours. A token belongs to the span that its first byte lies in; a stop token,
//! and a token without bytes, to none.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use vigos_recipe::Fidelity;

const DESCRIPTION_END: &[u8] = b"</description>";
const THINK_START: &[u8] = b"<think>";
const THINK_END: &[u8] = b"</think>";
const BOX_START: &[u8] = br"\boxed{";

/// The tokens of a valid completion that the span-wise teachers supervise, as ascending positions in the
/// completion. The two are disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spans {
    /// T_d: tokens of the description.
    pub description: Vec<usize>,
    /// T_r ∪ T_a: tokens of the reasoning and of the answer.
    pub reasoning_answer: Vec<usize>,
}

/// Whether a completion has the output format. Right or wrong answers are all the same to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has, and these are its spans.
    Valid(Spans),
    /// It has not.
    Invalid(Reason),
}

impl Verdict {
    /// The spans of a valid completion.
    pub fn spans(&self) -> Option<&Spans> {
        match self {
            Self::Valid(spans) => Some(spans),
            Self::Invalid(_) => None,
        }
    }
}

/// Why a completion does not have the output format: the first delimiter that is missing, left to right; if all
/// are there, the first part that is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No `</description>`.
    NoDescriptionEnd,
    /// No `<think>` after `</description>`.
    NoThinkStart,
    /// No `</think>` after `<think>`.
    NoThinkEnd,
    /// No `\boxed{` after `</think>`.
    NoBox,
    /// The first `\boxed{` after `</think>` has no matching `}`.
    BoxNotClosed,
    /// No token before `</description>`.
    EmptyDescription,
    /// Nothing between the think tags, or no token that starts in the reasoning or the answer.
    EmptyReasoning,
    /// Nothing but white space in the box.
    EmptyAnswer,
}

/// Where the parts of a completion lie, as byte ranges of its [`CompletionText`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Before `</description>`.
    pub description: Range<usize>,
    /// Between `<think>` and `</think>`.
    pub reasoning: Range<usize>,
    /// Inside the braces of the first box after `</think>`.
    pub answer: Range<usize>,
}

/// The text of a completion, up to its first stop token, that remembers which token each byte came from.
#[derive(Clone, Debug)]
pub struct CompletionText {
    bytes: Vec<u8>,
    /// (position in the completion, offset of the first byte) of each token that has bytes.
    starts: Vec<(usize, usize)>,
}

/// Judges a completion and finds its spans; see [`CompletionText::new`] for the arguments.
pub fn parse<B: AsRef<[u8]>>(
    completion: &[u32],
    token_bytes: impl Fn(u32) -> B,
    stops: &[u32],
    fidelity: Fidelity,
) -> Verdict {
    CompletionText::new(completion, token_bytes, stops).verdict(fidelity)
}

/// T_y: the positions of all tokens of a completion, its stop token included.
pub fn completion_positions(completion: &[u32]) -> Vec<usize> {
    (0..completion.len()).collect()
}

impl CompletionText {
    /// Joins the bytes of `completion`'s tokens.
    ///
    /// `token_bytes` gives a token's raw bytes (for a special token those of its name, none for an unknown id),
    /// which need not be whole characters. The first of `stops` in the completion ends the text.
    pub fn new<B: AsRef<[u8]>>(completion: &[u32], token_bytes: impl Fn(u32) -> B, stops: &[u32]) -> Self {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for (position, &token) in completion.iter().take_while(|token| !stops.contains(token)).enumerate() {
            let piece = token_bytes(token);
            if !piece.as_ref().is_empty() {
                starts.push((position, bytes.len()));
                bytes.extend_from_slice(piece.as_ref());
            }
        }
        Self { bytes, starts }
    }

    /// The positions of all tokens that have bytes.
    pub fn positions(&self) -> Vec<usize> {
        self.starts.iter().map(|(position, _)| *position).collect()
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text of a byte range, for people and for grading: what is not UTF-8 is replaced, and what lies
    /// beyond the end is left out.
    pub fn text(&self, range: Range<usize>) -> Cow<'_, str> {
        let end = range.end.min(self.bytes.len());
        String::from_utf8_lossy(self.bytes.get(range.start..end).unwrap_or_default())
    }

    /// Whether any delimiter of the output format occurs, in whatever order.
    pub fn has_delimiter(&self) -> bool {
        [DESCRIPTION_END, THINK_START, THINK_END, BOX_START]
            .iter()
            .any(|delimiter| find(&self.bytes, delimiter, 0).is_some())
    }

    /// Scans for the delimiters, left to right.
    ///
    /// # Errors
    /// The first delimiter that is missing. A segment may be empty: that is for [`verdict`](Self::verdict).
    pub fn segments(&self) -> Result<Segments, Reason> {
        let text = &self.bytes;
        let description = find(text, DESCRIPTION_END, 0).ok_or(Reason::NoDescriptionEnd)?;
        let think = find(text, THINK_START, description.end).ok_or(Reason::NoThinkStart)?;
        let think_end = find(text, THINK_END, think.end).ok_or(Reason::NoThinkEnd)?;
        let open = find(text, BOX_START, think_end.end).ok_or(Reason::NoBox)?;
        let close = matching_brace(text, open.end).ok_or(Reason::BoxNotClosed)?;
        Ok(Segments {
            description: 0..description.start,
            reasoning: think.end..think_end.start,
            answer: open.end..close,
        })
    }

    /// Judges the completion and maps its segments to token positions.
    ///
    /// Whether there is any reasoning or answer at all is a question about the text. A token that starts in a
    /// delimiter and runs on into the answer, such as `{B`, makes the answer's own share of the span empty, not
    /// the answer. The span as a whole must hold a token.
    pub fn verdict(&self, fidelity: Fidelity) -> Verdict {
        match self.spans(fidelity) {
            Ok(spans) => Verdict::Valid(spans),
            Err(reason) => Verdict::Invalid(reason),
        }
    }

    fn spans(&self, fidelity: Fidelity) -> Result<Spans, Reason> {
        let Segments { description, reasoning, answer } = self.segments()?;
        let description = self.positions_in(description);
        if description.is_empty() {
            return Err(Reason::EmptyDescription);
        }
        let reasoning_answer = match fidelity {
            Fidelity::Paper if reasoning.is_empty() => return Err(Reason::EmptyReasoning),
            Fidelity::Paper if self.text(answer.clone()).trim().is_empty() => {
                return Err(Reason::EmptyAnswer);
            }
            Fidelity::Paper => [self.positions_in(reasoning), self.positions_in(answer)].concat(),
            Fidelity::Released => self.positions_in(reasoning.start..answer.end + 1),
        };
        if reasoning_answer.is_empty() {
            return Err(Reason::EmptyReasoning);
        }
        Ok(Spans { description, reasoning_answer })
    }

    /// The positions of the tokens whose first byte lies in `range`.
    fn positions_in(&self, range: Range<usize>) -> Vec<usize> {
        self.starts.iter().filter(|(_, start)| range.contains(start)).map(|&(position, _)| position).collect()
    }
}

/// The first occurrence of `needle` that starts at `from` or later.
fn find(text: &[u8], needle: &[u8], from: usize) -> Option<Range<usize>> {
    let start = from + text.get(from..)?.windows(needle.len()).position(|window| window == needle)?;
    Some(start..start + needle.len())
}

/// The offset of the `}` that closes the brace opened just before `from`. Every brace counts, escaped or not.
fn matching_brace(text: &[u8], from: usize) -> Option<usize> {
    let mut depth = 1usize;
    for (offset, byte) in text.iter().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(offset);
        }
    }
    None
}
