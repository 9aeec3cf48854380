//! From a row of a data set to what the model reads: patches, and one prompt for each role.

use crate::error::TrainError;
use crate::prompts::Prompts;
use crate::recipe::{Input, Method, Recipe, Teacher};
use std::fmt::{self, Display, Formatter};
use vigos_data::{ImageSource, Row, reference_target};
use vigos_models::model::Sequence;
use vigos_processor::{DecodeLimits, Grid, ImagePatches, Message, Part, Processor, Prompt, decode};

/// A sample ready for the model.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its name.
    pub id: String,
    /// The question.
    pub problem: String,
    /// The normalised reference answer.
    pub reference: String,
    /// Its images.
    pub images: Vec<ImagePatches>,
    /// The student's prompt.
    pub student: Sequence,
    /// The prompt of each teacher of the recipe's table, in its order; empty where a teacher is not run.
    pub teachers: Vec<Sequence>,
}

/// Why a sample is left out. The run goes on and counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// A prompt has more tokens than `train.max_prompt_tokens`.
    LongPrompt {
        /// Whose prompt.
        role: String,
        /// Its tokens.
        tokens: usize,
    },
    /// An image has a shorter side below `data.min_image_side`.
    SmallImage {
        /// Pixels of the shorter side.
        side: usize,
    },
    /// A field of the row holds what cannot be used, such as an image that cannot be decoded.
    BadRow {
        /// The field.
        field: String,
        /// What is wrong.
        reason: String,
    },
}

impl Skip {
    /// What bad rows are counted under.
    pub const BAD_ROW: &str = "bad_row";

    /// What it is counted under.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LongPrompt { .. } => "long_prompt",
            Self::SmallImage { .. } => "small_image",
            Self::BadRow { .. } => Self::BAD_ROW,
        }
    }
}

impl Display for Skip {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongPrompt { role, tokens } => write!(out, "the {role} prompt has {tokens} tokens"),
            Self::SmallImage { side } => write!(out, "an image side has {side} pixels"),
            Self::BadRow { field, reason } => write!(out, "field `{field}`: {reason}"),
        }
    }
}

/// User text per role that replaces the rendered template, as a replay may bring it.
pub type UserTexts = std::collections::BTreeMap<String, String>;

/// A reader of prompts: the student or a teacher.
#[derive(Clone, Copy, Debug)]
pub struct Role<'a> {
    /// Its name.
    pub name: &'a str,
    /// The template of its prompt.
    pub template: &'a str,
    /// What it is shown.
    pub context: &'a [Input],
    /// Text that its answer starts with.
    pub prefill: &'a str,
}

impl<'a> Role<'a> {
    /// The method's student.
    pub fn student(method: &'a Method) -> Self {
        Self {
            name: "student",
            template: &method.student_prompt,
            context: &[Input::Image, Input::Problem],
            prefill: &method.student_prefill,
        }
    }

    /// A teacher of the method's table.
    pub fn teacher(teacher: &'a Teacher) -> Self {
        Self {
            name: &teacher.name,
            template: &teacher.prompt,
            context: &teacher.context,
            prefill: &teacher.prefill,
        }
    }
}

/// Makes samples ready.
#[derive(Debug)]
pub struct SampleMaker<'a> {
    /// The model's processor.
    pub processor: &'a Processor,
    /// Templates of all roles.
    pub prompts: &'a Prompts,
    /// Who sees what.
    pub method: &'a Method,
    /// Longest prompt in tokens.
    pub max_prompt_tokens: usize,
    /// Shortest image side in pixels.
    pub min_image_side: usize,
}

impl<'a> SampleMaker<'a> {
    /// Makes samples of a recipe's data.
    pub fn of(recipe: &'a Recipe, processor: &'a Processor, prompts: &'a Prompts) -> Self {
        Self {
            processor,
            prompts,
            method: &recipe.method,
            max_prompt_tokens: recipe.train.max_prompt_tokens,
            min_image_side: recipe.data.min_image_side,
        }
    }

    /// Reads the images and renders every prompt. `texts` replaces the user text of the roles that it names.
    ///
    /// # Errors
    /// If a prompt cannot be built; the error names the row.
    pub fn make(&self, source: &Row, texts: &UserTexts) -> Result<Result<Sample, Skip>, TrainError> {
        let images = match self.images(source) {
            Ok(images) => images,
            Err(skip) => return Ok(Err(skip)),
        };
        let reference = reference_target(&source.answer);
        let build = |role: Role| {
            let prompt = self.prompt(source, &role, &reference, &images, texts.get(role.name))?;
            Ok(Sequence { ids: prompt.ids, images: prompt.images })
        };

        let method = self.method;
        let student = build(Role::student(method))?;
        let teachers = method
            .teachers
            .iter()
            .map(|teacher| match teacher.runs() {
                true => build(Role::teacher(teacher)),
                // Its template need not even be there.
                false => Ok(Sequence::default()),
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        let roles = std::iter::once("student").chain(method.teachers.iter().map(|t| t.name.as_str()));
        for (role, sequence) in roles.zip(std::iter::once(&student).chain(&teachers)) {
            let tokens = sequence.ids.len();
            if tokens > self.max_prompt_tokens {
                return Ok(Err(Skip::LongPrompt { role: role.to_owned(), tokens }));
            }
        }
        let (id, problem) = (source.id.clone(), source.problem.clone());
        Ok(Ok(Sample { id, problem, reference, images, student, teachers }))
    }

    /// The images of a row, or why it is left out.
    ///
    /// # Errors
    /// [`Skip::SmallImage`] and [`Skip::BadRow`].
    pub fn images(&self, source: &Row) -> Result<Vec<ImagePatches>, Skip> {
        let patches = |(number, encoded): (usize, &ImageSource)| match self.patches(encoded) {
            Ok(Ok(patches)) => Ok(patches),
            Ok(Err(side)) => Err(Skip::SmallImage { side }),
            Err(message) => {
                let reason = match encoded {
                    ImageSource::File(path) => format!("{}: {message}", path.display()),
                    ImageSource::Bytes(_) => format!("image {number}: {message}"),
                };
                Err(Skip::BadRow { field: "image".into(), reason })
            }
        };
        source.images.iter().enumerate().map(patches).collect()
    }

    /// The prompt of one role for a row with these images; `text` replaces what its template gives.
    ///
    /// # Errors
    /// If it cannot be built; the error names the row.
    pub fn prompt(
        &self,
        source: &Row,
        role: &Role,
        reference: &str,
        images: &[ImagePatches],
        text: Option<&String>,
    ) -> Result<Prompt, TrainError> {
        let fail = |field: &str, message: String| TrainError::Sample {
            origin: source.origin.clone(),
            id: source.id.clone(),
            field: field.to_owned(),
            message,
        };
        let text = match text {
            Some(text) => text.clone(),
            None => {
                let shown = role.context.contains(&Input::Reference).then_some(reference);
                let rendered = self.prompts.render(role.template, &source.problem, shown);
                rendered.map_err(|e| fail("problem", e.to_string()))?
            }
        };
        let images: &[ImagePatches] = if role.context.contains(&Input::Image) { images } else { &[] };
        let grids: Vec<Grid> = images.iter().map(|i| i.grid).collect();
        let mut parts = vec![Part::Image; grids.len()];
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        let prompt = self.processor.prompt(&[Message::user(parts)], role.prefill, &grids);
        prompt.map_err(|e| fail(role.name, e.to_string()))
    }

    /// An image's patches; or its shorter side, if that is too short.
    fn patches(&self, encoded: &ImageSource) -> Result<Result<ImagePatches, usize>, String> {
        let limits = DecodeLimits::default();
        let image = match encoded {
            ImageSource::File(path) => decode::open(path, &limits),
            ImageSource::Bytes(bytes) => decode::decode(bytes, &limits),
        };
        let image = image.map_err(|e| e.to_string())?;
        let side = image.width().min(image.height()) as usize;
        if side < self.min_image_side {
            return Ok(Err(side));
        }
        self.processor.patches(&image).map(Ok).map_err(|e| e.to_string())
    }
}
