//! The sample data set that comes with the project.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use vigos_data::{Dataset, Fields, ImageSource, Row};
use vigos_grade::grade;
use vigos_recipe::reference_target;

fn sample() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/easy-vqa/train.jsonl");
    let set = Dataset::open(&path, &Fields::default(), None).unwrap();
    (0..set.count().get()).map(|index| set.load(index).unwrap().unwrap()).collect()
}

#[test]
fn the_sample_opens_with_200_rows_whose_images_are_there() {
    let rows = sample();
    assert_eq!(rows.len(), 200);
    let ids: HashSet<_> = rows.iter().map(|row| &row.id).collect();
    assert_eq!(ids.len(), 200, "ids are unique");
    for row in &rows {
        let [ImageSource::File(image)] = row.images.as_slice() else { panic!("{}: one file a row", row.id) };
        let start = vigos_core::files::read_limited(image, 1 << 16).unwrap();
        assert!(start.starts_with(b"\x89PNG"), "{}", row.id);
    }
}

#[test]
fn the_answers_of_the_sample_are_balanced_and_equal_themselves_only() {
    let rows = sample();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for row in &rows {
        assert!(grade(&row.answer, &reference_target(&row.answer)), "{}", row.answer);
        *counts.entry(&row.answer).or_default() += 1;
    }
    assert_eq!((counts["yes"], counts["no"]), (50, 50));
    for (answer, count) in &counts {
        assert!((6..=50).contains(count), "{answer}: {count}");
        assert_eq!(counts.keys().filter(|other| grade(other, answer)).count(), 1, "{answer}");
    }
}
