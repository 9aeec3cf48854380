//! The prompts of one row of the data, as every reader of the recipe's method gets them.
//!
//! Nothing but the data set and the model's small files is read: a template or a data set can be tried out without
//! the weights.

use crate::base::BaseFiles;
use crate::{Kit, RunError};
use serde::Serialize;
use vigos_data::{BadRow, DataRequest, Row};
use vigos_hub::Progress;
use vigos_processor::{ImagePatches, Processor};
use vigos_recipe::reference_target;
use vigos_recipe::sample::{Role, SampleMaker, Skip};
use vigos_recipe::{Recipe, When};

/// A row and its prompts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    /// Its number in the data set, counted from 0.
    pub row: usize,
    /// Its name.
    pub id: String,
    /// Where it stands.
    pub origin: String,
    /// The question.
    pub problem: String,
    /// The reference answer as the data has it.
    pub answer: String,
    /// The reference answer as teachers are shown it.
    pub reference: String,
    /// The images, in order.
    pub images: Vec<ImagePreview>,
    /// The student's prompt, then those of the teachers that are run, in the order of their table.
    pub prompts: Vec<PromptPreview>,
    /// Why training would leave the row out, if it would.
    pub skipped: Option<String>,
}

/// An image as the vision tower reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImagePreview {
    /// Frames, rows and columns of patches.
    pub grid: [usize; 3],
    /// Tokens of the language model.
    pub tokens: usize,
}

/// One prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PromptPreview {
    /// `student`, or the name of a teacher.
    pub role: String,
    /// The rollouts that the teacher supervises; nothing for the student.
    pub when: Option<When>,
    /// Name of the template.
    pub template: String,
    /// The whole prompt, the answer's prefill last; a single image token stands for all of its image's.
    pub text: String,
    /// Tokens, with all of the images'.
    pub tokens: usize,
    /// Places of the images it is shown.
    pub images: Vec<SlotPreview>,
}

/// Where an image's tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SlotPreview {
    /// Place of the first in the prompt's tokens, counted from 0.
    pub start: usize,
    /// How many there are.
    pub tokens: usize,
}

/// The prompts of row `row` of the recipe's data set, counted from 0. `kit` is what the recipe may name; `progress`
/// sees what has to be fetched from the hub.
///
/// # Errors
/// If the recipe, a template, the data set or the model's files are wrong, or the row is not there or cannot be
/// used.
pub fn preview(recipe: &Recipe, row: usize, kit: &Kit, progress: &mut Progress) -> Result<Preview, RunError> {
    let base = BaseFiles::open(recipe, kit, progress)?;
    let dataset = kit.sources.open(&DataRequest::from(&recipe.data), progress)?;
    let source = dataset.load(row)?.map_err(|BadRow { origin, id, reason }| unusable(origin, id, reason))?;
    let maker = base.samples();
    let images = maker
        .images(&source)
        .map_err(|skip| unusable(source.origin.clone(), source.id.clone(), skip.to_string()))?;
    let reference = reference_target(&source.answer);
    let teachers = recipe.method.teachers.iter().filter(|teacher| teacher.runs());
    let teachers = teachers.map(|teacher| (Role::teacher(teacher), Some(teacher.when)));
    let roles = std::iter::once((Role::student(&recipe.method), None)).chain(teachers);
    let prompts = roles
        .map(|(role, when)| prompt(&maker, &source, &role, when, &reference, &images))
        .collect::<Result<Vec<_>, _>>()?;
    let long = prompts.iter().find(|prompt| prompt.tokens > maker.max_prompt_tokens);
    let skipped = long.map(|p| Skip::LongPrompt { role: p.role.clone(), tokens: p.tokens }.to_string());
    let images = images.iter().map(|image| image_preview(image, maker.processor)).collect();
    let Row { id, problem, answer, origin, .. } = source;
    Ok(Preview { row, id, origin, problem, answer, reference, images, prompts, skipped })
}

fn prompt(
    maker: &SampleMaker,
    source: &Row,
    role: &Role,
    when: Option<When>,
    reference: &str,
    images: &[ImagePatches],
) -> Result<PromptPreview, RunError> {
    let prompt = maker.prompt(source, role, reference, images, None)?;
    let merge = merge_size(maker.processor);
    let slot = |slot: &vigos_processor::ImageSlot| SlotPreview {
        start: slot.start,
        tokens: slot.grid.tokens(merge),
    };
    Ok(PromptPreview {
        role: role.name.to_owned(),
        when,
        template: role.template.to_owned(),
        tokens: prompt.sequence.ids.len(),
        images: prompt.sequence.images.iter().map(slot).collect(),
        text: prompt.text,
    })
}

fn image_preview(image: &ImagePatches, processor: &Processor) -> ImagePreview {
    let grid = image.grid;
    ImagePreview { grid: [grid.t, grid.h, grid.w], tokens: grid.tokens(merge_size(processor)) }
}

fn merge_size(processor: &Processor) -> usize {
    processor.image_config().merge_size as usize
}

fn unusable(origin: String, id: String, reason: String) -> RunError {
    RunError::UnusableRow { origin, id, reason }
}
