//! Benchmarks as `eval.suites` names them.

use std::path::PathBuf;

use vigos_data::Benchmark;
use vigos_data::vilp::Wording;
use vigos_rollout::RunError;

/// ViLP in both of its forms, and in each.
const VILP: [(&str, &[Wording]); 3] =
    [("vilp", &[Wording::Fact, Wording::Plain]), ("vilp-f", &[Wording::Fact]), ("vilp-p", &[Wording::Plain])];
/// Where ViLP's authors have its rows.
const VILP_PATH: &str = "hf:ViLP/ViLP@train";
/// VLind-Bench, whose images are files beside its rows: it is fetched by hand.
const VLIND: &str = "vlind-bench";

/// A benchmark of `eval.suites`.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) rows: Rows,
    /// Its data sets, in the order that they are asked.
    pub(crate) paths: Vec<PathBuf>,
}

/// What a benchmark's rows are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows {
    Benchmark(Benchmark),
    /// Three images to a question, which is asked in these forms.
    Vilp(&'static [Wording]),
    /// Statements about pairs of images.
    Vlind,
}

impl Named {
    /// Reads `NAME` or `NAME=PATH` of each entry.
    ///
    /// # Errors
    /// If a name is unknown or named twice.
    pub(crate) fn all(entries: &[String]) -> Result<Vec<Self>, RunError> {
        let mut all: Vec<Self> = Vec::new();
        for entry in entries {
            let named = Self::read(entry)?;
            if all.iter().any(|other| other.name == named.name) {
                return Err(fault(entry, "each suite once".into()));
            }
            all.push(named);
        }
        Ok(all)
    }

    fn read(entry: &str) -> Result<Self, RunError> {
        let (name, path) = match entry.split_once('=') {
            Some((name, path)) => (name.trim(), Some(PathBuf::from(path.trim()))),
            None => (entry.trim(), None),
        };
        let known = Benchmark::ALL.into_iter().find(|benchmark| benchmark.name() == name);
        let known = known.map(|it| (it.name(), Rows::Benchmark(it), it.paths()));
        let vilp = || {
            let (name, wordings) = VILP.into_iter().find(|(known, _)| *known == name)?;
            Some((name, Rows::Vilp(wordings), [VILP_PATH].as_slice()))
        };
        let vlind = || (name == VLIND).then_some((VLIND, Rows::Vlind, [].as_slice()));
        let Some((name, rows, paths)) = known.or_else(vilp).or_else(vlind) else {
            let names = Benchmark::ALL.iter().map(|it| it.name());
            let names = names.chain(VILP.iter().map(|(name, _)| *name)).chain([VLIND]);
            return Err(fault(entry, format!("one of {}", names.collect::<Vec<_>>().join(", "))));
        };
        let paths = match path {
            Some(path) => vec![path],
            None if paths.is_empty() => {
                let how = "the folder of its files, as they are no table that is fetched by rows: `hf download \
                           klee972/VLind-Bench --repo-type dataset`";
                return Err(fault(entry, format!("{name}=FOLDER, {how}")));
            }
            None => paths.iter().map(PathBuf::from).collect(),
        };
        Ok(Self { name, rows, paths })
    }

    /// Whether a language model alone can grade its answers.
    pub(crate) fn is_judged(&self) -> bool {
        matches!(self.rows, Rows::Benchmark(Benchmark::MmVet))
    }

    /// The groups that its authors average, as [`Benchmark::weights`].
    pub(crate) fn weights(&self) -> &'static [(&'static str, f64)] {
        match self.rows {
            Rows::Benchmark(benchmark) => benchmark.weights(),
            Rows::Vilp(_) | Rows::Vlind => &[],
        }
    }
}

fn fault(found: &str, wanted: String) -> RunError {
    RunError::Setting { key: "eval.suites".into(), found: format!("{found:?}"), wanted }
}
