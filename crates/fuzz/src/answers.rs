//! The answer of a completion, and whether it is right.

use vigos_grade::{grade as is_equal, grade_question};
use vigos_recipe::{last_box, reference_target};

use crate::parts::texts;

const BOX: &str = r"\boxed{";

/// The last box of a text is what counting braces from each box says, and a bare answer stays what it is.
pub fn boxes(data: &[u8]) {
    let [text] = texts(data);
    assert_eq!(last_box(&text), counted(&text));
    let bare = reference_target(&text);
    assert!(text.contains(&bare));
    assert_eq!(bare.is_empty(), text.trim().is_empty());
    assert_eq!(reference_target(&bare), bare);
}

/// The last box, if its braces match, by counting them.
fn counted(text: &str) -> Option<&str> {
    let (at, _) = text.rmatch_indices(BOX).next()?;
    let inner = &text[at + BOX.len()..];
    let mut depth = 1_usize;
    let end = inner.bytes().position(|byte| {
        depth = depth + usize::from(byte == b'{') - usize::from(byte == b'}');
        depth == 0
    })?;
    Some(&inner[..end])
}

/// Grading has no sides, knows an answer as itself, and looks at no space around it. `A \0 B \0 problem`
pub fn grade(data: &[u8]) {
    let [a, b, problem] = texts(data);
    let same = is_equal(&a, &b);
    assert_eq!(same, is_equal(&b, &a), "the other way round");
    assert_eq!(same, is_equal(&format!(" {a}\n"), &b), "with space around it");
    let asked = grade_question(&problem, &a, &b);
    assert_eq!(asked, grade_question(&problem, &b, &a), "the other way round, of a question");
    for answer in [&a, &b] {
        let is_answer = !answer.trim().is_empty();
        assert_eq!(is_equal(answer, answer), is_answer, "{answer:?} against itself");
        assert_eq!(
            grade_question(&problem, answer, answer),
            is_answer,
            "{answer:?} against itself, of a question"
        );
        assert!(!is_equal(answer, " ") && !is_equal("", answer), "{answer:?} against nothing");
    }
}
