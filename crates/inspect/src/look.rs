//! How rows are looked at: with which limits, and whose prompts are measured.

use vigos_data::Row;
use vigos_processor::{Grid, ImagePatches, Processor, patches};
use vigos_recipe::demonstration::DemonstrationMaker;
use vigos_recipe::reference_target;
use vigos_recipe::sample::{ImageLimits, Role, SampleMaker, conversation_prompt};

/// How rows are looked at.
#[derive(Debug)]
pub struct Looked<'a> {
    /// Which images are taken.
    pub images: ImageLimits,
    /// Whose prompts are measured, if a recipe says so.
    pub reader: Option<Reader<'a>>,
}

impl Default for Looked<'_> {
    fn default() -> Self {
        // Where Pillow refuses too.
        Self { images: ImageLimits { min_side: 0, max_pixels: 178_956_970 }, reader: None }
    }
}

/// Who reads prompts.
#[derive(Debug)]
pub enum Reader<'a> {
    /// The student and the teachers of a method.
    Method(SampleMaker<'a>),
    /// A model that learns from demonstrations.
    Demonstrations(DemonstrationMaker<'a>),
}

/// Tokens of a row's prompts: the student's and the longest one's, and why the row is left out, if it is.
pub(crate) struct Measured {
    pub(crate) student: usize,
    pub(crate) longest: usize,
    pub(crate) is_too_long: bool,
}

impl Reader<'_> {
    fn processor(&self) -> &Processor {
        match self {
            Self::Method(maker) => maker.processor,
            Self::Demonstrations(maker) => maker.processor,
        }
    }

    /// The grid of an image of this height and width.
    pub(crate) fn grid(&self, height: u32, width: u32) -> Result<Grid, String> {
        patches::grid(height, width, self.processor().image_config()).map_err(|e| e.to_string())
    }

    /// How long the prompts of a row are whose images have these grids.
    pub(crate) fn measure(&self, row: &Row, grids: &[Grid]) -> Result<Measured, String> {
        // Where an image's tokens are is all that a prompt asks of it.
        let images: Vec<ImagePatches> =
            grids.iter().map(|grid| ImagePatches { grid: *grid, values: Vec::new() }).collect();
        match self {
            Self::Method(maker) => {
                let reference = reference_target(&row.answer);
                let length = |role: Role| {
                    let prompt = maker.prompt(row, &role, &reference, &images, None);
                    prompt.map(|prompt| prompt.sequence.ids.len()).map_err(|e| e.message)
                };
                let student = length(Role::student(maker.method))?;
                let mut longest = student;
                for teacher in maker.method.teachers.iter().filter(|teacher| teacher.runs()) {
                    longest = longest.max(length(Role::teacher(teacher))?);
                }
                Ok(Measured { student, longest, is_too_long: longest > maker.max_prompt_tokens })
            }
            Self::Demonstrations(maker) => {
                let Some(learnt) = &row.demonstration else { return Err("found no answer to learn".into()) };
                let prompt = conversation_prompt(
                    maker.processor,
                    &row.before,
                    &images,
                    &row.placed_problem(),
                    &learnt.prefill,
                );
                let student = prompt.map_err(|e| e.to_string())?.sequence.ids.len();
                let completion = maker.processor.tokenizer().encode_plain(&learnt.completion);
                let longest = student + completion.map_err(|e| e.to_string())?.len() + 1;
                Ok(Measured { student, longest, is_too_long: longest > maker.max_tokens })
            }
        }
    }
}
