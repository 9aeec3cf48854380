//! The span parser, which maps the text of a completion to its tokens.

use vigos_recipe::Fidelity;
use vigos_rollout::spans::{CompletionText, Verdict, parse};

/// The token that ends a completion.
const STOP: u32 = u32::MAX;

/// Spans are ascending, disjoint, inside the completion and inside their segments, and do not depend on how the text
/// is cut beyond that. The first byte is the length of a pattern, each bit of which says whether a token ends there; a
/// zero byte of the text is a stop token.
pub fn spans(data: &[u8]) {
    let Some((length, rest)) = data.split_first() else { return };
    let (pattern, text) = rest.split_at(usize::from(length % 16).min(rest.len()));
    let tokens = cut(text, pattern);
    let ids: Vec<u32> =
        tokens.iter().zip(0..).map(|(token, id)| if token == &[0] { STOP } else { id }).collect();
    let bytes = |id: u32| tokens.get(id as usize).copied().unwrap_or_default();

    let read = CompletionText::new(&ids, bytes, &[STOP]);
    let before_stop = text.split(|byte| *byte == 0).next().unwrap_or_default();
    assert_eq!(read.bytes(), before_stop, "the text up to the first stop");
    let starts = starts(&tokens);
    assert!(read.positions().iter().all(|at| starts[*at] < before_stop.len()), "a token beyond the stop");
    let segments = read.segments();
    if let Ok(segments) = &segments {
        let ranges = [&segments.description, &segments.reasoning, &segments.answer];
        let edges: Vec<usize> = ranges.iter().flat_map(|range| [range.start, range.end]).collect();
        assert!(edges.is_sorted() && edges.last().is_some_and(|end| *end < before_stop.len()), "{edges:?}");
        assert!(before_stop[segments.description.end..].starts_with(b"</description>"));
        assert!(before_stop[..segments.reasoning.start].ends_with(b"<think>"));
        assert!(before_stop[segments.reasoning.end..].starts_with(b"</think>"));
        assert!(before_stop[..segments.answer.start].ends_with(br"\boxed{"));
        assert_eq!(before_stop[segments.answer.end], b'}');
        assert!(read.has_delimiter());
    }
    for fidelity in [Fidelity::Paper, Fidelity::Released] {
        let verdict = parse(&ids, bytes, &[STOP], fidelity);
        let Verdict::Valid(spans) = &verdict else {
            let Verdict::Invalid(reason) = verdict else { continue };
            assert!(segments.as_ref().err().is_none_or(|why| *why == reason));
            continue;
        };
        let Ok(segments) = &segments else { panic!("spans without segments") };
        let (described, answered) = (&spans.description, &spans.reasoning_answer);
        assert!(!described.is_empty() && !answered.is_empty());
        let all: Vec<usize> = described.iter().chain(answered).copied().collect();
        assert!(all.is_sorted_by(|a, b| a < b), "not ascending: {all:?}");
        assert!(described.iter().all(|at| segments.description.contains(&starts[*at])));
        let whole = segments.reasoning.start..segments.answer.end + 1;
        let is_inside = |start: usize| match fidelity {
            Fidelity::Paper => segments.reasoning.contains(&start) || segments.answer.contains(&start),
            Fidelity::Released => whole.contains(&start),
        };
        for (at, start) in starts.iter().enumerate().filter(|(at, _)| !tokens[*at].is_empty()) {
            let is_text = *start < before_stop.len();
            assert_eq!(is_text && is_inside(*start), answered.contains(&at), "token {at}");
        }
    }
}

/// The text in tokens: a stop is one of its own.
fn cut<'a>(text: &'a [u8], pattern: &[u8]) -> Vec<&'a [u8]> {
    let (mut tokens, mut from) = (Vec::new(), 0);
    for at in 0..text.len() {
        let byte = pattern.get(at / 8 % pattern.len().max(1)).copied().unwrap_or(0xff);
        let is_edge = text[at] == 0 || text.get(at + 1) == Some(&0);
        if is_edge || byte >> (at % 8) & 1 == 1 {
            tokens.push(&text[from..=at]);
            from = at + 1;
        }
    }
    tokens.push(&text[from..]);
    tokens
}

/// Where each token starts.
fn starts(tokens: &[&[u8]]) -> Vec<usize> {
    let mut end = 0;
    let start = |token: &&[u8]| {
        end += token.len();
        end - token.len()
    };
    tokens.iter().map(start).collect()
}
