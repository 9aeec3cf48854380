//! Data sets that are drawn when they are read.
#![allow(clippy::unwrap_used)] // In helpers too.

use std::path::{Path, PathBuf};
use vigos_core::files::read_limited;
use vigos_data::{
    DataRequest, Dataset, DatasetError, DemonstrationFields, Fields, ImageSource, Reading, Row, RowFields,
};
use vigos_recipe::prompts::Prompts;
use vigos_world::{Format, Warmup, World, WorldConfig, Writer};

const DIALS: [&str; 5] =
    ["splits.warmup=40", "splits.train=30", "splits.test=20", "splits.prior=4", "train.prior_references=0.9"];

fn prompts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/prompts/shapes")
}

fn name(split: &str) -> PathBuf {
    format!("shapes:{split}?prompts={}&{}", prompts().display(), DIALS.join("&")).into()
}

fn open(name: &Path, fields: RowFields, limit: Option<usize>) -> Result<Dataset, DatasetError> {
    let request = DataRequest {
        key: "data.path",
        path: name,
        split: None,
        fields,
        limit,
        image_root: None,
        max_bad_share: 0.0,
        layout: Default::default(),
        turns: Default::default(),
        links: Default::default(),
    };
    vigos_sources::standard().open(&request, &mut |_, _, _| ())
}

fn questions(name: &Path, limit: Option<usize>) -> Result<Dataset, DatasetError> {
    open(name, (&Fields::default()).into(), limit)
}

fn demonstrations(name: &Path, limit: Option<usize>) -> Result<Dataset, DatasetError> {
    open(name, (&DemonstrationFields::default()).into(), limit)
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
        ImageSource::Link(link) => panic!("{link} was not fetched"),
    };
    images.iter().map(of).collect()
}

#[test]
fn questions_are_those_that_the_same_dials_write() {
    let folder = written();
    for (split, rows) in [("train", 30), ("test", 20), ("prior", 24)] {
        let path = folder.path().join(format!("{split}.jsonl"));
        let files = Dataset::open(&path, &Fields::default(), None).unwrap();
        let drawn = questions(&name(split), None).unwrap();
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
    let files = Dataset::open(&path, &DemonstrationFields::default(), None).unwrap();
    let drawn = demonstrations(&name("warmup"), None).unwrap();
    assert_eq!(drawn.count(), files.count());
    for index in 0..40 {
        let file = files.load(index).unwrap().unwrap();
        let made = drawn.load(index).unwrap().unwrap();
        assert_eq!(bytes(&made.images), bytes(&file.images), "{index}");
        let text = |row: Row| (row.id, row.problem, row.demonstration);
        assert_eq!(text(made), text(file), "{index}");
    }
}

#[test]
fn json_lines_and_parquet_hold_the_same_rows_and_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let dials =
        ["splits.warmup=60", "splits.train=130", "splits.test=20", "splits.prior=6"].map(str::to_owned);
    let world = World::new(WorldConfig::load(None, &dials).unwrap()).unwrap();
    let render = |warmup: &Warmup| Ok::<_, String>(warmup.problem());
    Writer { world: &world, format: Format::Both, render }.write(dir.path(), |_, _| ()).unwrap();
    for (split, count) in [("warmup", 60), ("train", 130), ("test", 20), ("prior", 36)] {
        // Image-only rows have no answer, which only a warm start takes.
        let fields = match split {
            "warmup" => Fields { answer: "completion".into(), ..Fields::default() },
            _ => Fields::default(),
        };
        let file = dir.path().join(format!("{split}.jsonl"));
        let table = dir.path().join(format!("parquet/{split}-00000-of-00001.parquet"));
        let json = Dataset::open(&file, &fields, None).unwrap();
        let parquet = Dataset::open(&table, &fields, None).unwrap();
        let folder = dir.path().join("parquet");
        let folder = Dataset::open_with(&folder, Some(split), &fields, Reading::default()).unwrap();
        assert_eq!((json.count().get(), parquet.count().get(), folder.count().get()), (count, count, count));
        for index in 0..count {
            let (a, b) = (json.load(index).unwrap().unwrap(), parquet.load(index).unwrap().unwrap());
            assert_eq!((&a.id, &a.problem, &a.answer), (&b.id, &b.problem, &b.answer));
            assert_eq!(folder.load(index).unwrap().unwrap().id, a.id);
            let ([ImageSource::File(path)], [ImageSource::Bytes(bytes)]) = (&a.images[..], &b.images[..])
            else {
                panic!("{:?} {:?}", a.images, b.images)
            };
            assert_eq!(std::fs::read(path).unwrap(), **bytes);
        }
    }
}

#[test]
fn a_limit_keeps_the_first_rows() {
    let few = questions(&name("train"), Some(3)).unwrap();
    let all = questions(&name("train"), None).unwrap();
    assert_eq!(few.count().get(), 3);
    assert_eq!(few.load(2).unwrap().unwrap(), all.load(2).unwrap().unwrap());
    assert_eq!(demonstrations(&name("warmup"), Some(2)).unwrap().count().get(), 2);
}

#[test]
fn a_name_that_means_nothing_is_refused_with_what_would() {
    let message = |name: &str| questions(Path::new(name), None).unwrap_err().to_string();
    assert!(message("shapes:triangles").contains("shapes:train"), "{}", message("shapes:triangles"));
    assert!(message("shapes:warmup").contains("wanted shapes:train"), "{}", message("shapes:warmup"));
    let typo = message("shapes:train?train.conflit=0.5");
    assert!(typo.contains("shapes:train?") && typo.contains("did you mean `train.conflict`?"), "{typo}");
    let range = message("shapes:train?train.conflict=2");
    assert!(range.contains("shapes:train?train.conflict=2: `train.conflict`: found integer 2"), "{range}");
    let train = demonstrations(Path::new("shapes:train"), None).unwrap_err().to_string();
    assert!(train.contains("shapes:warmup"), "{train}");
}

#[test]
fn a_world_in_which_nothing_is_usual_has_no_prior_suite() {
    let name = "shapes:prior?kinds.colour=0&kinds.size=0&train.conflict=0&splits.prior=0";
    assert!(questions(Path::new(name), None).unwrap_err().to_string().contains("no rows"));
}

#[test]
fn a_split_beside_a_name_that_says_it_is_refused() {
    let fields = RowFields::from(&Fields::default());
    for path in ["shapes:test", "hf:org/set@test"] {
        let request = DataRequest {
            key: "eval.path",
            path: path.as_ref(),
            split: Some("test"),
            fields: fields.clone(),
            limit: None,
            image_root: None,
            max_bad_share: 0.0,
            layout: Default::default(),
            turns: Default::default(),
            links: Default::default(),
        };
        let error = vigos_sources::standard().open(&request, &mut |_, _, _| ()).unwrap_err();
        let wanted = "eval.split: found \"test\", wanted nothing: eval.path names the split";
        assert_eq!(error.to_string(), wanted, "{path}");
    }
}
