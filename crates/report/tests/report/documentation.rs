//! The page of metrics is what the code has.

use std::path::Path;
use vigos_recipe::docs::{Part, behind, pages};
use vigos_report::glossary::{ENTRIES, PAGE, table};

#[test]
fn the_documentation_of_metrics_is_that_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = pages(&root, &[Part { page: PAGE, name: "metrics", make: table }], &[]).unwrap();
    assert_eq!(pages.len(), 1);
    let behind = behind(&root, &pages);
    assert!(behind.is_empty(), "{behind:?} are behind: cargo xtask docs");
}

#[test]
fn an_entry_says_all_that_it_has_to() {
    for entry in ENTRIES {
        let said = [entry.what, entry.good, entry.bad];
        assert!(said.iter().all(|text| text.ends_with('.') && !text.contains('|')), "{}", entry.name);
        assert!(!entry.unit.is_empty() || entry.name == "lr", "{}", entry.name);
    }
}
