//! Answers to benchmarks, in every form that their authors allow, and near misses.

use vigos_grade::{named_choice, nearest_choice, same_rounded, same_truncated, says_one_of};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_choice_is_named_by_its_letter_or_by_its_text() {
    let choices = texts(&["a red barn", "two dogs", "12", "none of these"]);
    let forms = [
        ("B", Some(1)),
        ("(B)", Some(1)),
        ("B.", Some(1)),
        ("b)", Some(1)),
        ("B: two dogs", Some(1)),
        ("`B`", Some(1)),
        (r"\text{B}", Some(1)),
        ("Two dogs", Some(1)),
        ("12", Some(2)),
        ("12.0", Some(2)),
        ("the answer is (C)", Some(2)),
        ("not (A) but (D)", Some(3)),
        ("I say C of all", Some(2)),
        ("it must be B.", Some(1)),
        ("one sees two dogs there", Some(1)),
        ("E", None),
        ("(Q)", None),
        ("three cats", None),
        ("", None),
    ];
    for (answer, wanted) in forms {
        assert_eq!(named_choice(answer, &choices), wanted, "{answer}");
    }
}

#[test]
fn without_texts_any_letter_names_a_choice() {
    for (answer, wanted) in
        [("C", Some(2)), ("`C`", Some(2)), ("(c)", Some(2)), ("C: north", Some(2)), ("north", None)]
    {
        assert_eq!(named_choice(answer, &[]), wanted, "{answer}");
    }
}

#[test]
fn the_nearest_text_is_meant_where_no_letter_is() {
    let choices = texts(&["Yes", "No", "66°", "larger than"]);
    let forms = [
        ("A", Some(0)),
        ("(b)", Some(1)),
        ("The answer is (C) 66", Some(2)),
        ("no", Some(1)),
        ("65°", Some(2)),
        ("is larger than", Some(3)),
        // No choice has this letter: the nearest text, the first of equals.
        ("Z", Some(1)),
    ];
    for (answer, wanted) in forms {
        assert_eq!(nearest_choice(answer, &choices), wanted, "{answer}");
    }
    assert_eq!(nearest_choice("A", &[]), None);
}

#[test]
fn numbers_are_rounded_to_the_precision_of_the_question() {
    for (answer, reference, decimals, wanted) in [
        ("1.2", "1.2", 1, true),
        ("1.24", "1.2", 1, true),
        ("1.26", "1.2", 1, false),
        ("1.20", "1.2", 2, true),
        ("1.204", "1.2", 2, true),
        ("$1.2$", "1.2", 1, true),
        ("-0.04", "0.0", 1, true),
        (r"\frac{6}{5}", "1.2", 1, true),
        ("about 1.2", "1.2", 1, false),
        ("nan", "1.2", 1, false),
    ] {
        assert_eq!(same_rounded(answer, reference, decimals), wanted, "{answer} {decimals}");
    }
}

#[test]
fn whole_numbers_are_cut_off_at_the_point() {
    let forms = [
        ("7", true),
        ("7.0", true),
        ("7.9", true),
        ("8", false),
        ("-7", false),
        (r"7\text{ cm}", true),
        ("inf", false),
    ];
    for (answer, wanted) in forms {
        assert_eq!(same_truncated(answer, "7"), wanted, "{answer}");
    }
}

#[test]
fn an_open_answer_says_one_of_the_references() {
    let one = |reference: &str| texts(&[reference]);
    for (answer, references, wanted) in [
        ("24/7", texts(&["24/7", "3.429"]), true),
        ("3.43", texts(&["24/7", "3.429"]), true),
        ("3.4", texts(&["24/7", "3.429"]), false),
        ("1,000", one("1000"), true),
        ("x = 8.00", one("8"), true),
        ("The answer is 0.666", one("0.67"), true),
        ("it is so that 5 apples are left", one("5"), true),
        ("15", one("5"), false),
        ("Transformation", one("transformation"), true),
        ("a transformation of form", one("Transformation"), true),
        ("formation", one("transformation"), false),
        // A single letter has a space beside it.
        ("x", one("x"), true),
        ("box", one("o"), false),
        ("1.5e3", one("1500"), true),
        ("", one("5"), false),
    ] {
        assert_eq!(says_one_of(answer, &references), wanted, "{answer}");
    }
}
