//! A written world is read back by the project's own readers, and is the same bytes every time.

use crate::support;

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use support::world;
use vigos_processor::{DecodeLimits, decode};
use vigos_world::{Format, Warmup, World, WorldError, Writer};

const SMALL: [&str; 4] = ["splits.warmup=60", "splits.train=130", "splits.test=20", "splits.prior=6"];

fn render(warmup: &Warmup) -> Result<String, String> {
    let reference = warmup.reference().map(|reference| format!(" ({reference})")).unwrap_or_default();
    Ok(format!("{}{reference}", warmup.problem()))
}

fn write(world: &World, format: Format, out: &Path) -> Result<(), WorldError> {
    let mut told = Vec::new();
    Writer { world, format, render }.write(out, |done, total| told.push((done, total)))?;
    assert_eq!(told.last(), Some(&(216, 216)));
    Ok(())
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    all
}

fn lines(path: &Path) -> Vec<Map<String, Value>> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn png_files_hold_the_pictures_and_are_small() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(&SMALL);
    write(&world, Format::JsonLines, dir.path()).unwrap();
    let mut sizes = Vec::new();
    for (number, row) in (0..).zip(lines(&dir.path().join("train.jsonl"))) {
        let path = dir.path().join(row["image"].as_str().unwrap());
        sizes.push(std::fs::metadata(&path).unwrap().len());
        let image = decode::open(&path, &DecodeLimits::default()).unwrap();
        assert_eq!(image.into_raw(), world.train(number).draw().into_raw());
    }
    let mean = sizes.iter().sum::<u64>() / sizes.len() as u64;
    assert!(mean < 10_000, "{mean} bytes");
}

#[test]
fn rows_have_the_fields_that_their_readers_want() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(&SMALL);
    write(&world, Format::JsonLines, dir.path()).unwrap();
    let common = ["id", "image", "problem", "answer", "kind", "conflict"];
    let more: [(&str, &[&str]); 4] = [
        ("warmup", &["form", "prompt", "prefill", "completion"]),
        ("train", &["truth"]),
        ("test", &[]),
        ("prior", &["triple", "role", "wording"]),
    ];
    let mut ids = BTreeSet::new();
    for (split, more) in more {
        for row in lines(&dir.path().join(format!("{split}.jsonl"))) {
            let fields: Vec<&str> = row.keys().map(String::as_str).collect();
            assert_eq!(fields, [&common[..], more].concat());
            assert!(ids.insert(row["id"].as_str().unwrap().to_owned()), "{row:?}");
            match row.get("form").and_then(Value::as_str) {
                Some("perception") => {
                    for empty in ["problem", "prompt", "answer"] {
                        assert_eq!(row[empty], "");
                    }
                    assert!(row["completion"].as_str().unwrap().ends_with(".</description>"));
                }
                Some(_) => {
                    let boxed = format!("\\boxed{{{}}}", row["answer"].as_str().unwrap());
                    assert!(row["completion"].as_str().unwrap().ends_with(&boxed), "{row:?}");
                    assert!(row["prompt"].as_str().unwrap().starts_with(row["problem"].as_str().unwrap()));
                }
                None => {}
            }
        }
    }
}

#[test]
fn every_triple_is_three_pictures_in_two_wordings() {
    let dir = tempfile::tempdir().unwrap();
    write(&world(&SMALL), Format::JsonLines, dir.path()).unwrap();
    let mut triples: BTreeMap<(u64, String), Vec<Map<String, Value>>> = BTreeMap::new();
    for row in lines(&dir.path().join("prior.jsonl")) {
        let key = (row["triple"].as_u64().unwrap(), row["wording"].as_str().unwrap().to_owned());
        triples.entry(key).or_default().push(row);
    }
    assert_eq!(triples.len(), 12);
    for rows in triples.values() {
        assert_eq!(rows.iter().filter(|row| row["role"] == "prior").count(), 1);
        assert_eq!(rows.iter().filter(|row| row["role"] == "score").count(), 2);
        assert!(rows.iter().all(|row| row["problem"] == rows[0]["problem"]));
        assert!(rows.iter().all(|row| row["conflict"] == (row["role"] == "score")));
    }
}

#[test]
fn one_configuration_always_writes_the_same_bytes_and_another_seed_other_ones() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| dir.path().join(name));
    write(&world(&SMALL), Format::Both, &a).unwrap();
    write(&world(&SMALL), Format::Both, &b).unwrap();
    write(&world(&[&SMALL[..], &["seed=2"]].concat()), Format::Both, &c).unwrap();
    let bytes = |folder: &Path| files(folder).into_values().collect::<Vec<_>>();
    assert_eq!(bytes(&a), bytes(&b));
    assert_ne!(bytes(&a), bytes(&c));
}

#[test]
fn a_finished_world_is_not_written_over_and_an_unfinished_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(&SMALL);
    write(&world, Format::JsonLines, dir.path()).unwrap();
    let error = write(&world, Format::JsonLines, dir.path()).unwrap_err();
    assert!(matches!(error, WorldError::Taken { .. }) && error.is_input(), "{error}");
    std::fs::remove_file(dir.path().join("world.toml")).unwrap();
    std::fs::remove_file(dir.path().join("test.jsonl")).unwrap();
    write(&world, Format::JsonLines, dir.path()).unwrap();
    assert_eq!(lines(&dir.path().join("test.jsonl")).len(), 20);
}

#[test]
fn a_prompt_that_cannot_be_rendered_ends_the_work_and_leaves_no_finished_world() {
    let dir = tempfile::tempdir().unwrap();
    let render = |_: &Warmup| Err::<String, _>("no template `student`");
    let world = world(&SMALL);
    let error =
        Writer { world: &world, format: Format::JsonLines, render }.write(dir.path(), |_, _| {}).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("student"), "{error}");
    assert!(!dir.path().join("world.toml").exists());
}
