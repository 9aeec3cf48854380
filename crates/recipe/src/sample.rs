//! From a row of a data set to what the model reads: patches, and one prompt for each role.

use crate::answer::reference_target;
use crate::prompts::Prompts;
use crate::{Method, Teacher};
use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::sync::{Mutex, PoisonError};
use vigos_processor::{
    DecodeError, DecodeLimits, Grid, ImagePatches, Message, Part, ProcessError, Processor, Prompt, Sequence,
    decode,
};
use vigos_rows::{IMAGE_MARK, IMAGE_PLACE, ImageSource, Row, Speaker, Turn, shortened};

/// A sample ready for the model.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its number in the run, which everything that is drawn for it is keyed by.
    pub number: u64,
    /// Its name.
    pub id: String,
    /// The question.
    pub problem: String,
    /// The normalised reference answer.
    pub reference: String,
    /// The kind of question, if its row says.
    pub kind: Option<String>,
    /// Its images.
    pub images: Vec<ImagePatches>,
    /// The student's prompt.
    pub student: Sequence,
    /// The prompt of each teacher of the recipe's table, in its order; empty where a teacher is not run.
    pub teachers: Vec<Sequence>,
    /// The completion to learn, with the token that ends it; empty where the student makes its own.
    pub completion: Vec<u32>,
}

impl Sample {
    /// Tokens of the longest of its prompts.
    pub fn longest_prompt(&self) -> usize {
        std::iter::once(&self.student).chain(&self.teachers).map(|prompt| prompt.ids.len()).max().unwrap_or(0)
    }
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
    /// A prompt takes more memory than there is, even by itself.
    BeyondMemory {
        /// Its tokens.
        tokens: usize,
        /// Those of the longest one that fits.
        most: usize,
    },
    /// With the completion to learn it has more tokens than `train.max_tokens`.
    LongSample {
        /// Its tokens, those of the completion included.
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
            Self::BeyondMemory { .. } => "beyond_memory",
            Self::LongSample { .. } => "long_sample",
            Self::SmallImage { .. } => "small_image",
            Self::BadRow { .. } => Self::BAD_ROW,
        }
    }
}

impl Display for Skip {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongPrompt { role, tokens } => {
                write!(out, "the {role} prompt has {tokens} tokens, more than train.max_prompt_tokens")
            }
            Self::BeyondMemory { tokens, most } => write!(
                out,
                "the memory that is free is enough for prompts of {most} tokens, this one has {tokens}; \
                 data.max_pixels scales its images down"
            ),
            Self::LongSample { tokens } => {
                write!(out, "with its completion it has {tokens} tokens, more than train.max_tokens")
            }
            Self::SmallImage { side } => {
                write!(out, "an image side has {side} pixels, fewer than data.min_image_side")
            }
            Self::BadRow { field, reason } => write!(out, "field `{field}`: {reason}"),
        }
    }
}

/// A row that no prompt can be made of, in a way that is not the row's own fault alone: the run ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin} (id `{id}`), field `{field}`: {message}")]
pub struct SampleError {
    /// File and line.
    pub origin: String,
    /// The row's name.
    pub id: String,
    /// The field or role.
    pub field: String,
    /// What is wrong.
    pub message: String,
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
    /// Whether it is shown the images; its template says what else.
    pub images: bool,
    /// Whether it is shown the question, and with it what is said before.
    pub question: bool,
    /// Text that its answer starts with.
    pub prefill: &'a str,
}

impl<'a> Role<'a> {
    /// The method's student.
    pub fn student(method: &'a Method) -> Self {
        Self {
            name: "student",
            template: &method.student_prompt,
            images: true,
            question: true,
            prefill: &method.student_prefill,
        }
    }

    /// A teacher of the method's table.
    pub fn teacher(teacher: &'a Teacher) -> Self {
        Self {
            name: &teacher.name,
            template: &teacher.prompt,
            images: teacher.sees_images(),
            question: teacher.sees_question(),
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
    /// Most pixels of an image file.
    pub max_image_pixels: u64,
}

impl SampleMaker<'_> {
    /// The sample of a row with this number in the run: reads the images and renders every prompt. `texts` replaces the user text of the roles that it names.
    ///
    /// # Errors
    /// If a prompt cannot be built; the error names the row.
    pub fn make(
        &self,
        number: u64,
        source: &Row,
        texts: &UserTexts,
    ) -> Result<Result<Sample, Skip>, SampleError> {
        let images = match self.images(source) {
            Ok(images) => images,
            Err(skip) => return Ok(Err(skip)),
        };
        let reference = reference_target(&source.answer);
        let build =
            |role: Role| Ok(self.prompt(source, &role, &reference, &images, texts.get(role.name))?.sequence);

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
            .collect::<Result<Vec<_>, SampleError>>()?;
        let roles = std::iter::once("student").chain(method.teachers.iter().map(|t| t.name.as_str()));
        for (role, sequence) in roles.zip(std::iter::once(&student).chain(&teachers)) {
            let tokens = sequence.ids.len();
            if tokens > self.max_prompt_tokens {
                return Ok(Err(Skip::LongPrompt { role: role.to_owned(), tokens }));
            }
        }
        let (id, problem) = (source.id.clone(), source.problem.clone());
        let (kind, completion) = (source.labels.kind.clone(), Vec::new());
        Ok(Ok(Sample { number, id, problem, reference, kind, images, student, teachers, completion }))
    }

    /// The images of a row, or why it is left out.
    ///
    /// # Errors
    /// [`Skip::SmallImage`] and [`Skip::BadRow`].
    pub fn images(&self, source: &Row) -> Result<Vec<ImagePatches>, Skip> {
        let taken = ImageLimits { min_side: self.min_image_side, max_pixels: self.max_image_pixels };
        load_images(&source.images, self.processor, taken)
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
    ) -> Result<Prompt, SampleError> {
        let fail = |field: &str, message: String| SampleError {
            origin: source.origin.clone(),
            id: source.id.clone(),
            field: field.to_owned(),
            message,
        };
        let text = match text {
            Some(text) => text.clone(),
            None => {
                let turn = self.prompts.turn(role.template, source, reference);
                turn.map_err(|e| fail("problem", e.to_string()))?
            }
        };
        let images: &[ImagePatches] = if role.images { images } else { &[] };
        let before: &[Turn] = if role.question { &source.before } else { &[] };
        let prompt = conversation_prompt(self.processor, before, images, &text, role.prefill);
        prompt.map_err(|error| fail(role.name, told(&error)))
    }
}

/// Which images of rows are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageLimits {
    /// Fewest pixels of the shorter side.
    pub min_side: usize,
    /// Most pixels, width times height, of the file; more are refused by its header.
    pub max_pixels: u64,
}

/// Pixels above which images are decoded one at a time: together those of a batch could fill the memory.
const LARGE_IMAGE: u64 = 1 << 24;
static LARGE_IMAGES: Mutex<()> = Mutex::new(());

/// The images of a row, decoded and cut into patches.
///
/// # Errors
/// [`Skip`] for the first that cannot be decoded, is too large or has too short a side.
pub fn load_images(
    sources: &[ImageSource],
    processor: &Processor,
    taken: ImageLimits,
) -> Result<Vec<ImagePatches>, Skip> {
    sources.iter().enumerate().map(|(number, source)| load_image(number, source, processor, taken)).collect()
}

fn load_image(
    number: usize,
    source: &ImageSource,
    processor: &Processor,
    taken: ImageLimits,
) -> Result<ImagePatches, Skip> {
    let bad = |message: String| Skip::BadRow {
        field: "image".into(),
        reason: match source {
            ImageSource::File(path) => {
                format!("{}: {message}", shortened(&path.display().to_string(), 200))
            }
            ImageSource::Bytes(_) | ImageSource::Link(_) => format!("image {number}: {message}"),
        },
    };
    let fault = |error: DecodeError| match error {
        DecodeError::TooLarge { .. } => bad(format!("{error}, or raise data.max_image_pixels")),
        _ => bad(error.to_string()),
    };
    let limits = DecodeLimits { max_pixels: taken.max_pixels, ..DecodeLimits::default() };
    let encoded = match source {
        ImageSource::File(path) => Cow::Owned(decode::read(path, &limits).map_err(fault)?),
        ImageSource::Bytes(bytes) => Cow::Borrowed(&bytes[..]),
        ImageSource::Link(link) => return Err(bad(format!("{} was not fetched", shortened(link, 200)))),
    };
    let (width, height) = decode::size(&encoded, &limits).map_err(fault)?;
    let side = width.min(height) as usize;
    if side < taken.min_side {
        return Err(Skip::SmallImage { side });
    }
    let is_large = u64::from(width) * u64::from(height) > LARGE_IMAGE;
    let _alone = is_large.then(|| LARGE_IMAGES.lock().unwrap_or_else(PoisonError::into_inner));
    let image = decode::decode(&encoded, &limits).map_err(fault)?;
    processor.patches(&image).map_err(|e| bad(e.to_string()))
}

/// Why there is no prompt, with the recipe's key where the model's template is at fault.
pub(crate) fn told(error: &ProcessError) -> String {
    match error {
        ProcessError::Template(_) | ProcessError::SlotCount { .. } => format!("model.path: {error}"),
        _ => error.to_string(),
    }
}

/// The prompt of a user who shows images and then says `text`, which may be empty, after the turns `before`. Images that
/// have a place in a text are shown there, those of the turns first and the last ones of all in the text; the others come
/// before it. For a reader who is shown none their places are nothing.
///
/// # Errors
/// If the template or the tokenizer refuses it.
pub fn conversation_prompt(
    processor: &Processor,
    before: &[Turn],
    images: &[ImagePatches],
    text: &str,
    prefill: &str,
) -> Result<Prompt, ProcessError> {
    let grids: Vec<Grid> = images.iter().map(|i| i.grid).collect();
    let mut left = grids.len();
    let mut messages = Vec::new();
    for turn in before {
        // Whoever else says `<image>` says a word.
        let parts = match turn.speaker {
            Speaker::User => parts(&turn.text, IMAGE_MARK, &mut left),
            Speaker::System | Speaker::Assistant => vec![Part::Text(turn.text.clone())],
        };
        messages.push(Message { role: turn.speaker.name().to_owned(), parts });
    }
    let mut place = [0; 4];
    let place = IMAGE_PLACE.encode_utf8(&mut place);
    let unplaced = left.checked_sub(text.matches(&*place).count());
    let mut question = vec![Part::Image; unplaced.unwrap_or(left)];
    // With fewer images than places none has one.
    left = if unplaced.is_some() { left - question.len() } else { 0 };
    question.extend(parts(text, place, &mut left));
    messages.push(Message::user(question));
    processor.prompt(&messages, prefill, &grids)
}

/// A text cut at its marks of images, of which the first `left` are images and the rest nothing.
fn parts(text: &str, mark: &str, left: &mut usize) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut said = String::new();
    for (number, piece) in text.split(mark).enumerate() {
        if number > 0 && *left > 0 {
            *left -= 1;
            if !said.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut said)));
            }
            parts.push(Part::Image);
        }
        said.push_str(piece);
    }
    if !said.is_empty() {
        parts.push(Part::Text(said));
    }
    parts
}
