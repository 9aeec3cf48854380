//! Benchmarks: their rows as their authors publish them, their answers as they judge them, and a run over several.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{ArrayRef, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use burn::tensor::Device;
use parquet::arrow::ArrowWriter;
use serde_json::Value;
use vigos_data::{Benchmark, Dataset, ImageSource, Row, RowFields, Rule};
use vigos_eval::{Finished, Observer, Options, Suites, evaluate_suites, is_right};
use vigos_ranks::Threads;
use vigos_recipe::Recipe;
use vigos_rollout::RunError;

use crate::{bytes, folder, kit, recipe, root};

fn fixture(benchmark: Benchmark) -> PathBuf {
    root().join("tests/fixtures/benchmarks").join(benchmark.name()).with_extension("jsonl")
}

/// The rows of a benchmark's file with the records that they are made of.
fn rows(benchmark: Benchmark) -> Vec<(Row, Value)> {
    let text = fs::read_to_string(fixture(benchmark)).unwrap();
    let set = Dataset::open(&fixture(benchmark), RowFields::Benchmark(benchmark), None).unwrap();
    let record =
        |(at, line): (usize, &str)| (set.read(at).unwrap().unwrap(), serde_json::from_str(line).unwrap());
    text.lines().enumerate().map(record).collect()
}

/// The only row with a field of this value.
fn row(benchmark: Benchmark, id: &str) -> Row {
    rows(benchmark).into_iter().map(|(row, _)| row).find(|row| row.id == id).unwrap()
}

fn images(row: &Row) -> Vec<String> {
    let name = |image: &ImageSource| match image {
        ImageSource::File(path) => path.file_name().unwrap().to_string_lossy().into_owned(),
        ImageSource::Bytes(bytes) => format!("{} bytes", bytes.len()),
        ImageSource::Link(link) => link.to_string(),
    };
    row.images.iter().map(name).collect()
}

#[test]
fn answers_are_right_in_every_form_that_the_authors_allow() {
    for benchmark in Benchmark::ALL {
        for (row, record) in rows(benchmark) {
            for (field, wanted) in [("right", true), ("wrong", false)] {
                for answer in record[field].as_array().unwrap() {
                    let answer = answer.as_str().unwrap();
                    let found = is_right(&row.labels.rule, &row.problem, answer, &row.answer);
                    assert_eq!(found, wanted, "{} {}: {answer:?}", benchmark.name(), row.id);
                }
            }
        }
    }
}

#[test]
fn questions_are_put_as_the_authors_put_them() {
    let mmmu = row(Benchmark::Mmmu, "validation_Art_Theory_12");
    // The first mention of an image is its place, the images are in the order of their places.
    assert_eq!(
        mmmu.problem,
        "Which of them is older, <image> or <image>? Look at <image 2> again.\n\n(A) the artist's first\n(B) the second\n\
         (C) <image>\n(D) None\n\nAnswer with the option's letter from the given choices directly."
    );
    assert_eq!(images(&mmmu), ["tall.png", "wide.png", "gray.png"]);
    assert_eq!(mmmu.labels.kind.as_deref(), Some("Art and Design"));
    let open = row(Benchmark::Mmmu, "validation_Energy_and_Power_3");
    assert!(open.problem.ends_with("Answer the question using a single word or phrase."), "{}", open.problem);
    assert_eq!(
        (open.answer.as_str(), open.labels.kind.as_deref()),
        ("24/7 or 3.429", Some("Tech and Engineering"))
    );

    let pro = row(Benchmark::MmmuPro, "test_Math_2");
    assert_eq!(pro.problem, "Answer with the option letter from the given choices directly.");
    assert_eq!((images(&pro), pro.labels.kind.as_deref()), (vec!["tall.png".to_owned()], Some("vision")));
    let standard = row(Benchmark::MmmuPro, "test_History_1");
    assert!(
        standard.problem.starts_with("What does <image> show?\nA. a war\nB. a peace"),
        "{}",
        standard.problem
    );

    let cv = row(Benchmark::CvBench, "1438");
    assert_eq!((cv.answer.as_str(), cv.labels.kind.as_deref()), ("B", Some("Omni3D Depth")));
    assert!(cv.problem.ends_with("Select from the following choices.\n(A) door\n(B) lamp"), "{}", cv.problem);
    let vista = row(Benchmark::MathVista, "1");
    assert!(vista.problem.starts_with("Hint: "), "{}", vista.problem);
    assert_eq!(
        (images(&vista), vista.labels.kind.as_deref()),
        (vec!["wide.png".to_owned()], Some("textbook question answering"))
    );
    let vet = row(Benchmark::MmVet, "v1_0");
    assert_eq!((vet.problem.as_str(), vet.answer.as_str()), ("What is x in the equation?", "-1 <AND> -5"));
    assert_eq!((vet.labels.kind.as_deref(), &vet.labels.rule), (Some("ocr,math"), &Rule::Judged));
    let mmsi = row(Benchmark::MmsiBench, "0");
    assert_eq!((images(&mmsi).len(), mmsi.labels.kind.as_deref()), (2, Some("Motion (Cam.)")));
}

#[test]
fn rows_that_are_not_of_the_benchmark_are_refused() {
    let dir = folder(&[]);
    let path = dir.path().join("bad.jsonl");
    for (benchmark, line, wanted) in [
        (
            Benchmark::CvBench,
            r#"{"idx": 1, "prompt": "?", "image": "wide.png", "choices": ["a", "b"], "answer": "(C)", "source": "COCO", "task": "Count"}"#,
            "the letter of one of the choices",
        ),
        (
            Benchmark::Mmmu,
            r#"{"id": "validation_Art_1", "question": "? <image 2>", "options": "['a', 'b']", "answer": "A", "question_type": "multiple-choice", "image_1": "wide.png"}"#,
            "no field \"image_2\"",
        ),
        (
            Benchmark::MathVista,
            r#"{"pid": "1", "query": "?", "decoded_image": "wide.png", "choices": null, "answer": "1", "question_type": "free_form", "answer_type": "float", "precision": 1.5}"#,
            "how many decimals",
        ),
        (
            Benchmark::MathVista,
            r#"{"pid": "1", "query": "?", "decoded_image": "wide.png", "choices": ["a", "b"], "answer": "c", "question_type": "multi_choice"}"#,
            "the text of one of the choices",
        ),
        (Benchmark::RealWorldQa, r#"{"question": "?", "answer": "1"}"#, "no field \"image\""),
    ] {
        fs::write(&path, format!("{line}\n")).unwrap();
        let found = Dataset::open(&path, RowFields::Benchmark(benchmark), None);
        let message = match found {
            Err(error) => error.to_string(),
            Ok(set) => set.read(0).unwrap().unwrap_err().reason,
        };
        assert!(message.contains(wanted), "{}: {message}", benchmark.name());
    }
}

#[test]
fn a_parquet_file_with_the_card_s_columns_gives_the_same_rows() {
    let dir = folder(&[]);
    let png = fs::read(dir.path().join("wide.png")).unwrap();
    let text = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let picture = |bytes: Option<&[u8]>| {
        let bytes = Arc::new(arrow_array::BinaryArray::from(vec![bytes])) as ArrayRef;
        let path = Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef;
        Arc::new(StructArray::from(vec![
            (Arc::new(Field::new("bytes", DataType::Binary, true)), bytes),
            (Arc::new(Field::new("path", DataType::Utf8, true)), path),
        ])) as ArrayRef
    };
    let columns = [
        ("id", text("validation_Music_4")),
        ("question", text("Name the interval. <image 1>")),
        ("options", text("['third', 'fifth']")),
        ("explanation", text("")),
        ("image_1", picture(Some(&png))),
        ("image_2", picture(None)),
        ("answer", text("B")),
        ("question_type", text("multiple-choice")),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let path = dir.path().join("validation-00000-of-00001.parquet");
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let set = Dataset::open(&path, RowFields::Benchmark(Benchmark::Mmmu), None).unwrap();
    let row = set.load(0).unwrap().unwrap();
    assert_eq!((row.id.as_str(), row.answer.as_str()), ("validation_Music_4", "B"));
    assert!(
        row.problem.starts_with("Name the interval. <image>\n\n(A) third\n(B) fifth\n\n"),
        "{}",
        row.problem
    );
    assert_eq!(images(&row), [format!("{} bytes", png.len())]);
}

/// A folder with a file of ten rows for each of these, and a recipe that asks them.
fn ten_of(benchmarks: &[Benchmark]) -> (tempfile::TempDir, Recipe) {
    let dir = folder(&[]);
    let entry = |benchmark: &Benchmark| {
        let path = dir.path().join(benchmark.name()).with_extension("jsonl");
        let text = fs::read_to_string(fixture(*benchmark)).unwrap();
        fs::write(&path, text.lines().cycle().take(10).map(|line| format!("{line}\n")).collect::<String>())
            .unwrap();
        format!("\"{}={}\"", benchmark.name(), path.display())
    };
    let entries: Vec<String> = benchmarks.iter().map(entry).collect();
    let suites = format!("eval.suites=[{}]", entries.join(", "));
    // The tiny model's nonsense has no answer that a judge would be asked about.
    let judge = ["eval.judge.url=http://127.0.0.1:1/v1", "eval.judge.model=none"];
    let recipe = recipe(dir.path(), &[&suites, judge[0], judge[1]]);
    (dir, recipe)
}

fn ask(
    recipe: &Recipe,
    run_dir: &Path,
    resume: bool,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Finished<Suites>, RunError> {
    let (kit, device) = (kit(), Device::flex());
    evaluate_suites(&Options::new(recipe, run_dir, &kit, &device).resumed(resume), observer, stop)
}

#[test]
fn ten_items_of_each_benchmark_are_asked_and_make_one_table() {
    let (dir, recipe) = ten_of(&Benchmark::ALL);
    let run_dir = dir.path().join("run");
    let suites = ask(&recipe, &run_dir, false, &mut (), &AtomicBool::new(false)).unwrap().report.unwrap();
    assert_eq!(suites.0.len(), Benchmark::ALL.len());
    let table = fs::read_to_string(run_dir.join("report.md")).unwrap();
    assert_eq!(table, suites.markdown());
    for benchmark in Benchmark::ALL {
        assert_eq!(suites.0[benchmark.name()].overall.average.n, 10, "{}", benchmark.name());
        assert!(table.contains(&format!("| {} ", benchmark.name())), "{table}");
        assert!(run_dir.join(benchmark.name()).join("samples.jsonl").is_file());
    }
    assert!(suites.0["cv-bench"].weighed.is_some() && suites.0["mmmu"].weighed.is_none());
    let written: Suites = serde_json::from_slice(&fs::read(run_dir.join("report.json")).unwrap()).unwrap();
    assert_eq!(written, suites);
}

/// Stops as soon as anything of the second benchmark is done.
struct StopInTheSecond<'a>(&'a AtomicBool, usize);
impl Observer for StopInTheSecond<'_> {
    fn started(&mut self, _done: usize, _total: usize) {
        self.1 += 1;
    }
    fn items(&mut self, _done: usize) {
        self.0.store(self.1 == 2, Ordering::SeqCst);
    }
}

#[test]
fn benchmarks_that_were_stopped_go_on_to_the_same_bytes() {
    let (dir, recipe) = ten_of(&[Benchmark::CvBench, Benchmark::MathVista]);
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    ask(&recipe, &whole, false, &mut (), &AtomicBool::new(false)).unwrap();
    let stop = AtomicBool::new(false);
    let finished = ask(&recipe, &cut, false, &mut StopInTheSecond(&stop, 0), &stop).unwrap();
    assert!(finished.report.is_none() && !cut.join("report.md").exists());
    assert!(ask(&recipe, &cut, false, &mut (), &AtomicBool::new(false)).is_err(), "the folder is taken");
    ask(&recipe, &cut, true, &mut (), &AtomicBool::new(false)).unwrap();
    let files = [
        "report.json",
        "report.md",
        "cv-bench/samples.jsonl",
        "mathvista/samples.jsonl",
        "mathvista/report.md",
    ];
    assert!(bytes(&whole, &files) == bytes(&cut, &files));
    let shared = dir.path().join("shared");
    Threads::run(3, |ranks| {
        let (kit, device) = (kit(), Device::flex());
        let options = Options { ranks, ..Options::new(&recipe, &shared, &kit, &device) };
        evaluate_suites(&options, &mut (), &AtomicBool::new(false)).unwrap().report.unwrap()
    });
    assert!(bytes(&whole, &files) == bytes(&shared, &files), "three ranks");
}

#[test]
fn a_suite_that_is_unknown_or_named_twice_is_refused() {
    let dir = folder(&[]);
    for (suites, wanted) in
        [("[\"mmlu\"]", "one of realworldqa, cv-bench"), ("[\"vilp=a\", \"vilp=b\"]", "each suite once")]
    {
        let recipe = recipe(dir.path(), &[&format!("eval.suites={suites}")]);
        let error =
            ask(&recipe, &dir.path().join("run"), false, &mut (), &AtomicBool::new(false)).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(wanted), "{error}");
    }
}
