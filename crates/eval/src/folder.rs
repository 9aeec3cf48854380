//! What evaluation and diagnostic share: what they are given, how they are watched, where they write.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use vigos_core::files::write_atomic_bytes;
use vigos_core::jsonl::{JsonLines, LastLine, ReadOptions, read_lines};
use vigos_hub::adapter_folder;
use vigos_ranks::{Ranks, shared};
use vigos_recipe::Recipe;
use vigos_recipe::resume::Run;
use vigos_rollout::agreed::{by_the_first, same};
use vigos_rollout::base::ModelFiles;
use vigos_rollout::inputs::Inputs;
use vigos_rollout::run_folder::{FolderError, RunFolder};
use vigos_rollout::{RunError, RunOptions};

/// What to look at, and where; `model.adapter` of the recipe names the student's adapter, without one the student is
/// the base.
pub type Options<'a> = RunOptions<'a, Recipe>;

/// Sees the work as it goes.
pub trait Observer {
    /// `bytes` of the `size` bytes of a file from the hub are there.
    fn fetching(&mut self, _file: &str, _bytes: u64, _size: u64) {}
    /// Work begins after `done` of `total` items.
    fn started(&mut self, _done: usize, _total: usize) {}
    /// So many items are done.
    fn items(&mut self, _done: usize) {}
    /// Tokens drawn so far in the batch under way.
    fn tokens(&mut self, _drawn: usize) {}
    /// Something that the user should know, but that does not stop the work.
    fn note(&mut self, _text: &str) {}
}

/// Sees nothing.
impl Observer for () {}

/// How the work ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished<R> {
    /// Items done in all.
    pub items: usize,
    /// Items that there are.
    pub total: usize,
    /// The report; none if the work was stopped.
    pub report: Option<R>,
}

/// Whether work of this recipe was begun in a folder.
pub(crate) fn begun(run_dir: &Path, recipe: &Recipe, kind: Run) -> Result<bool, RunError> {
    let begun = run_dir.join("config.toml").exists();
    if begun {
        RunFolder::open(run_dir, recipe, true, kind)?;
    }
    Ok(begun)
}

/// A folder that is being written to.
pub(crate) struct Folder {
    path: PathBuf,
    lines: &'static str,
}

impl Folder {
    /// Claims the folder, or finds in it what is to be gone on with. `lines` is the file that items are written to.
    pub(crate) fn open(
        options: &Options,
        lines: &'static str,
        kind: Run,
    ) -> Result<(Self, RunFolder), RunError> {
        let Options { recipe, run_dir, ranks, start, .. } = *options;
        same(ranks, "recipe", &recipe.to_toml()?)?;
        let run = by_the_first(
            ranks,
            || Ok(RunFolder::open(run_dir, recipe, start.resumes(), kind)?),
            || Ok(RunFolder::to_read(run_dir, start.resumes())),
        )?;
        Ok((Self { path: run_dir.to_owned(), lines }, run))
    }

    /// Holds base, adapter and so many rows of data files against those that work which is gone on with was begun with.
    ///
    /// # Errors
    /// If base or adapter are others.
    pub(crate) fn hold_inputs<'a>(
        run: &mut RunFolder,
        options: &Options,
        files: &ModelFiles,
        (rows, data): (usize, impl IntoIterator<Item = &'a Path>),
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        let hold = || {
            let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
            let base = files.weights(&mut fetching)?;
            let adapter = options.recipe.model.adapter.as_deref();
            let adapter = adapter.map(|path| adapter_folder(path, &mut fetching)).transpose()?;
            let change = run.computes_with(Inputs::of(&base, adapter.as_deref(), rows, data)?)?;
            change.iter().for_each(|change| observer.note(change));
            Ok(())
        };
        by_the_first(options.ranks, hold, || Ok(()))
    }

    /// Begins the work in the folder.
    pub(crate) fn begin(run: &mut RunFolder, options: &Options) -> Result<(), RunError> {
        let Options { recipe, overrides, ranks, .. } = *options;
        by_the_first(ranks, || Ok(run.begin(recipe, overrides)?), || Ok(()))
    }

    /// The file of lines.
    pub(crate) fn lines(&self) -> PathBuf {
        self.path.join(self.lines)
    }

    /// Opens the lines to go on: how many of the `total` items are done, and on the first rank the file behind their last
    /// line. Items are written in parts of `part` items; a part that is not whole is removed. `place` gives a line's item
    /// and whether the line is that item's last.
    pub(crate) fn resume<L: DeserializeOwned>(
        &self,
        ranks: &dyn Ranks,
        total: usize,
        part: usize,
        place: impl Fn(&L) -> (usize, bool),
    ) -> Result<(usize, Option<JsonLines>), RunError> {
        let first = || self.resume_lines(total, part, place).map(|(done, file)| (done, Some(file)));
        let (own, file) = by_the_first(ranks, first, || Ok((0, None)))?;
        let done = shared(ranks, &own)?.first().copied().unwrap_or(own);
        Ok((done, file))
    }

    fn resume_lines<L: DeserializeOwned>(
        &self,
        total: usize,
        part: usize,
        place: impl Fn(&L) -> (usize, bool),
    ) -> Result<(usize, JsonLines), RunError> {
        let path = self.lines();
        // Of each item that is whole, how many lines there are up to its end.
        let mut ends: Vec<u64> = Vec::new();
        if path.exists() {
            let options = ReadOptions { last_line: LastLine::Dropped, ..ReadOptions::default() };
            for (number, line) in read_lines::<L>(&path, options)?.enumerate() {
                let (at, line) = line?;
                let (item, last) = place(&line);
                if item != ends.len() || item >= total {
                    return Err(FolderError::Taken {
                        path,
                        message: format!("line {at}: found item {item}, wanted {} of {total}", ends.len()),
                        hint: "another run wrote it; name another folder with --run-dir".into(),
                    }
                    .into());
                }
                if last {
                    ends.push(number as u64 + 1);
                }
            }
        }
        let done = if ends.len() == total { total } else { ends.len() - ends.len() % part };
        let keep = done.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(0);
        Ok((done, JsonLines::resume(&path, keep)?))
    }

    /// Every line, checked to be there.
    pub(crate) fn read<L: DeserializeOwned>(
        &self,
    ) -> Result<impl Iterator<Item = Result<L, RunError>>, RunError> {
        let lines = read_lines::<L>(&self.lines(), ReadOptions::default())?;
        Ok(lines.map(|line| Ok(line?.1)))
    }

    /// Writes `report.json` and `report.md`.
    pub(crate) fn report(&self, report: &impl Serialize, markdown: &str) -> Result<(), RunError> {
        let mut json = serde_json::to_vec_pretty(report).unwrap_or_default();
        json.push(b'\n');
        write_atomic_bytes(&self.path.join("report.md"), markdown.as_bytes())?;
        write_atomic_bytes(&self.path.join("report.json"), &json)?;
        Ok(())
    }
}
