//! Runs over Parquet, and over rows that cannot be used.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::kit;
use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use burn::tensor::Device;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use vigos_data::{Dataset, Fields, ImageSource};
use vigos_recipe::Recipe;
use vigos_rollout::RunError;
use vigos_train::metrics::Metrics;
use vigos_train::{Finished, Observer, TrainOptions, train};

const CONFIG: &str = r#"
[model]
path = "{root}/assets/tiny-qwen2_5-vl"
[data]
path = "{data}"
[rollout]
max_new_tokens = 2
batch = 4
[lora]
rank = 2
alpha = 4
[train]
steps = 3
batch = 4
accumulate = 1
seed = 7
[log]
rollouts_every = 1
tensorboard = false
"#;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn recipe(data: &Path, overrides: &[&str]) -> Recipe {
    let text = CONFIG.replace("{root}", &root().display().to_string());
    let text = text.replace("{data}", &data.display().to_string());
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    Recipe::parse(&text, "test", &overrides).unwrap()
}

/// Stops the run after a step.
struct StopAfter<'a>(usize, &'a AtomicBool);
impl Observer for StopAfter<'_> {
    fn step(&mut self, metrics: &Metrics) {
        if metrics.step == self.0 {
            self.1.store(true, Ordering::SeqCst);
        }
    }
}

fn run_until(step: usize, recipe: &Recipe, run_dir: &Path, resume: bool) -> Result<Finished, RunError> {
    let flag = AtomicBool::new(false);
    let (kit, device) = (kit(), Device::flex());
    let options = TrainOptions::new(recipe, run_dir, &kit, &device).resumed(resume);
    train(&options, &mut StopAfter(step, &flag), &flag)
}

fn run(recipe: &Recipe, run_dir: &Path) -> Result<Finished, RunError> {
    run_until(usize::MAX, recipe, run_dir, false)
}

/// The rollouts of each step: what was drawn for which row.
fn rollouts(run_dir: &Path) -> Vec<String> {
    (1..=3)
        .map(|s| fs::read_to_string(run_dir.join(format!("rollouts/step-{s:06}.jsonl"))).unwrap())
        .collect()
}

/// The first rows of the sample data set as two Parquet files of several row groups.
fn parquet_copy(folder: &Path) {
    let sample = root().join("data/easy-vqa/train.jsonl");
    let set = Dataset::open(&sample, &Fields::default(), Some(24)).unwrap();
    let rows: Vec<_> = (0..24).map(|index| set.load(index).unwrap().unwrap()).collect();
    for (number, rows) in rows.chunks(12).enumerate() {
        let text = |of: fn(&vigos_data::Row) -> &String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
        };
        let encoded = rows.iter().map(|row| match &row.images[0] {
            ImageSource::File(path) => fs::read(path).unwrap(),
            ImageSource::Bytes(bytes) => bytes.to_vec(),
            ImageSource::Link(link) => panic!("{link} was not fetched"),
        });
        let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(encoded));
        let images = StructArray::from(vec![(Arc::new(Field::new("bytes", DataType::Binary, false)), bytes)]);
        let columns: [(&str, ArrayRef); 4] = [
            ("image", Arc::new(images)),
            ("problem", text(|row| &row.problem)),
            ("answer", text(|row| &row.answer)),
            ("problem_id", text(|row| &row.id)),
        ];
        let table = RecordBatch::try_from_iter(columns).unwrap();
        let file = File::create(folder.join(format!("train-0000{number}-of-00002.parquet"))).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(5)).build();
        let mut writer = ArrowWriter::try_new(file, table.schema(), Some(properties)).unwrap();
        writer.write(&table).unwrap();
        writer.close().unwrap();
    }
}

#[test]
fn a_run_over_parquet_takes_the_same_batches_again_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("set");
    fs::create_dir(&data).unwrap();
    parquet_copy(&data);
    let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
    let recipe = recipe(&data, &["data.split=train"]);
    run(&recipe, &a).unwrap();
    run(&recipe, &b).unwrap();
    assert_eq!(rollouts(&a), rollouts(&b));
    assert!(run_until(1, &recipe, &c, false).unwrap().interrupted);
    assert_eq!(run_until(usize::MAX, &recipe, &c, true).unwrap().steps, 3);
    assert_eq!(rollouts(&a), rollouts(&c));
    let ids: std::collections::BTreeSet<String> = rollouts(&a)
        .iter()
        .flat_map(|step| {
            step.lines()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].to_string())
        })
        .collect();
    assert_eq!(ids.len(), 12, "three steps of four rows, none twice in an epoch");
    assert!(ids.iter().all(|id| id.starts_with("\"easy-vqa-")), "{ids:?}");
}

/// A data set of 24 rows, of which one has no image file and one a broken image.
fn with_bad_rows(folder: &Path) -> PathBuf {
    fs::copy(root().join("tests/fixtures/images/tiny.png"), folder.join("good.png")).unwrap();
    fs::write(folder.join("broken.png"), b"\x89PNG\r\n\x1a\nnot at all").unwrap();
    let lines: Vec<String> = (0..24)
        .map(|row| {
            let image = match row {
                3 => "gone",
                5 => "broken",
                _ => "good",
            };
            format!(r#"{{"id": "r{row}", "image": "{image}.png", "problem": "What?", "answer": 1}}"#)
        })
        .collect();
    let path = folder.join("set.jsonl");
    fs::write(&path, lines.join("\n")).unwrap();
    path
}

fn quarantine(run_dir: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(run_dir.join("quarantine.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn bad_rows_below_the_share_are_left_out_counted_and_listed_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let data = with_bad_rows(folder.path());
    let dir = folder.path().join("run");
    // 24 places: the 22 good rows of an epoch and the two bad ones.
    let all = ["train.batch=11", "train.steps=2", "data.max_bad_share=0.2"];
    run(&recipe(&data, &all), &dir).unwrap();
    let listed = quarantine(&dir);
    assert_eq!(listed.len(), 2, "{listed:?}");
    let of = |id: &str| listed.iter().find(|line| line["id"] == id).unwrap();
    for (id, line, reason) in
        [("r3", "set.jsonl:4", "gone.png"), ("r5", "set.jsonl:6", "PNG image is damaged")]
    {
        assert!(of(id)["origin"].as_str().unwrap().ends_with(line), "{listed:?}");
        assert!(of(id)["reason"].as_str().unwrap().contains(reason), "{listed:?}");
    }
    let metrics = fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
    assert!(metrics.lines().last().unwrap().contains(r#""skipped":{"bad_row":2}"#), "{metrics}");
}

/// A Parquet file of four row groups of five rows: the pages of the second group are damaged, and the bytes of row
/// 12 are no image.
fn damaged_parquet(folder: &Path) -> PathBuf {
    let image = fs::read(root().join("tests/fixtures/images/tiny.png")).unwrap();
    let encoded =
        (0..20).map(|row| if row == 12 { b"GIF89a, or so it says".to_vec() } else { image.clone() });
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(encoded));
    let images = StructArray::from(vec![(Arc::new(Field::new("bytes", DataType::Binary, false)), bytes)]);
    let text = |prefix: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..20).map(|row| format!("{prefix}{row}"))))
    };
    let columns: [(&str, ArrayRef); 4] =
        [("image", Arc::new(images)), ("problem", text("What? ")), ("answer", text("")), ("id", text("r"))];
    let table = RecordBatch::try_from_iter(columns).unwrap();
    let path = folder.join("set.parquet");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(5)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), table.schema(), Some(properties)).unwrap();
    writer.write(&table).unwrap();
    let groups = writer.close().unwrap();
    let (start, length) = groups.row_group(1).column(0).byte_range();
    let mut whole = fs::read(&path).unwrap();
    whole[start as usize..(start + length) as usize].fill(0xff);
    fs::write(&path, whole).unwrap();
    path
}

#[test]
fn damaged_pages_and_bytes_that_are_no_image_are_bad_rows_of_a_run_over_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let data = damaged_parquet(folder.path());
    let [strict, lenient] = ["strict", "lenient"].map(|name| folder.path().join(name));
    // 20 places: the 14 good rows of an epoch and the six bad ones.
    let all = ["train.batch=7", "train.steps=2", "data.max_bad_share=0.3"];
    run(&recipe(&data, &all), &lenient).unwrap();
    let listed = quarantine(&lenient);
    let mut origins: Vec<&str> = listed.iter().map(|line| line["origin"].as_str().unwrap()).collect();
    origins.sort_unstable();
    let name = data.display();
    let group: Vec<String> = (0..5).map(|row| format!("{name}: row group 1 row {row}")).collect();
    assert_eq!(origins[..5], group, "{listed:?}");
    assert_eq!(origins[5..], [format!("{name}: row group 2 row 2")], "{listed:?}");
    for line in &listed {
        let reason = line["reason"].as_str().unwrap();
        if line["id"] == "r12" {
            assert!(reason.contains("image 0") && reason.contains("GIF"), "{reason}");
        } else {
            assert!(reason.contains("cannot be read as Parquet"), "{reason}");
        }
    }
    let error = run(&recipe(&data, &all[..2]), &strict).unwrap_err();
    assert!(matches!(error, RunError::BadRows { bad: 1, .. }), "{error}");
    assert!(error.is_input() && error.to_string().contains("set.parquet: row group"), "{error}");
}

#[test]
fn bad_rows_above_the_share_end_the_run_which_goes_on_once_more_are_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let data = with_bad_rows(folder.path());
    let [strict, few] = ["strict", "few"].map(|name| folder.path().join(name));
    let steps = ["train.batch=11", "train.steps=2"];
    let error = run(&recipe(&data, &steps), &strict).unwrap_err();
    assert!(error.is_input() && matches!(error, RunError::BadRows { bad: 1, .. }), "{error}");
    for part in ["set.jsonl:", "(id `r", "data.max_bad_share", "quarantine.jsonl"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(quarantine(&strict).len(), 1);

    // Two of 24 are more than a twentieth.
    let error = run(&recipe(&data, &[&steps[..], &["data.max_bad_share=0.05"]].concat()), &few).unwrap_err();
    assert!(matches!(error, RunError::BadRows { bad: 2, .. }), "{error}");
    let allowed = recipe(&data, &[&steps[..], &["data.max_bad_share=0.1"]].concat());
    assert_eq!(run_until(usize::MAX, &allowed, &few, true).unwrap().steps, 2);
    assert_eq!(quarantine(&few).len(), 2);
}
