//! The student as evaluation needs it: base, perhaps an adapter, sampling in eval mode.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vigos_data::{BadRow, Row};
use vigos_hub::Progress;
use vigos_models::{ActiveAdapter, Adapter, VisionLanguageModel};
use vigos_recipe::sample::{Sample, SampleError, SampleMaker, Skip, UserTexts};
use vigos_recipe::{Method, Recipe};
use vigos_rollout::adapter::stored_adapter;
use vigos_rollout::base::{Base, BaseFiles};
use vigos_rollout::engine::RolloutError;
use vigos_rollout::student::{GenerationSettings, Student};
use vigos_rollout::{RolledOut, RunError};

use crate::folder::Options;

/// The base and the adapter of a recipe's student.
pub(crate) struct Loaded<'a> {
    pub(crate) base: Base<'a>,
    adapter: Option<Adapter>,
}

impl<'a> Loaded<'a> {
    /// Loads the base, unless it is given, and the adapter that the recipe names.
    pub(crate) fn open(
        options: &Options<'a>,
        model: Option<Arc<dyn VisionLanguageModel>>,
        progress: &mut Progress,
    ) -> Result<Self, RunError> {
        let Options { recipe, kit, device, .. } = *options;
        let base = BaseFiles::open(recipe, kit, progress)?;
        // What is wrong with the adapter is said before the base's weights are loaded.
        let mut load = |path| stored_adapter(path, base.model.config.architecture(), device, progress);
        let adapter = recipe.model.adapter.as_deref().map(&mut load).transpose()?;
        let base = match model {
            Some(model) => base.of(model),
            None => base.load(device, progress)?,
        };
        Ok(Self { base, adapter })
    }

    /// The student, in eval mode.
    pub(crate) fn student(&self) -> Student<'_> {
        let adapter = self.adapter.as_ref().map(|adapter| ActiveAdapter { adapter, dropout: None });
        Student { base: &self.base, adapter }
    }

    /// Completes samples, each with the number that its draws are keyed by. None if `stop` is set.
    pub(crate) fn complete(
        &self,
        generation: &GenerationSettings,
        samples: &[(Arc<Sample>, u64)],
        watch: &mut dyn FnMut(usize),
        stop: &AtomicBool,
    ) -> Result<Option<Vec<RolledOut>>, RunError> {
        let completed = self.student().complete(samples, generation, 0, &mut |drawn| {
            watch(drawn);
            if stop.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match completed {
            Err(RolloutError::Interrupted) => Ok(None),
            other => Ok(Some(other?)),
        }
    }
}

/// Rows at the beginning of the data of which one should be a row that can be asked.
const TRIED: usize = 32;

/// The recipe's method with nobody but the student: prompts of teachers are not made.
pub(crate) fn alone(recipe: &Recipe) -> Method {
    Method { teachers: Vec::new(), ..recipe.method.clone() }
}

/// Makes the first row ready that can be: what every row would fail at is told before a run is begun.
///
/// # Errors
/// Such a fault, of a template for example; or of the data.
pub(crate) fn try_first(
    maker: &SampleMaker,
    rows: usize,
    load: impl Fn(usize) -> Result<Result<Row, BadRow>, RunError>,
) -> Result<(), RunError> {
    for number in 0..rows.min(TRIED) {
        if let Ok(row) = load(number)?
            && ready(maker, number, &row)?.is_ok()
        {
            break;
        }
    }
    Ok(())
}

/// The row of item `number` made ready; or what it is counted under, and why it is left out.
pub(crate) fn ready(
    maker: &SampleMaker,
    number: usize,
    row: &Row,
) -> Result<Result<Sample, (&'static str, String)>, SampleError> {
    let made = maker.make(number as u64, row, &UserTexts::new())?;
    Ok(made.map_err(|skip: Skip| (skip.kind(), skip.to_string())))
}
