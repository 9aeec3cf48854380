//! Completions that were recorded, by a run or by anyone, as rollouts of the recipe's student.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use vigos_data::recorded::{Recorded, recorded as lines_of};
use vigos_data::{BadRow, DataRequest};
use vigos_hub::Progress;
use vigos_recipe::Recipe;
use vigos_recipe::reference_target;
use vigos_recipe::row::Row;
use vigos_recipe::sample::{Sample, SampleError, SampleMaker, Skip};
use vigos_rollout::base::Base;
use vigos_rollout::{Kit, RolledOut, RunError};

/// Reads every line and makes its sample. A line without an image is completed from the row of its name in the
/// recipe's data set.
///
/// # Errors
/// If the file or a line is wrong, the data set is needed and cannot be opened, or a row is not there.
pub(crate) fn recorded(
    path: &Path,
    base: &Base,
    kit: &Kit,
    progress: &mut Progress,
) -> Result<Vec<RolledOut>, RunError> {
    let lines = lines_of(path)?.collect::<Result<Vec<Recorded>, _>>()?;
    let vocabulary = base.model.architecture().text.vocab_size;
    lines.iter().try_for_each(|line| line.check(vocabulary))?;
    let nameless = lines.iter().filter(|line| !line.has_image());
    let wanted: BTreeSet<&str> = nameless.map(|line| line.id.as_str()).collect();
    let known = match wanted.is_empty() {
        true => BTreeMap::new(),
        false => rows_of(base.recipe, wanted, kit, progress)?,
    };

    let folder = vigos_core::files::folder_of(path);
    let maker = base.samples();
    let mut rows = Vec::new();
    for line in lines {
        let number = rows.len() as u64;
        let sample = if line.has_image() {
            sample(&maker, number, &line, &line.own_row(folder)?)?
        } else {
            let row = row_of(&known, &line, &base.recipe.data.path)?;
            let sample = sample(&maker, number, &line, row)?;
            agrees(&line, &sample)?;
            sample
        };
        rows.push(base.read(Arc::new(sample), line.completion_token_ids, line.finish_reason));
    }
    if rows.is_empty() {
        let reason = "the file has no row".into();
        return Err(RunError::NothingLeft { path: path.to_owned(), rows: 0, reason });
    }
    Ok(rows)
}

/// The rows of these names in the recipe's data set, of two of one name the first.
fn rows_of(
    recipe: &Recipe,
    wanted: BTreeSet<&str>,
    kit: &Kit,
    progress: &mut Progress,
) -> Result<BTreeMap<String, Result<Row, BadRow>>, RunError> {
    let dataset = kit.sources.open(&DataRequest::from(&recipe.data), progress)?;
    let mut found = BTreeMap::new();
    for index in 0..dataset.count().get() {
        if found.len() == wanted.len() {
            break;
        }
        let id = match dataset.read(index)? {
            Ok(row) => row.id,
            Err(bad) => bad.id,
        };
        if wanted.contains(id.as_str()) && !found.contains_key(&id) {
            found.insert(id, dataset.load(index)?);
        }
    }
    Ok(found)
}

/// The row of a line's name.
fn row_of<'a>(
    known: &'a BTreeMap<String, Result<Row, BadRow>>,
    line: &Recorded,
    data: &Path,
) -> Result<&'a Row, SampleError> {
    match known.get(&line.id) {
        Some(Ok(row)) => Ok(row),
        Some(Err(BadRow { origin, reason, .. })) => {
            Err(line.fault("image", format!("the row of this id, {origin}, cannot be used: {reason}")))
        }
        None => {
            let message = format!("the line has no image, and no row of {} has this id", data.display());
            Err(line.fault("id", message))
        }
    }
}

/// The sample of a row, with the texts that the line gives its prompts.
fn sample(maker: &SampleMaker, number: u64, line: &Recorded, row: &Row) -> Result<Sample, SampleError> {
    maker.make(number, row, &line.prompts)?.map_err(|skip| match skip {
        Skip::LongPrompt { role, tokens } => line.fault(
            &role,
            format!("found a prompt of {tokens} tokens, wanted at most {}", maker.max_prompt_tokens),
        ),
        Skip::BeyondMemory { tokens, .. } | Skip::LongSample { tokens } => {
            line.fault("completion_token_ids", format!("found {tokens} tokens"))
        }
        Skip::BadRow { field, reason } => line.fault(&field, reason),
        Skip::SmallImage { side } => {
            line.fault("image", format!("found a side of {side} pixels, wanted {}", maker.min_image_side))
        }
    })
}

/// Refuses a line whose row has become another since it was written.
fn agrees(line: &Recorded, sample: &Sample) -> Result<(), SampleError> {
    let Recorded { problem, answer, .. } = line;
    let other = |field: &str| {
        let message =
            "found another one than the row of this id has; is it the data set that the rollouts are of?";
        Err(line.fault(field, message.into()))
    };
    match () {
        () if *problem != sample.problem => other("problem"),
        () if reference_target(answer) != sample.reference => other("answer"),
        () => Ok(()),
    }
}
