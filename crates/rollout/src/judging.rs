//! Judging checkpoints while a run goes on, as `eval.every` asks: who does it, what is written down, which is the best,
//! and when it is enough.
//!
//! A checkpoint is judged once it is whole, so that a run which is stopped meanwhile goes on there: with what was asked
//! already, and the same lines at the end.

use crate::error::RunError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};
use vigos_core::files::{FileError, write_atomic_bytes};
use vigos_core::jsonl::JsonLines;
use vigos_models::VisionLanguageModel;
use vigos_ranks::Ranks;
use vigos_recipe::Eval;
use vigos_tensorboard::TensorBoard;

/// What came of an evaluation. Shares are from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Share of right answers, by which checkpoints are compared.
    pub accuracy: f64,
    /// Its standard error.
    pub standard_error: Option<f64>,
    /// Share of answers in the output format.
    pub valid: f64,
    /// Items that were asked.
    pub items: usize,
}

/// Evaluates checkpoints.
pub trait Judge {
    /// Asks `model` with the adapter in `checkpoint`, all ranks together, which come to the same. What was done is kept in
    /// `folder` and gone on with there; nothing is known if `stop` is set before the end. `note` is told what a person should
    /// know.
    ///
    /// # Errors
    /// If it cannot be asked.
    fn judge(
        &mut self,
        model: &Arc<dyn VisionLanguageModel>,
        checkpoint: &Path,
        folder: &Path,
        ranks: &dyn Ranks,
        note: &mut dyn FnMut(&str),
        stop: &AtomicBool,
    ) -> Result<Option<Judged>, RunError>;
}

/// The best checkpoint so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Its step.
    pub step: usize,
    /// Its accuracy.
    pub accuracy: f64,
    /// Evaluations since that were no better.
    pub since: usize,
}

/// What judging came to before a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Lines of `evaluations.jsonl` that there are.
    pub evaluations: u64,
    /// The best checkpoint.
    pub best: Option<Best>,
}

impl Standing {
    /// Whether nothing was judged.
    pub fn is_new(&self) -> bool {
        *self == Self::default()
    }
}

/// A line of `evaluations.jsonl`.
#[derive(Serialize)]
struct Line {
    step: usize,
    #[serde(flatten)]
    judged: Judged,
}

/// The evaluations of a run.
pub struct Judging<'a> {
    judge: &'a mut dyn Judge,
    model: Arc<dyn VisionLanguageModel>,
    eval: &'a Eval,
    run_dir: PathBuf,
    ranks: &'a dyn Ranks,
    /// The first rank's.
    lines: Option<JsonLines>,
}

impl<'a> Judging<'a> {
    /// Those that a recipe asks for, going on from what they came to; none if it asks for none. The first rank writes what
    /// there is to write of them.
    ///
    /// # Errors
    /// If the file of their lines cannot be written.
    pub fn open(
        judge: Option<&'a mut dyn Judge>,
        model: &Arc<dyn VisionLanguageModel>,
        eval: &'a Eval,
        run_dir: &Path,
        standing: &Standing,
        ranks: &'a dyn Ranks,
    ) -> Result<Option<Self>, RunError> {
        let Some(judge) = judge.filter(|_| eval.every > 0) else { return Ok(None) };
        let (model, run_dir) = (model.clone(), run_dir.to_owned());
        let mut judging = Self { judge, model, eval, run_dir, ranks, lines: None };
        if ranks.is_first() {
            let path = judging.run_dir.join("evaluations.jsonl");
            judging.lines = Some(JsonLines::resume(&path, standing.evaluations)?);
            judging.name_best(standing.best.as_ref())?;
        }
        Ok(Some(judging))
    }

    /// Whether the checkpoint of this step of `total` is one that is judged.
    pub fn is_due(&self, step: usize, total: usize) -> bool {
        step > 0 && (step.is_multiple_of(self.eval.every) || step == total)
    }

    /// Whether so many evaluations were no better that training is to end.
    pub fn has_enough(&self, standing: &Standing) -> bool {
        let patience = self.eval.patience;
        patience > 0 && standing.best.is_some_and(|best| best.since >= patience)
    }

    /// Forgets what another checkpoint of this step was judged by: the run went back behind it.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn forget(&self, step: usize) -> Result<(), RunError> {
        let folder = self.folder(step);
        if !self.ranks.is_first() {
            return Ok(());
        }
        match fs::remove_dir_all(&folder) {
            Err(error) if folder.exists() => Err(FileError::io("remove", &folder, error).into()),
            _ => Ok(()),
        }
    }

    /// Judges the checkpoint of a step, unless the run is to stop, and notes in `standing` what came of it.
    ///
    /// # Errors
    /// If it cannot be judged, or a file cannot be written.
    pub fn judge(
        &mut self,
        (step, checkpoint): (usize, &Path),
        standing: &mut Standing,
        tensorboard: Option<&mut TensorBoard>,
        note: &mut dyn FnMut(&str),
        stop: &AtomicBool,
    ) -> Result<(), RunError> {
        let folder = self.folder(step);
        let judged = self.judge.judge(&self.model, checkpoint, &folder, self.ranks, note, stop)?;
        let Some(judged) = judged else { return Ok(()) };
        let best = match standing.best {
            Some(best) if judged.accuracy <= best.accuracy => Best { since: best.since + 1, ..best },
            _ => Best { step, accuracy: judged.accuracy, since: 0 },
        };
        let Judged { accuracy, valid, items, .. } = judged;
        note(&format!(
            "step {step}: accuracy {:.1} % of {items} items, {:.1} % in format; the best is step {} with {:.1} %",
            100.0 * accuracy,
            100.0 * valid,
            best.step,
            100.0 * best.accuracy
        ));
        *standing = Standing { evaluations: standing.evaluations + 1, best: Some(best) };
        let Some(lines) = &mut self.lines else { return Ok(()) };
        lines.write(&Line { step, judged })?;
        lines.sync()?;
        if let Some(tensorboard) = tensorboard {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
            tensorboard.scalars(step as u64, now, [("eval/accuracy", accuracy), ("eval/valid", valid)])?;
        }
        self.name_best(standing.best.as_ref())
    }

    fn folder(&self, step: usize) -> PathBuf {
        self.run_dir.join("eval").join(format!("step-{step:06}"))
    }

    /// Writes `checkpoints/best.json`.
    fn name_best(&self, best: Option<&Best>) -> Result<(), RunError> {
        let folder = self.run_dir.join("checkpoints");
        let path = folder.join("best.json");
        let Some(Best { step, accuracy, .. }) = best else {
            return match fs::remove_file(&path) {
                Err(error) if path.exists() => Err(FileError::io("remove", &path, error).into()),
                _ => Ok(()),
            };
        };
        let named =
            serde_json::json!({"checkpoint": format!("step-{step:06}"), "step": step, "accuracy": accuracy});
        Ok(write_atomic_bytes(&path, format!("{named}\n").as_bytes())?)
    }
}
