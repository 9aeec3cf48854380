//! Data sets by name: files, and schemes that somebody registered.

use std::num::ParseIntError;
use std::path::Path;

use vigos_core::files::Progress;
use vigos_data::{
    BadRow, DataRequest, Dataset, DatasetError, Fields, ImageSource, Labels, Row, Scheme, SourceError,
    Sources,
};

/// A scheme of a person's own: so many rows as the name says, of one question.
#[derive(Debug)]
struct Echo(&'static str);

impl Scheme for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn open(&self, request: &DataRequest, progress: &mut Progress) -> Result<Dataset, DatasetError> {
        progress("echo", 1, 1);
        let rows = request.path.to_str().unwrap().split_once(':').unwrap().1;
        let rows: usize = rows.parse().map_err(|error| SourceError::new(Wrong(error), rows.is_empty()))?;
        let problem = self.0.to_owned();
        let row = move |index: usize| -> Result<Row, BadRow> {
            Ok(Row {
                id: index.to_string(),
                problem: problem.clone(),
                answer: "yes".into(),
                before: Vec::new(),
                images: vec![ImageSource::Bytes([1, 2].into())],
                origin: format!("echo {index}"),
                labels: Labels::default(),
                demonstration: None,
            })
        };
        Dataset::generated(request.path, rows.min(request.limit.unwrap_or(usize::MAX)), row)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no number of rows")]
struct Wrong(#[source] ParseIntError);

fn open(sources: &Sources, path: &Path, limit: Option<usize>) -> Result<Dataset, DatasetError> {
    let fields = (&Fields::default()).into();
    sources.open(
        &DataRequest {
            key: "data.path",
            path,
            split: None,
            fields,
            limit,
            image_root: None,
            max_bad_share: 0.0,
            layout: Default::default(),
            turns: Default::default(),
            links: Default::default(),
        },
        &mut |_, _, _| (),
    )
}

#[test]
fn a_registered_scheme_opens_the_names_that_begin_with_it_and_the_later_of_two_counts() {
    let sources = Sources::default().with(Echo("first?")).with(Echo("second?"));
    let set = open(&sources.clone(), "echo:7".as_ref(), Some(3)).unwrap();
    assert_eq!(set.count().get(), 3);
    assert_eq!(set.load(2).unwrap().unwrap().problem, "second?");
    assert!(matches!(set.load(3), Err(DatasetError::NoSuchRow { index: 3, rows: 3, .. })));
    assert!(matches!(open(&sources, "echo:0".as_ref(), None), Err(DatasetError::Empty { .. })));
}

#[test]
fn what_a_source_says_is_told_as_it_said_it_with_the_key_that_names_it() {
    let sources = Sources::default().with(Echo("?"));
    for (name, is_input) in [("echo:", true), ("echo:many", false)] {
        let error = open(&sources, name.as_ref(), None).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.is_input()),
            ("data.path: no number of rows", is_input),
            "{name}"
        );
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        assert!(causes.last().is_some_and(|cause| cause.is::<ParseIntError>()), "{error:?}");
    }
}

#[test]
fn an_unknown_scheme_is_refused_with_those_that_are_known() {
    let message = |sources: &Sources, name: &str| open(sources, name.as_ref(), None).unwrap_err().to_string();
    let known = message(&Sources::default().with(Echo("?")), "eco:3");
    assert!(known.contains("eco:3") && known.contains("the schemes echo;"), "{known}");
    let none = message(&Sources::default(), "eco:3");
    assert!(none.contains("no schemes") && none.contains("a file or folder"), "{none}");
}

#[test]
fn a_name_without_a_scheme_is_a_file_whatever_colons_it_has() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.png"), b"").unwrap();
    let path = dir.path().join("run:1.jsonl");
    std::fs::write(&path, r#"{"image": "a.png", "problem": "?", "answer": 1}"#).unwrap();
    assert_eq!(open(&Sources::default(), &path, None).unwrap().count().get(), 1);
    for name in ["c:rows.jsonl", "folder/run:1.jsonl"] {
        let error = open(&Sources::default(), name.as_ref(), None).unwrap_err();
        assert!(matches!(error, DatasetError::File(_)), "{name}: {error}");
    }
}
