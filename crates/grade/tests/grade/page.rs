//! The pairs of `docs/grader.md`: the page's table is the test.

use std::fs;
use std::path::Path;
use vigos_grade::grade;

/// Every row of the table under the heading "Pairs": reference, answer, whether they are the same.
fn pairs() -> Vec<(String, String, bool)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/grader.md");
    let page = fs::read_to_string(page).unwrap();
    let part = page.split("\n## ").find(|part| part.starts_with("Pairs\n")).unwrap();
    let rows = part.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [reference, answer, verdict] = cells[..] else { panic!("not three cells: {line}") };
        let code = |cell: &str| {
            let cell = cell.trim_start_matches("| ").trim();
            let inner = cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`'));
            inner.unwrap_or_else(|| panic!("no code: {cell}")).replace("\\|", "|")
        };
        let same = match verdict.trim_end_matches(" |") {
            "=" => true,
            "≠" => false,
            other => panic!("no verdict: {other}"),
        };
        (code(reference), code(answer), same)
    };
    rows.map(row).collect()
}

#[test]
fn every_pair_of_the_page_is_graded_as_it_says() {
    let pairs = pairs();
    assert!(pairs.len() >= 80, "{}", pairs.len());
    let wrong = |(a, b, same): &&(String, String, bool)| grade(b, a) != *same || grade(a, b) != *same;
    let wrong: Vec<_> = pairs.iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "graded otherwise: {wrong:#?}");
}
