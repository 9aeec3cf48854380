//! The grader against mathruler 0.1.0: the table's verdicts are mathruler's own, see `tools/mathruler_table.py`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use vigos_grade::grade;

struct Pair {
    kind: String,
    given: String,
    truth: String,
    mathruler: bool,
    reason: Option<String>,
}

fn here(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn table() -> Vec<Pair> {
    let text = fs::read_to_string(here("tests/mathruler.jsonl")).unwrap();
    let pairs = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        Pair {
            kind: text("kind"),
            given: text("given"),
            truth: text("truth"),
            mathruler: row["mathruler"].as_bool().unwrap(),
            reason: row.get("reason").map(|reason| reason.as_str().unwrap().to_owned()),
        }
    });
    pairs.collect()
}

#[test]
fn verdicts_are_those_of_mathruler_or_differ_for_a_stated_reason() {
    for Pair { given, truth, mathruler, reason, .. } in table() {
        let wanted = mathruler != reason.is_some();
        assert_eq!(grade(&given, &truth), wanted, "{given:?} and {truth:?}, {reason:?}");
        assert_eq!(grade(&truth, &given), wanted, "{truth:?} and {given:?}, {reason:?}");
    }
}

#[test]
fn the_table_has_equal_and_unequal_pairs_of_every_kind() {
    let mut kinds: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let mut pairs = BTreeSet::new();
    for Pair { kind, given, truth, mathruler, .. } in table() {
        kinds.entry(kind).or_default()[usize::from(mathruler)] += 1;
        assert!(pairs.insert((given.clone(), truth.clone())), "twice: {given:?} and {truth:?}");
    }
    assert!(pairs.len() >= 300, "{}", pairs.len());
    for kind in ["fraction", "decimal", "percent", "unit", "latex", "set", "interval", "text", "option"] {
        let [unequal, equal] = kinds[kind];
        assert!(equal >= 5 && unequal >= 5, "{kind}: {equal} equal, {unequal} unequal");
    }
}

#[test]
fn the_page_lists_every_disagreement_under_its_reason() {
    let page = fs::read_to_string(here("../../docs/grader.md")).unwrap();
    let listed = page.split("\n**").skip(1).map(|part| part.split_once("**").unwrap());
    let listed: BTreeMap<&str, &str> = listed.filter(|(_, pairs)| pairs.contains("\n- ")).collect();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for Pair { given, reason, .. } in table() {
        let Some(reason) = reason else { continue };
        let pairs = listed.get(reason.as_str()).unwrap_or_else(|| panic!("not on the page: {reason}"));
        assert!(pairs.contains(&given), "not on the page: {given:?}");
        *counts.entry(reason).or_default() += 1;
    }
    for (reason, pairs) in listed {
        assert_eq!(pairs.matches("\n- ").count(), counts.get(reason).copied().unwrap_or(0), "{reason}");
    }
}
