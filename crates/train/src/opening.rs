//! What every kind of training opens before its first step: the run's folder, where it stands, the files that grow. The
//! first rank opens them to write, the others to read.

use crate::agreed::{by_the_first, first_then_others, same};
use crate::fine_tune::FineTune;
use crate::observer::Observer;
use crate::recorder::{Recorder, Writing};
use std::path::{Path, PathBuf};
use vigos_checkpoint::optim::AdamW;
use vigos_checkpoint::{Checkpoints, State};
use vigos_core::jsonl::JsonLinesError;
use vigos_data::Dataset;
use vigos_ranks::{Ranks, shared};
use vigos_recipe::RunRecipe;
use vigos_recipe::resume::Run;
use vigos_rollout::base::ModelFiles;
use vigos_rollout::inputs::Inputs;
use vigos_rollout::run_folder::{FolderError, RunFolder};
use vigos_rollout::{RunError, RunOptions, Start};

/// A run's folder, free for it or its own; nothing of the run is written yet.
///
/// # Errors
/// If it is not, or the ranks have not the same recipe.
pub(crate) fn open_folder<R: RunRecipe>(
    options: &RunOptions<R>,
    run: Run,
    observer: &mut dyn Observer,
) -> Result<RunFolder, RunError> {
    let RunOptions { recipe, run_dir, start, ranks, .. } = *options;
    same(ranks, "recipe", &recipe.to_toml()?)?;
    let folder = by_the_first(
        ranks,
        || Ok(RunFolder::open(run_dir, recipe, start.resumes(), run)?),
        || Ok(RunFolder::to_read(run_dir, start.resumes())),
    )?;
    folder.changes().iter().for_each(|change| observer.note(change));
    Ok(folder)
}

/// Holds base and data against those that a resumed run began with; what has to be fetched of the base one rank
/// fetches for all.
///
/// # Errors
/// If the base is another one, or cannot be had.
pub(crate) fn hold_inputs(
    folder: &mut RunFolder,
    base: &ModelFiles,
    data: &Dataset,
    ranks: &dyn Ranks,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    let change = by_the_first(
        ranks,
        || {
            let weights = base.weights(&mut |file, bytes, size| observer.fetching(file, bytes, size))?;
            let files = data.files().iter().map(PathBuf::as_path);
            Ok(folder.computes_with(Inputs::of(&weights, None, data.count().get(), files)?)?)
        },
        || Ok(None),
    )?;
    change.iter().for_each(|change| observer.note(change));
    folder.is_run(shared(ranks, &folder.run().to_owned())?.swap_remove(0));
    Ok(())
}

/// What is trained, its optimiser, and where the run of `total` steps stands: as the folder's newest whole checkpoint has it,
/// or at the start, with the weights that `fresh` gives. The folder is then begun.
///
/// # Errors
/// If every checkpoint is damaged, the run is past its end, or the folder cannot be written.
pub(crate) fn begin<R: RunRecipe, F: FineTune>(
    options: &RunOptions<R>,
    folder: &mut RunFolder,
    fine_tune: &F,
    fresh: impl FnOnce(&mut dyn Observer) -> Result<F::Weights, RunError>,
    total: usize,
    observer: &mut dyn Observer,
) -> Result<(F::Weights, AdamW, State), RunError> {
    let RunOptions { recipe, start, overrides, ranks, .. } = *options;
    let checkpoints = Checkpoints::of(folder.path());
    let read = |path: &Path| fine_tune.restore(path);
    // The first rank puts aside and mends; the others find the newest.
    let at = if ranks.is_first() || !start.resumes() { start } else { Start::Resumed };
    let (weights, optimiser, state) = first_then_others(ranks, || {
        if let Some(saved) = checkpoints.go_on(at, folder.run(), read, &mut |text| observer.note(text))? {
            return Ok(saved);
        }
        let weights = fresh(observer)?;
        let optimiser = AdamW::new(&weights);
        Ok((weights, optimiser, State { run: folder.run().to_owned(), ..State::default() }))
    })?;
    same(ranks, "checkpoint", &state)?;
    state.is_within(total)?;
    by_the_first(ranks, || Ok(folder.begin(recipe, overrides)?), || Ok(()))?;
    Ok((weights, optimiser, state))
}

/// The files of a run that was begun, from `state` on.
///
/// # Errors
/// If one has fewer lines than belong to the state, or cannot be written.
pub(crate) fn open_recorder<'a>(
    folder: &RunFolder,
    writing: Writing<'a>,
    state: &State,
    ranks: &dyn Ranks,
) -> Result<Recorder<'a>, RunError> {
    let open = || match Recorder::open(folder.clone(), writing, state) {
        Err(RunError::Lines(error @ JsonLinesError::TooFew { .. })) => {
            let hint =
                "put that file back; or start anew elsewhere, with model.adapter = a checkpoint of this run";
            Err(FolderError::taken(folder.path(), error.to_string(), hint).into())
        }
        opened => opened,
    };
    by_the_first(ranks, open, || Recorder::reading(folder.clone(), writing, state))
}
