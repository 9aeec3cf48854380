//! The span parser against an oracle that labels every byte, over random texts cut into random tokens.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use vigos_recipe::Fidelity;
use vigos_rollout::spans::{Spans, Verdict, parse};

const TAGS: [&str; 4] = ["</description>", "<think>", "</think>", "\\boxed{"];

/// A completion in the output format, cut into pieces that random ones are put between, or none of it.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => proptest::sample::select(vec!["", "", "", "d", " ", "{", "}", "\\{", "\u{e9}", "<", "boxed{", "</think"])
            .prop_map(|s| s.as_bytes().to_vec()),
        2 => proptest::sample::select(TAGS.to_vec()).prop_map(|s| s.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    (proptest::bool::weighted(0.8), proptest::collection::vec(piece, 9)).prop_map(|(formed, pieces)| {
        let skeleton = ["d", "</description>", "<think>", "r", "</think>", "\\boxed{", "a", "}", ""];
        let parts = pieces.iter().zip(skeleton);
        parts
            .flat_map(|(piece, part)| [piece.as_slice(), if formed { part.as_bytes() } else { b"" }].concat())
            .collect()
    })
}

/// Cuts `text` after the bytes at which `cuts` (repeated) is true.
fn cut(text: &[u8], cuts: &[bool]) -> Vec<Vec<u8>> {
    let (mut tokens, mut token) = (Vec::new(), Vec::new());
    for (byte, &cut) in text.iter().zip(cuts.iter().cycle()) {
        token.push(*byte);
        if cut {
            tokens.push(std::mem::take(&mut token));
        }
    }
    tokens.push(token);
    tokens
}

fn judge(tokens: &[Vec<u8>], fidelity: Fidelity) -> Verdict {
    let ids: Vec<u32> = (0..tokens.len() as u32).collect();
    parse(&ids, |id| tokens[id as usize].as_slice(), &[], fidelity)
}

/// What each byte is part of: 'd', 'r', 'a', or '-' for none. `None` where the format is broken.
fn labels(text: &[u8], fidelity: Fidelity) -> Option<Vec<char>> {
    // Latin-1, so that bytes are characters and `str` can do the searching.
    let characters: String = text.iter().map(|&b| char::from(b)).collect();
    let (description, rest) = characters.split_once(TAGS[0])?;
    let (before, rest) = rest.split_once(TAGS[1])?;
    let (reasoning, rest) = rest.split_once(TAGS[2])?;
    let (between, rest) = rest.split_once(TAGS[3])?;
    let count = |s: &str| s.chars().count();
    let close = (0..count(rest)).find(|&end| {
        let inner: Vec<char> = rest.chars().take(end + 1).collect();
        let opened = inner.iter().filter(|c| **c == '{').count();
        inner.iter().filter(|c| **c == '}').count() == opened + 1
    })?;
    let answer: Vec<u8> = rest.chars().take(close).map(|c| c as u32 as u8).collect();
    if fidelity == Fidelity::Paper
        && (reasoning.is_empty() || String::from_utf8_lossy(&answer).chars().all(char::is_whitespace))
    {
        return None;
    }
    let delimiter = if fidelity == Fidelity::Paper { '-' } else { 'r' };
    let mut labels = Vec::new();
    for (label, length) in [
        ('d', count(description)),
        ('-', count(TAGS[0]) + count(before) + count(TAGS[1])),
        ('r', count(reasoning)),
        (delimiter, count(TAGS[2]) + count(between) + count(TAGS[3])),
        ('a', close),
        (delimiter, 1),
        ('-', count(rest) - close - 1),
    ] {
        labels.extend(std::iter::repeat_n(label, length));
    }
    Some(labels)
}

/// The spans by labelling each byte and asking each token for its first byte's label.
fn oracle(tokens: &[Vec<u8>], fidelity: Fidelity) -> Option<Spans> {
    let labels = labels(&tokens.concat(), fidelity)?;
    let (mut spans, mut offset) = (Spans::default(), 0);
    for (position, token) in tokens.iter().enumerate() {
        match labels.get(offset).filter(|_| !token.is_empty()) {
            Some('d') => spans.description.push(position),
            Some('r' | 'a') => spans.reasoning_answer.push(position),
            _ => {}
        }
        offset += token.len();
    }
    (!spans.description.is_empty() && !spans.reasoning_answer.is_empty()).then_some(spans)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2000,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_cut_of_any_text_has_the_spans_of_its_bytes_labels(
        text in text(),
        cuts in proptest::collection::vec(any::<bool>(), 1..40),
    ) {
        let tokens = cut(&text, &cuts);
        for fidelity in [Fidelity::Paper, Fidelity::Released] {
            let verdict = judge(&tokens, fidelity);
            prop_assert_eq!(verdict.spans().cloned(), oracle(&tokens, fidelity));
        }
    }

    #[test]
    fn spans_are_ascending_disjoint_and_inside_the_completion(
        text in text(),
        cuts in proptest::collection::vec(any::<bool>(), 1..40),
    ) {
        let tokens = cut(&text, &cuts);
        for fidelity in [Fidelity::Paper, Fidelity::Released] {
            if let Some(spans) = judge(&tokens, fidelity).spans() {
                // The description comes first, so one ascending run covers all three properties.
                let positions = [spans.description.as_slice(), &spans.reasoning_answer].concat();
                prop_assert!(positions.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(positions.iter().all(|&p| p < tokens.len()));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(tokens in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..30)) {
        for fidelity in [Fidelity::Paper, Fidelity::Released] {
            prop_assert_eq!(judge(&tokens, fidelity).spans().cloned(), oracle(&tokens, fidelity));
        }
    }
}

#[test]
fn the_random_texts_hold_valid_and_invalid_completions() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::new(config());
    let valid = (0..500)
        .filter(|_| {
            let text = text().new_tree(&mut runner).unwrap().current();
            judge(&cut(&text, &[true]), Fidelity::Paper).spans().is_some()
        })
        .count();
    assert!((100..400).contains(&valid), "{valid} of 500 are valid");
}
