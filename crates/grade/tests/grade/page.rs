//! The tables of `docs/grader.md`: they are the test.

use std::fs;
use std::path::Path;
use vigos_grade::grade;
use vigos_recipe::last_box;

/// Every row of the table under a heading, cell by cell.
fn table(heading: &str) -> Vec<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/grader.md");
    let page = fs::read_to_string(page).unwrap();
    let part = page.split("\n## ").find(|part| part.starts_with(&format!("{heading}\n"))).unwrap();
    let rows = part.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches(['|', ' ']).split(" | ").map(str::to_owned).collect()).collect()
}

fn code(cell: &str) -> String {
    let inner = cell.trim().strip_prefix('`').and_then(|cell| cell.strip_suffix('`'));
    inner.unwrap_or_else(|| panic!("no code: {cell}")).replace("\\|", "|")
}

/// Reference, answer, and whether they are the same.
fn pairs() -> Vec<(String, String, bool)> {
    let pair = |row: Vec<String>| {
        let [reference, answer, verdict] = &row[..] else { panic!("not three cells: {row:?}") };
        let same = match verdict.as_str() {
            "=" => true,
            "≠" => false,
            other => panic!("no verdict: {other}"),
        };
        (code(reference), code(answer), same)
    };
    table("Pairs").into_iter().map(pair).collect()
}

#[test]
fn every_pair_of_the_page_is_graded_as_it_says() {
    let pairs = pairs();
    assert!(pairs.len() >= 80, "{}", pairs.len());
    let wrong = |(a, b, same): &&(String, String, bool)| grade(b, a) != *same || grade(a, b) != *same;
    let wrong: Vec<_> = pairs.iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "graded otherwise: {wrong:#?}");
}

#[test]
fn every_completion_of_the_page_has_the_answer_that_it_says() {
    let rows = table("The answer of a completion");
    assert!(rows.len() >= 7, "{}", rows.len());
    for row in rows {
        let [completion, answer] = &row[..] else { panic!("not two cells: {row:?}") };
        let wanted = if answer == "none" { None } else { Some(code(answer)) };
        assert_eq!(last_box(&code(completion)), wanted.as_deref(), "{completion}");
    }
}
