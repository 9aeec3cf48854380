//! Data sets that are drawn when they are read.
#![allow(clippy::unwrap_used)] // In helpers too.

use std::path::{Path, PathBuf};
use vigos_core::files::read_limited;
use vigos_data::{Dataset, DemonstrationFields, Demonstrations, Fields, ImageSource, Row};
use vigos_recipe::prompts::Prompts;
use vigos_train::shapes;
use vigos_world::{Format, Warmup, World, WorldConfig, Writer};

const DIALS: [&str; 5] =
    ["splits.warmup=40", "splits.train=30", "splits.test=20", "splits.prior=4", "train.prior_references=0.9"];

fn prompts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/prompts/shapes")
}

fn name(split: &str) -> PathBuf {
    format!("shapes:{split}?prompts={}&{}", prompts().display(), DIALS.join("&")).into()
}

/// The same world on disk.
fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut dials = DIALS.map(str::to_owned).to_vec();
    dials.push(format!("prompts={}", prompts().display()));
    let world = World::new(WorldConfig::load(None, &dials).unwrap()).unwrap();
    let prompts = Prompts::load(Some(&prompts())).unwrap();
    let render = |warmup: &Warmup| prompts.render(warmup.form.word(), &warmup.problem(), warmup.reference());
    Writer { world: &world, format: Format::JsonLines, render }.write(folder.path(), |_, _| ()).unwrap();
    folder
}

fn bytes(images: &[ImageSource]) -> Vec<Vec<u8>> {
    let of = |image: &ImageSource| match image {
        ImageSource::File(path) => read_limited(path, 1 << 20).unwrap(),
        ImageSource::Bytes(bytes) => bytes.to_vec(),
    };
    images.iter().map(of).collect()
}

#[test]
fn questions_are_those_that_the_same_dials_write() {
    let folder = written();
    for (split, rows) in [("train", 30), ("test", 20), ("prior", 24)] {
        let path = folder.path().join(format!("{split}.jsonl"));
        let mut files = Dataset::open(&path, &Fields::default(), None).unwrap();
        let mut drawn = shapes::dataset(&name(split), None).unwrap();
        assert_eq!(drawn.count().get(), rows);
        assert_eq!(drawn.count(), files.count());
        for index in 0..rows {
            let file = files.load(index).unwrap().unwrap();
            let made = drawn.load(index).unwrap().unwrap();
            assert_eq!(bytes(&made.images), bytes(&file.images), "{split} {index}");
            let text = |row: Row| (row.id, row.problem, row.answer, row.labels);
            assert_eq!(text(made), text(file), "{split} {index}");
        }
        assert!(drawn.load(rows).is_err());
    }
}

#[test]
fn demonstrations_are_those_that_the_same_dials_write() {
    let folder = written();
    let path = folder.path().join("warmup.jsonl");
    let files = Demonstrations::open(&path, &DemonstrationFields::default(), None).unwrap();
    let drawn = shapes::demonstrations(&name("warmup"), None).unwrap();
    assert_eq!(drawn.count(), files.count());
    for index in 0..40 {
        let file = files.load(index).unwrap().unwrap();
        let made = drawn.load(index).unwrap().unwrap();
        assert_eq!(bytes(&made.images), bytes(&file.images), "{index}");
        let text = |row: vigos_data::Demonstration| (row.id, row.prompt, row.prefill, row.completion);
        assert_eq!(text(made), text(file), "{index}");
    }
}

#[test]
fn a_limit_keeps_the_first_rows() {
    let mut few = shapes::dataset(&name("train"), Some(3)).unwrap();
    let mut all = shapes::dataset(&name("train"), None).unwrap();
    assert_eq!(few.count().get(), 3);
    assert_eq!(few.load(2).unwrap().unwrap(), all.load(2).unwrap().unwrap());
    assert_eq!(shapes::demonstrations(&name("warmup"), Some(2)).unwrap().count().get(), 2);
}

#[test]
fn a_name_that_means_nothing_is_refused_with_what_would() {
    let message = |name: &str| shapes::dataset(Path::new(name), None).unwrap_err().to_string();
    assert!(message("shapes:triangles").contains("shapes:train"), "{}", message("shapes:triangles"));
    assert!(message("shapes:warmup").contains("wanted shapes:train"), "{}", message("shapes:warmup"));
    let typo = message("shapes:train?train.conflit=0.5");
    assert!(typo.contains("shapes:train?") && typo.contains("did you mean `conflict`?"), "{typo}");
    let range = message("shapes:train?train.conflict=2");
    assert!(range.contains("shapes:train?train.conflict=2: train.conflict: found 2"), "{range}");
    let train = shapes::demonstrations(Path::new("shapes:train"), None).unwrap_err().to_string();
    assert!(train.contains("shapes:warmup"), "{train}");
}

#[test]
fn a_world_in_which_nothing_is_usual_has_no_prior_suite() {
    let name = "shapes:prior?kinds.colour=0&kinds.size=0&train.conflict=0&splits.prior=0";
    assert!(shapes::dataset(Path::new(name), None).unwrap_err().to_string().contains("no rows"));
}
