//! What is asked: the rows of the evaluation's data set, then those of its prior suite; or benchmarks.

use std::path::{Path, PathBuf};
use vigos_data::vilp::{Vilp, Wording};
use vigos_data::{BadRow, DataLayout, DataRequest, Dataset, Fields, Row, RowFields, Sources};
use vigos_hub::Progress;
use vigos_recipe::Layout;
use vigos_recipe::Recipe;
use vigos_rollout::RunError;

use crate::named::{Named, Rows};
use crate::vlind;

/// Rows that are looked at to know a prior suite.
const FIRST_ROWS: usize = 16;

/// Items in a fixed order, each made a row like those of training.
#[derive(Debug)]
pub struct Suite {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Rows(Dataset),
    Vilp(Box<Vilp>),
}

impl Suite {
    /// Opens what `[eval]` names: `eval.suites`; without them `eval.path` in its layout, or else the data set that is
    /// trained on, and then `eval.prior`. `progress` sees what has to be fetched from the hub.
    ///
    /// # Errors
    /// If a data set cannot be had or is wrong.
    pub fn open(recipe: &Recipe, sources: &Sources, progress: &mut Progress) -> Result<Self, RunError> {
        let eval = &recipe.eval;
        if !eval.suites.is_empty() {
            return Self::named(recipe, sources, progress);
        }
        let data = DataRequest::from(&recipe.data);
        let asked = DataRequest {
            key: if eval.path.is_some() { "eval.path" } else { data.key },
            path: eval.path.as_ref().unwrap_or(&recipe.data.path),
            split: eval.split.as_deref(),
            limit: eval.limit,
            // What `data.layout` says is said of the training data.
            layout: DataLayout::Auto,
            ..data.clone()
        };
        let mut vilp = |wording| Part::vilp(wording, &asked, sources, progress);
        let main = match eval.layout {
            Layout::VilpF => vilp(Wording::Fact)?,
            Layout::VilpP => vilp(Wording::Plain)?,
            Layout::Rows if eval.path.is_none() => {
                // Of the training data its own split and limit hold too.
                let (split, limit) = (asked.split.or(data.split), asked.limit.or(data.limit));
                Part::Rows(sources.open(&DataRequest { split, limit, ..data }, progress)?)
            }
            Layout::Rows => Part::Rows(sources.open(&asked, progress)?),
        };
        let mut parts = vec![main];
        if let Some(path) = &eval.prior {
            let request = DataRequest { key: "eval.prior", path, split: None, image_root: None, ..asked };
            let suite = sources.open(&request, progress)?;
            is_prior_suite(&suite, path)?;
            parts.push(Part::Rows(suite));
        }
        Ok(Self { parts })
    }

    /// Opens the benchmarks of `eval.suites`, one after the other.
    fn named(recipe: &Recipe, sources: &Sources, progress: &mut Progress) -> Result<Self, RunError> {
        let mut parts = Vec::new();
        for Named { rows, paths, .. } in Named::all(&recipe.eval.suites)? {
            for path in &paths {
                let asked = DataRequest {
                    key: "eval.suites",
                    path,
                    split: None,
                    limit: recipe.eval.limit,
                    image_root: None,
                    layout: DataLayout::Auto,
                    ..DataRequest::from(&recipe.data)
                };
                match rows {
                    Rows::Vilp(wordings) => {
                        for wording in wordings {
                            parts.push(Part::vilp(*wording, &asked, sources, progress)?);
                        }
                    }
                    Rows::Vlind => parts.push(Part::Rows(vlind::open(path, asked.limit)?)),
                    Rows::Benchmark(benchmark) => {
                        let fields = RowFields::Benchmark(benchmark);
                        parts.push(Part::Rows(sources.open(&DataRequest { fields, ..asked }, progress)?));
                    }
                }
            }
        }
        Ok(Self { parts })
    }

    /// The files that items are read from; pictures beside them are not told.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().flat_map(|part| part.files()).map(PathBuf::as_path)
    }

    /// The number of items.
    pub fn count(&self) -> usize {
        self.parts.iter().map(Part::count).sum()
    }

    /// Item `index`, counted from 0, or why it cannot be asked.
    ///
    /// # Errors
    /// As [`Dataset::load`].
    pub fn load(&self, index: usize) -> Result<Result<Row, BadRow>, RunError> {
        let mut first = 0;
        for part in &self.parts {
            let count = part.count();
            if index < first + count {
                return Ok(part.load(index - first)?);
            }
            first += count;
        }
        let path = std::path::PathBuf::from("the evaluation's data");
        Err(vigos_data::DatasetError::NoSuchRow { path, index, rows: first }.into())
    }
}

impl Part {
    fn vilp(
        wording: Wording,
        asked: &DataRequest,
        sources: &Sources,
        progress: &mut Progress,
    ) -> Result<Self, RunError> {
        let open =
            |fields: &Fields| sources.open(&DataRequest { fields: fields.into(), ..asked.clone() }, progress);
        Ok(Self::Vilp(Box::new(Vilp::open(wording, open)?)))
    }

    fn files(&self) -> &[PathBuf] {
        match self {
            Self::Rows(rows) => rows.files(),
            Self::Vilp(vilp) => vilp.files(),
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.count().get(),
            Self::Vilp(vilp) => vilp.count(),
        }
    }

    fn load(&self, index: usize) -> Result<Result<Row, BadRow>, vigos_data::DatasetError> {
        match self {
            Self::Rows(rows) => rows.load(index),
            Self::Vilp(vilp) => vilp.load(index),
        }
    }
}

/// Refuses rows that have no place in a prior suite, as far as the first ones tell: nothing could be said of them.
fn is_prior_suite(suite: &Dataset, path: &Path) -> Result<(), RunError> {
    for index in 0..suite.count().get().min(FIRST_ROWS) {
        if suite.load(index)?.is_ok_and(|row| row.labels.place.is_some()) {
            return Ok(());
        }
    }
    Err(RunError::Setting {
        key: "eval.prior".into(),
        found: format!("{}, whose rows have no `triple` and `role`", path.display()),
        wanted: "a prior suite, such as shapes:prior".into(),
    })
}
