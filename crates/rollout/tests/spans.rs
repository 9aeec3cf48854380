//! What the span parser promises about completions that were written or recorded.

use std::collections::HashMap;

use serde::Deserialize;
use vigos_recipe::Fidelity;
use vigos_rollout::spans::{CompletionText, Reason, Spans, Verdict, completion_positions, parse};

const BOTH: [Fidelity; 2] = [Fidelity::Paper, Fidelity::Released];
const EOS: u32 = u32::MAX;

/// Parses a completion given as the texts of its tokens.
fn judge(tokens: &[&str], fidelity: Fidelity) -> Verdict {
    let ids: Vec<u32> = (0..tokens.len() as u32).collect();
    parse(&ids, |id| tokens[id as usize], &[EOS], fidelity)
}

/// One token per character.
fn characters(text: &str) -> Vec<&str> {
    text.split("").filter(|c| !c.is_empty()).collect()
}

/// The text of a valid completion's spans: (description, reasoning and answer).
fn span_texts(text: &str, fidelity: Fidelity) -> Result<(String, String), Reason> {
    let tokens = characters(text);
    let join = |positions: &[usize]| positions.iter().map(|&p| tokens[p]).collect();
    match judge(&tokens, fidelity) {
        Verdict::Valid(spans) => Ok((join(&spans.description), join(&spans.reasoning_answer))),
        Verdict::Invalid(reason) => Err(reason),
    }
}

#[derive(Deserialize)]
struct Row {
    name: String,
    completion: Vec<u32>,
    /// Of each token of the completion.
    bytes: Vec<String>,
    eos: u32,
    paper: Option<Spans>,
    released: Option<Spans>,
}

#[test]
fn recorded_rows_have_the_recorded_spans() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("fixtures/spans.json")).unwrap();
    assert_eq!(rows.len(), 9);
    for row in rows {
        let table: HashMap<u32, &str> =
            row.completion.iter().copied().zip(row.bytes.iter().map(String::as_str)).collect();
        for (fidelity, expected) in [(Fidelity::Paper, &row.paper), (Fidelity::Released, &row.released)] {
            let verdict = parse(&row.completion, |id| table[&id], &[row.eos], fidelity);
            assert_eq!(verdict.spans(), expected.as_ref(), "{} {fidelity:?}", row.name);
        }
    }
}

#[test]
fn a_completion_that_breaks_the_format_is_invalid_in_both_fidelities() {
    for (case, text, reason) in [
        ("nothing at all", "", Reason::NoDescriptionEnd),
        ("no closing tag of the description", r"d <think>r</think> \boxed{a}", Reason::NoDescriptionEnd),
        ("no <think>", r"d</description> r</think> \boxed{a}", Reason::NoThinkStart),
        (
            "<think> only before </description>",
            r"<think>d</description> r</think> \boxed{a}",
            Reason::NoThinkStart,
        ),
        ("no </think>", r"d</description><think>r \boxed{a}", Reason::NoThinkEnd),
        ("</think> only before <think>", r"d</description></think><think>r \boxed{a}", Reason::NoThinkEnd),
        ("no box", "d</description><think>r</think> a", Reason::NoBox),
        ("a box inside the think tags only", r"d</description><think>\boxed{a}</think> a", Reason::NoBox),
        ("a box cut off", r"d</description><think>r</think> \boxed{a", Reason::BoxNotClosed),
        ("a box out of balance", r"d</description><think>r</think> \boxed{\frac{1}{2}", Reason::BoxNotClosed),
        (
            "first of two boxes open",
            r"d</description><think>r</think>\boxed{a \boxed{b}",
            Reason::BoxNotClosed,
        ),
        ("an escaped brace counts", r"d</description><think>r</think>\boxed{\{}", Reason::BoxNotClosed),
        ("no description token", r"</description><think>r</think> \boxed{a}", Reason::EmptyDescription),
        ("tags in upper case", r"d</DESCRIPTION><THINK>r</THINK>\BOXED{a}", Reason::NoDescriptionEnd),
        ("a tag with spaces inside", r"d</description>< think >r</think>\boxed{a}", Reason::NoThinkStart),
        ("a box with a space inside", r"d</description><think>r</think>\boxed {a}", Reason::NoBox),
    ] {
        for fidelity in BOTH {
            assert_eq!(span_texts(text, fidelity), Err(reason), "{case} {fidelity:?}");
        }
    }
}

#[test]
fn an_empty_part_is_invalid_in_paper_and_valid_in_released() {
    for (case, text, reason, released) in [
        (
            "no thinking",
            r"d</description><think></think>\boxed{a}",
            Reason::EmptyReasoning,
            r"</think>\boxed{a}",
        ),
        (
            "an empty box",
            r"d</description><think>r</think>\boxed{}",
            Reason::EmptyAnswer,
            r"r</think>\boxed{}",
        ),
        (
            "white space in the box",
            "d</description><think>r</think>\\boxed{ \n\u{a0}}",
            Reason::EmptyAnswer,
            "r</think>\\boxed{ \n\u{a0}}",
        ),
    ] {
        assert_eq!(span_texts(text, Fidelity::Paper), Err(reason), "{case}");
        assert_eq!(span_texts(text, Fidelity::Released), Ok(("d".into(), released.into())), "{case}");
    }
}

#[test]
fn a_valid_completion_has_the_spans_of_its_fidelity() {
    for (case, text, description, paper, released) in [
        ("the plain form", r"d</description><think>r</think>\boxed{a}", "d", "ra", r"r</think>\boxed{a}"),
        (
            "text between the parts",
            r"d</description> x <think>r</think> y \boxed{a} z \boxed{b}",
            "d",
            "ra",
            r"r</think> y \boxed{a}",
        ),
        (
            "a box inside the think tags and one after",
            r"d</description><think>\boxed{x}</think>\boxed{a}",
            "d",
            r"\boxed{x}a",
            r"\boxed{x}</think>\boxed{a}",
        ),
        (
            "several think tags",
            r"d</description><think>r<think>s</think>t</think>\boxed{a}",
            "d",
            "r<think>sa",
            r"r<think>s</think>t</think>\boxed{a}",
        ),
        (
            "nested braces",
            r"d</description><think>r</think>\boxed{\frac{1}{2}}",
            "d",
            r"r\frac{1}{2}",
            r"r</think>\boxed{\frac{1}{2}}",
        ),
        (
            "white space as thinking and as description",
            "\n</description><think> </think>\\boxed{a}",
            "\n",
            " a",
            " </think>\\boxed{a}",
        ),
        (
            "other tags are text",
            r"<think></think>\boxed{x}</description><think>r</description></think>\boxed{a}",
            r"<think></think>\boxed{x}",
            "r</description>a",
            r"r</description></think>\boxed{a}",
        ),
    ] {
        assert_eq!(span_texts(text, Fidelity::Paper), Ok((description.into(), paper.into())), "{case}");
        assert_eq!(span_texts(text, Fidelity::Released), Ok((description.into(), released.into())), "{case}");
    }
}

#[test]
fn a_special_token_is_text_wherever_it_is_sampled() {
    let tokens = [
        "d",
        "<|image_pad|>",
        "</description>",
        "<think>",
        "<|vision_start|>",
        "</think>",
        r"\boxed{",
        "a",
        "}",
    ];
    let expected = Spans { description: vec![0, 1], reasoning_answer: vec![4, 7] };
    assert_eq!(judge(&tokens, Fidelity::Paper), Verdict::Valid(expected));
}

#[test]
fn a_token_belongs_to_the_span_of_its_first_byte() {
    // Pieces that share tags with their neighbours, and a character cut in two.
    let tokens: [&[u8]; 11] = [
        b"d.</",
        b"desc",
        b"ription> <th",
        b"ink>\n",
        b"r\xc3",
        b"\xa9.</think",
        b">\\bo",
        b"xed{",
        b"\\frac{1}",
        b"{2}}.",
        b"}",
    ];
    let ids: Vec<u32> = (0..11).collect();
    let spans = |fidelity| parse(&ids, |id| tokens[id as usize], &[EOS], fidelity);
    let paper = Spans { description: vec![0], reasoning_answer: vec![4, 5, 8, 9] };
    assert_eq!(spans(Fidelity::Paper), Verdict::Valid(paper));
    let released = Spans { description: vec![0], reasoning_answer: (4..=9).collect() };
    assert_eq!(spans(Fidelity::Released), Verdict::Valid(released));
}

#[test]
fn an_answer_that_shares_its_token_with_the_brace_is_not_empty() {
    let tokens = ["d", "</description><think>", "r", "</think>\\boxed", "{B", "}"];
    let paper = Spans { description: vec![0], reasoning_answer: vec![2] };
    assert_eq!(judge(&tokens, Fidelity::Paper), Verdict::Valid(paper));

    // A span without a single token supervises nothing.
    let tokens = ["d", r"</description><think>r</think>\boxed{B}"];
    for fidelity in BOTH {
        assert_eq!(judge(&tokens, fidelity), Verdict::Invalid(Reason::EmptyReasoning));
    }
}

#[test]
fn text_ends_at_the_first_stop_token() {
    let tokens = ["d", "</description>", "<think>", "r", "</think>", r"\boxed{", "a", "}", "<|im_end|>"];
    let judge = |ids: &[u32], stops: &[u32]| parse(ids, |id| tokens[id as usize], stops, Fidelity::Released);

    let whole = Spans { description: vec![0], reasoning_answer: (3..=7).collect() };
    assert_eq!(judge(&[0, 1, 2, 3, 4, 5, 6, 7, 8], &[8]), Verdict::Valid(whole));
    assert_eq!(judge(&[0, 1, 2, 3, 4, 5, 6, 8, 7], &[9, 8]), Verdict::Invalid(Reason::BoxNotClosed));
    assert_eq!(judge(&[8, 0, 1], &[8]), Verdict::Invalid(Reason::NoDescriptionEnd));
    assert_eq!(completion_positions(&[8, 0, 1]), [0, 1, 2]);
}

#[test]
fn a_token_without_bytes_belongs_to_no_span() {
    let tokens = ["", "d", "", "</description><think>", "", "r", "</think>", r"\boxed{", "", "a", "}"];
    let paper = Spans { description: vec![1], reasoning_answer: vec![5, 9] };
    assert_eq!(judge(&tokens, Fidelity::Paper), Verdict::Valid(paper));
}

#[test]
fn segments_give_the_text_of_each_part() {
    let tokens =
        characters("a cat </description>\n<think>one \u{e9}</think>so \\boxed{\\frac{1}{2}} or \\boxed{3}");
    let ids: Vec<u32> = (0..tokens.len() as u32).collect();
    let text = CompletionText::new(&ids, |id| tokens[id as usize], &[]);
    let segments = text.segments().unwrap();
    assert_eq!(text.text(segments.description), "a cat ");
    assert_eq!(text.text(segments.reasoning.clone()), "one \u{e9}");
    assert_eq!(text.text(segments.answer), r"\frac{1}{2}");
    assert_eq!(text.text(0..usize::MAX), tokens.concat());
    assert_eq!(text.text(usize::MAX - 1..usize::MAX), "");
    // A range that cuts a character.
    assert_eq!(text.text(segments.reasoning.start..segments.reasoning.end - 1), "one \u{fffd}");
}

#[test]
fn a_completion_without_any_delimiter_is_told_from_one_that_breaks_the_format() {
    for (text, expected) in [
        ("just words, no tags", false),
        ("<description> </ description>", false),
        ("x</think>", true),
        ("<think>", true),
        ("</description>", true),
        (r"\boxed{3", true),
    ] {
        let text = CompletionText::new(&[0], |_| text, &[]);
        assert_eq!(text.has_delimiter(), expected);
        assert!(text.verdict(Fidelity::Paper).spans().is_none());
    }
}

#[test]
fn names_in_files_are_lower_case() {
    assert_eq!(serde_json::to_string(&BOTH).unwrap(), r#"["paper","released"]"#);
    assert_eq!(serde_json::to_string(&Reason::NoDescriptionEnd).unwrap(), r#""no_description_end""#);
    assert_eq!(Fidelity::default(), Fidelity::Paper);
}
