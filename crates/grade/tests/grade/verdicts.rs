//! What counts as the same answer.

use proptest::prelude::*;
use vigos_grade::{Choices, grade, grade_question};

/// Both ways round, as grading has no sides.
fn both(a: &str, b: &str) -> bool {
    let forth = grade(a, b);
    assert_eq!(forth, grade(b, a), "{a:?} and {b:?} grade differently the other way round");
    forth
}

#[test]
fn answers_of_one_meaning_are_equal() {
    for (a, b) in [
        ("Yes", "yes."),
        ("  New   York ", "new york"),
        ("stop!", "Stop"),
        (r"\text{red}", "red"),
        (r"\textbf{(A)}", "A"),
        (r"$x^2$", "x^2"),
        (r"\left( 1, 2 \right)", "(1,2)"),
        ("x + 1", "x+1"),
        (r"1,\!000", "1000"),
        ("1{,}000", "1000"),
        ("1,234,567.5", "1234567.5"),
        ("50%", "50"),
        (r"50\%", "50 percent"),
        ("90°", "90"),
        (r"90^\circ", "90 degrees"),
        (r"90^{\circ}", "90"),
        (r"\boxed{7}", "7"),
        ("\"red\"", "red"),
        ("0", "0.0"),
        ("-0", "0"),
        ("007", "7"),
        ("+5", "5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("1/2", "0.5"),
        ("-1/2", r"-\frac{1}{2}"),
        (r"\dfrac{-1}{2}", "-0.5"),
        (r"\frac12", "1/2"),
        (r"\frac{1,000}{2}", "500"),
        ("0.3333333", "1/3"),
        ("−3", "-3"),
        ("$5", "5"),
        ("5 cm", "5cm"),
        ("5 000", "5 000."),
        ("ice cream", "icecream"),
        ("x = 5", "5"),
        ("1 1/2", "1.5"),
        (r"-1\frac{1}{2}", "-3/2"),
        (r"2\pi r", "r*2π"),
        ("(x+1)^2", "x^2 + 2x + 1"),
        (r"\sqrt[3]{-8}", "-2"),
        ("5 cm²", "5 square centimeters"),
        ("5 km", "5"),
        ("1,200 km", "1200 kilometres"),
        ("2.5 million", "2500000"),
        (r"\{1, 2\}", "{2.0, 1}"),
        (r"\{ \{1,2\}, 3 \}", r"\{3, \{2,1\}\}"),
        ("(0.5, inf)", r"(\frac{1}{2}, \infty)"),
        ("1 and 2", "1,2"),
    ] {
        assert!(both(a, b), "{a:?} should equal {b:?}");
    }
}

#[test]
fn answers_of_different_meanings_differ() {
    for (a, b) in [
        ("yes", "no"),
        ("1", "2"),
        ("1", "-1"),
        ("10000000", "10000001"),
        ("0.333", "1/3"),
        ("1/0", "2/0"),
        ("1e999", "2e999"),
        ("nan", "0"),
        ("0", "1e-9"),
        ("5!", "5"),
        (r"\leftarrow", "arrow"),
        ("1, 2", "12"),
        ("(1,2)", "(1,3)"),
        ("12,34", "1234"),
        ("50%", "0.5"),
        ("degrees of freedom", "of freedom"),
        ("", ""),
        (" ", ""),
        ("", "a"),
        ("$", "."),
        ("spin", "pins"),
        ("a b", "b a c"),
        ("5 cm", "5 in"),
        ("5 m", "5"),
        ("5 m", "5 cm"),
        ("(1,2)", "[1,2]"),
        ("(1,2)", "(2,1)"),
        ("1, 2", "2, 1"),
        (r"\{1,1,2\}", r"\{1,2,2\}"),
        ("x+1", "x-1"),
        ("x", "-x"),
        ("inf", "-inf"),
        ("2 3", "6"),
    ] {
        assert!(!both(a, b), "{a:?} should differ from {b:?}");
    }
}

#[test]
fn a_choice_is_its_label() {
    for (a, b) in [
        ("A", "(A)"),
        ("A.", "a"),
        ("A)", "A:"),
        ("A) a red circle", "A"),
        ("(B) a red circle", "B. A red circle"),
        ("[C]", "C"),
        ("(D) 5 m", "(D) five metres"),
        ("D: five", "(d)"),
    ] {
        assert!(both(a, b), "{a:?} should equal {b:?}");
    }
    for (a, b) in [
        ("A", "B"),
        ("(A) red", "(B) red"),
        ("a dog", "A"),
        ("E. coli", "E. faecalis"),
        ("(a)(b)", "(a)"),
        ("(A", "A) x"),
        ("a:b", "a"),
        ("apple", "a"),
    ] {
        assert!(!both(a, b), "{a:?} should differ from {b:?}");
    }
}

/// Text made of the pieces that the rules look for.
fn answerish() -> impl Strategy<Value = String> {
    let pieces = vec![
        "1", "23", ",", ".", "/", "-", "e", "\\frac", "{", "}", "\\text{", "\\left", "(", ")", "$", "%",
        "\\", "°", "^", "\\circ", "a", "B", "é", " ", "!", ":", "degrees", "\"", "=", "+", "*", "\\sqrt",
        "[", "]", "\\{", "\\}", " and ", "∪", "cm", "m", "million", "∞", "π", "^2", ";", "_", "_{1}", "₂",
        "⁻³", "½", "\\boxed{", "\\le", "≤", "<=", "\\alpha", "Ω", "Σ", "º", "℃", "~", "nan", "\\frac12",
        "/s", "10^", "∘",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..14).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn grading_has_no_sides(
        a in prop_oneof![any::<String>(), answerish()],
        b in prop_oneof![any::<String>(), answerish()],
    ) {
        both(&a, &b);
    }

    #[test]
    fn an_answer_that_is_not_blank_equals_itself(a in prop_oneof![any::<String>(), answerish()]) {
        prop_assert_eq!(grade(&a, &a), !a.trim().is_empty());
    }

    #[test]
    fn decimals_equal_their_fractions(n in -10_000i64..10_000, d in 1i64..1000) {
        let decimal = format!("{}", n as f64 / d as f64);
        let fraction = format!("\\frac{{{n}}}{{{d}}}");
        prop_assert!(both(&decimal, &fraction));
    }

    #[test]
    fn a_sum_does_not_depend_on_the_order_of_its_terms(
        terms in prop::collection::vec((1u32..50, prop::sample::select(vec!["x", "y", "x^2", "xy", ""])), 1..6),
        turn in 0usize..6,
    ) {
        let written = |terms: &[(u32, &str)]| {
            terms.iter().map(|(n, letters)| format!("{n}{letters}")).collect::<Vec<_>>().join(" + ")
        };
        let mut turned = terms.clone();
        turned.rotate_left(turn % terms.len());
        prop_assert!(both(&written(&terms), &written(&turned)));
        turned.push((1, ""));
        prop_assert!(!both(&written(&terms), &written(&turned)));
    }

    #[test]
    fn a_set_has_no_order_and_a_tuple_has(numbers in prop::collection::btree_set(0u32..1000, 2..20)) {
        let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let back: Vec<String> = texts.iter().rev().cloned().collect();
        let set = |parts: &[String]| format!(r"\{{{}\}}", parts.join(", "));
        let tuple = |parts: &[String]| format!("({})", parts.join(", "));
        prop_assert!(both(&set(&texts), &set(&back)));
        prop_assert!(!both(&tuple(&texts), &tuple(&back)));
    }

    #[test]
    fn options_of_any_question_are_read(problem in any::<String>(), a in answerish(), b in answerish()) {
        let forth = grade_question(&problem, &a, &b);
        prop_assert_eq!(forth, grade_question(&problem, &b, &a));
    }
}

#[test]
fn answers_of_any_depth_and_length_end() {
    for piece in [
        "(", "{", "-", "[", r"\sqrt", r"\frac", r"\frac{", "^", "1,", r"\{", "(1,", "x", "2^", "x_", "^{",
        "_{", "9^9*", "°", "½", "²", "a<", r"\boxed{", "1/s", "~", "\u{301}",
    ] {
        let long = piece.repeat(100_000);
        assert!(!both(&long, &format!("{long}1")));
        let short = piece.repeat(900 / piece.len());
        both(&short, &format!("{short}1"));
    }
    let boxed = |depth: usize| format!("{}1{}", r"\boxed{".repeat(depth), "}".repeat(depth));
    assert!(both(&boxed(1000), "1"));
    assert!(both(&boxed(200_000), "1"));
    assert!(!both(&r"\boxed{".repeat(200_000), "1"));
    let nested = format!("{}1{}", "(1,".repeat(200), ")".repeat(200));
    assert!(both(&nested, &nested.replace(',', ", ")), "the text is the same");
}

#[test]
fn a_listed_option_may_be_given_by_its_text() {
    let inline = "Which? (A) red (B) a blue ball (C) 0.5";
    let lines = "Which?\nA. red\nB. a blue ball\nC. 0.5\nAnswer with the letter.";
    for problem in [inline, lines] {
        for (answer, reference) in [
            ("B", "a blue ball"),
            ("A blue ball.", "(B)"),
            ("1/2", "C"),
            ("B) a blue ball", "B"),
            ("b", "B."),
        ] {
            assert!(grade_question(problem, answer, reference), "{answer} {reference}");
            assert!(grade_question(problem, reference, answer), "{answer} {reference}");
        }
        for (answer, reference) in [("A", "a blue ball"), ("red", "B"), ("green", "A"), ("0.6", "C")] {
            assert!(!grade_question(problem, answer, reference), "{answer} {reference}");
        }
    }
    assert_eq!(Choices::of(lines).unwrap().texts(), ["red", "a blue ball", "0.5"]);
}

#[test]
fn an_option_whose_text_another_one_has_counts_by_its_label_only() {
    let problem = "Which? (A) 1 (B) 1.0 (C) 2";
    assert!(grade_question(problem, "2", "C"));
    assert!(!grade_question(problem, "1", "B"));
}

#[test]
fn a_question_without_options_is_graded_as_ever() {
    for problem in ["What is it?", "Is it (A) lone?", "By A. Smith", "(B) x (C) y", ""] {
        assert!(Choices::of(problem).is_none(), "{problem}");
        assert!(grade_question(problem, "0.5", "1/2"));
    }
}
