//! The sample data set that comes with the project.

// Helpers of tests are not seen as tests themselves.
#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};
use std::path::Path;

use vigos_data::{Dataset, Fields, grade, reference_target};

fn sample() -> Dataset {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/easy-vqa/train.jsonl");
    Dataset::open(&path, &Fields::default(), None).unwrap()
}

#[test]
fn the_sample_opens_with_200_rows_whose_images_are_there() {
    let set = sample();
    assert_eq!(set.count().get(), 200);
    let ids: HashSet<_> = set.rows().iter().map(|row| &row.id).collect();
    assert_eq!(ids.len(), 200, "ids are unique");
    for index in 0..200 {
        let row = set.load(index).unwrap();
        let [image] = row.images.as_slice() else { panic!("{}: one image a row", row.id) };
        let start = vigos_core::files::read_limited(image, 1 << 16).unwrap();
        assert!(start.starts_with(b"\x89PNG"), "{}", row.id);
    }
}

#[test]
fn the_answers_of_the_sample_are_balanced_and_equal_themselves_only() {
    let set = sample();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for row in set.rows() {
        assert!(grade(&row.answer, &reference_target(&row.answer)), "{}", row.answer);
        *counts.entry(&row.answer).or_default() += 1;
    }
    assert_eq!((counts["yes"], counts["no"]), (50, 50));
    for (answer, count) in &counts {
        assert!((6..=50).contains(count), "{answer}: {count}");
        assert_eq!(counts.keys().filter(|other| grade(other, answer)).count(), 1, "{answer}");
    }
}
