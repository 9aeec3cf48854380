//! The bare reference out of its wrappers, and the answer out of a completion.

use proptest::prelude::*;
use vigos_recipe::{last_box, reference_target};

#[test]
fn wrappers_around_an_answer_are_taken_off() {
    for (answer, wanted) in [
        ("42", "42"),
        ("  42\n", "42"),
        ("0", "0"),
        ("```\n42\n```", "42"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("```42```", "42"),
        ("Answer: B", "B"),
        ("ANSWER :B", "B"),
        ("<answer> B </answer>", "B"),
        ("<Answer>B</ANSWER>", "B"),
        (r"\boxed{7}", "7"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        ("\"red\"", "red"),
        ("'red'", "red"),
        ("`red`", "red"),
        ("``red``", "red"),
        ("“red”", "red"),
        ("<answer>Answer: ```\n\\boxed{\"`red`\"}\n```</answer>", "red"),
        (r"\boxed{\boxed{3}}", "3"),
    ] {
        assert_eq!(reference_target(answer), wanted, "{answer:?}");
    }
}

#[test]
fn what_is_part_of_an_answer_stays() {
    for answer in [
        "the answer: 4",
        "answers",
        "\"a\" or \"b\"",
        "it's",
        "'",
        "\"\"",
        r"\boxed{1} + \boxed{2}",
        r"\boxed{}",
        r"\boxed{1",
        "<answer>a</answer> or <answer>b</answer>",
        "<answer></answer>",
        "answer:",
        "```a``` and ```b```",
        "5'",
    ] {
        assert_eq!(reference_target(answer), answer);
    }
}

#[test]
fn the_last_box_is_found_if_it_ends() {
    for (text, wanted) in [
        ("no box", None),
        (r"so \boxed{4}.", Some("4")),
        (r"\boxed{1} then \boxed{2}", Some("2")),
        (r"\boxed{\frac{1}{2}}", Some(r"\frac{1}{2}")),
        (r"\boxed{1} then \boxed{2", None),
        (r"\boxed{a \boxed{b}", Some("b")),
        (r"\boxed{2", None),
        (r"\boxed{", None),
        (r"\boxed{}", Some("")),
        (r"} \boxed{a}}", Some("a")),
        (r"\boxed{a \boxed{b} c}", Some("b")),
        (r"\boxed{a {b}", None),
        (r"boxed{a}", None),
        (r"\boxed{日本}", Some("日本")),
    ] {
        assert_eq!(last_box(text), wanted, "{text:?}");
    }
}

/// Text made of the pieces that the rules look for.
fn wrapped() -> impl Strategy<Value = String> {
    let pieces = vec![
        "```",
        "`",
        "\"",
        "'",
        "“",
        "”",
        "\\boxed{",
        "{",
        "}",
        "answer",
        "Answer:",
        ":",
        "<answer>",
        "</answer>",
        "\n",
        " ",
        "a",
        "é",
        "42",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_bare_answer_is_left_as_it_is(text in prop_oneof![any::<String>(), wrapped()]) {
        let bare = reference_target(&text);
        prop_assert_eq!(reference_target(&bare), bare.clone());
        prop_assert_eq!(bare.is_empty(), text.trim().is_empty());
        prop_assert!(text.contains(&bare));
    }

    #[test]
    fn a_box_that_is_found_stands_in_the_text(text in prop_oneof![any::<String>(), wrapped()]) {
        if let Some(content) = last_box(&text) {
            let boxed = format!("\\boxed{{{content}}}");
            prop_assert!(text.contains(&boxed));
        }
    }
}
