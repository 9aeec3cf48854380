//! Completions that were recorded, by a run or by anyone, as rollouts of the recipe's student.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use vigos_core::jsonl::{LastLine, ReadOptions, read_lines};
use vigos_core::paths::contained;
use vigos_data::{BadRow, DataRequest};
use vigos_hub::Progress;
use vigos_recipe::Recipe;
use vigos_recipe::reference_target;
use vigos_recipe::row::{ImageSource, Labels, Row};
use vigos_recipe::sample::{Sample, SampleError, SampleMaker, Skip, UserTexts};
use vigos_rollout::base::Base;
use vigos_rollout::engine::Finish;
use vigos_rollout::{Kit, RolledOut, RunError};

/// One line of the file. What else it says, as a snapshot of a run's rollouts does, is left alone.
#[derive(Clone, Debug, Deserialize)]
struct Line {
    id: String,
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    images: Vec<String>,
    problem: String,
    answer: String,
    completion_token_ids: Vec<u32>,
    #[serde(default = "stopped")]
    finish_reason: Finish,
    #[serde(default)]
    prompts: UserTexts,
}

fn stopped() -> Finish {
    Finish::Stop
}

impl Line {
    fn has_image(&self) -> bool {
        self.image.is_some() || !self.images.is_empty()
    }
}

/// A line and where it stands.
struct Placed {
    origin: String,
    line: Line,
}

impl Placed {
    fn fault(&self, field: &str, message: String) -> SampleError {
        let (origin, id) = (self.origin.clone(), self.line.id.clone());
        SampleError { origin, id, field: field.to_owned(), message }
    }
}

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
    let options = ReadOptions { last_line: LastLine::Taken, ..ReadOptions::default() };
    let mut lines = Vec::new();
    for line in read_lines::<Line>(path, options)? {
        let (number, line) = line?;
        lines.push(Placed { origin: format!("{}:{number}", path.display()), line });
    }
    let vocabulary = base.model.architecture().text.vocab_size;
    lines.iter().try_for_each(|placed| check(placed, vocabulary))?;
    let nameless = lines.iter().filter(|placed| !placed.line.has_image());
    let wanted: BTreeSet<&str> = nameless.map(|placed| placed.line.id.as_str()).collect();
    let known = match wanted.is_empty() {
        true => BTreeMap::new(),
        false => rows_of(base.recipe, wanted, kit, progress)?,
    };

    let folder = vigos_core::files::folder_of(path);
    let maker = base.samples();
    let mut rows = Vec::new();
    for placed in lines {
        let number = rows.len() as u64;
        let sample = if placed.line.has_image() {
            sample(&maker, number, &placed, &own_row(&placed, folder)?)?
        } else {
            let row = row_of(&known, &placed, &base.recipe.data.path)?;
            let sample = sample(&maker, number, &placed, row)?;
            agrees(&placed, &sample)?;
            sample
        };
        rows.push(base.read(Arc::new(sample), placed.line.completion_token_ids, placed.line.finish_reason));
    }
    if rows.is_empty() {
        let reason = "the file has no row".into();
        return Err(RunError::NothingLeft { path: path.to_owned(), rows: 0, reason });
    }
    Ok(rows)
}

/// Refuses a completion that no model of this vocabulary can have written.
fn check(placed: &Placed, vocabulary: usize) -> Result<(), SampleError> {
    let ids = &placed.line.completion_token_ids;
    if ids.is_empty() {
        return Err(placed.fault("completion_token_ids", "found no token, wanted at least one".into()));
    }
    match ids.iter().find(|id| **id as usize >= vocabulary) {
        None => Ok(()),
        Some(id) => {
            let wanted = format!("found {id}, wanted ids below the vocabulary's size {vocabulary}");
            Err(placed.fault("completion_token_ids", wanted))
        }
    }
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
        let row = dataset.load(index)?;
        let id = match &row {
            Ok(row) => row.id.clone(),
            Err(bad) => bad.id.clone(),
        };
        if wanted.contains(id.as_str()) {
            found.entry(id).or_insert(row);
        }
    }
    Ok(found)
}

/// The row of a line's name.
fn row_of<'a>(
    known: &'a BTreeMap<String, Result<Row, BadRow>>,
    placed: &Placed,
    data: &Path,
) -> Result<&'a Row, SampleError> {
    match known.get(&placed.line.id) {
        Some(Ok(row)) => Ok(row),
        Some(Err(BadRow { origin, reason, .. })) => {
            Err(placed.fault("image", format!("the row of this id, {origin}, cannot be used: {reason}")))
        }
        None => {
            let message = format!("the line has no image, and no row of {} has this id", data.display());
            Err(placed.fault("id", message))
        }
    }
}

/// The row that a line itself is, with images from beside its file.
fn own_row(placed: &Placed, folder: &Path) -> Result<Row, SampleError> {
    let Line { id, image, images, problem, answer, .. } = &placed.line;
    let file = |relative: &String| {
        contained(folder, relative).map(ImageSource::File).map_err(|e| placed.fault("image", e.to_string()))
    };
    Ok(Row {
        id: id.clone(),
        origin: placed.origin.clone(),
        problem: problem.clone(),
        answer: answer.clone(),
        images: image.iter().chain(images).map(file).collect::<Result<_, _>>()?,
        labels: Labels::default(),
        demonstration: None,
    })
}

/// The sample of a row, with the texts that the line gives its prompts.
fn sample(maker: &SampleMaker, number: u64, placed: &Placed, row: &Row) -> Result<Sample, SampleError> {
    maker.make(number, row, &placed.line.prompts)?.map_err(|skip| match skip {
        Skip::LongPrompt { role, tokens } => placed.fault(
            &role,
            format!("found a prompt of {tokens} tokens, wanted at most {}", maker.max_prompt_tokens),
        ),
        Skip::BeyondMemory { tokens, .. } | Skip::LongSample { tokens } => {
            placed.fault("completion_token_ids", format!("found {tokens} tokens"))
        }
        Skip::BadRow { field, reason } => placed.fault(&field, reason),
        Skip::SmallImage { side } => {
            placed.fault("image", format!("found a side of {side} pixels, wanted {}", maker.min_image_side))
        }
    })
}

/// Refuses a line whose row has become another since it was written.
fn agrees(placed: &Placed, sample: &Sample) -> Result<(), SampleError> {
    let Line { problem, answer, .. } = &placed.line;
    let other = |field: &str| {
        let message =
            "found another one than the row of this id has; is it the data set that the rollouts are of?";
        Err(placed.fault(field, message.into()))
    };
    match () {
        () if *problem != sample.problem => other("problem"),
        () if reference_target(answer) != sample.reference => other("answer"),
        () => Ok(()),
    }
}
