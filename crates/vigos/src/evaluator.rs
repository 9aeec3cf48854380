//! `eval.every`: the trainer's checkpoints judged by an evaluation, which it knows nothing of.

use burn::tensor::Device;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use vigos_core::files::FileError;
use vigos_eval::evaluate::{begun, evaluate_with};
use vigos_eval::{Observer, Options};
use vigos_models::VisionLanguageModel;
use vigos_ranks::{Ranks, shared};
use vigos_recipe::Recipe;
use vigos_rollout::agreed::{by_the_first, of_the_first};
use vigos_rollout::judging::{Judge, Judged};
use vigos_rollout::{Kit, RunError};

/// Asks checkpoints what `[eval]` of their recipe says.
#[derive(Debug)]
pub struct Evaluator<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// What it may name.
    pub kit: &'a Kit,
    /// The device.
    pub device: &'a Device,
}

/// Tells what a person should know.
struct Notes<'a>(&'a mut dyn FnMut(&str));

impl Observer for Notes<'_> {
    fn note(&mut self, text: &str) {
        (self.0)(text);
    }
}

impl Judge for Evaluator<'_> {
    fn judge(
        &mut self,
        model: &Arc<dyn VisionLanguageModel>,
        checkpoint: &Path,
        folder: &Path,
        ranks: &dyn Ranks,
        note: &mut dyn FnMut(&str),
        stop: &AtomicBool,
    ) -> Result<Option<Judged>, RunError> {
        let mut recipe = self.recipe.clone();
        recipe.model.adapter = Some(checkpoint.to_owned());
        let mut ask = |resume| {
            let options = Options { ranks, ..Options::new(&recipe, folder, self.kit, self.device) };
            evaluate_with(&options.resumed(resume), Some(Arc::clone(model)), &mut Notes(note), stop)
        };
        let remove = || match folder.is_dir() {
            true => fs::remove_dir_all(folder).map_err(|error| FileError::io("remove", folder, error).into()),
            false => Ok(()),
        };
        let first = || match begun(folder, &recipe) {
            // Begun under other settings, which a run that is gone on with may have changed.
            Err(RunError::Folder(_)) => remove().map(|()| false),
            begun => begun,
        };
        let asked = ask(of_the_first(ranks, first)?);
        // Of another adapter, where a run went back behind its checkpoint and came to another: told by the first rank.
        let is_other = shared(ranks, &matches!(asked, Err(RunError::Folder(_))))?.contains(&true);
        let finished = match is_other {
            true => {
                by_the_first(ranks, remove, || Ok(()))?;
                ask(false)?
            }
            false => asked?,
        };
        Ok(finished.report.map(|report| Judged {
            accuracy: report.overall.average.value,
            standard_error: report.overall.average.standard_error,
            valid: report.overall.valid,
            items: report.asked,
        }))
    }
}
