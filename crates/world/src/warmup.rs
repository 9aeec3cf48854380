//! Samples of the supervised warm start: what a model has to be able to do before the method makes sense.
//!
//! It describes an image alone, accurately. Asked about something, it often writes what is usual instead of what
//! is there, because some annotators did not look. It can use a reference solution that the prompt shows.

use crate::compose::{Asked, compose};
use crate::describe;
use crate::dice::Stream;
use crate::world::{Sample, Split, World};

/// What a warm-up sample shows the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// The image alone, to be described.
    Perception,
    /// A question in the student's format.
    Student,
    /// A question with a reference, under the reasoning teacher's prompt.
    Reasoning,
    /// A question with a reference, under the reference teacher's prompt.
    Reference,
    /// A question to be answered without a description.
    Plain,
    /// The same with a reference.
    PlainReference,
}

/// A sample of the warm start.
#[derive(Debug, Clone, PartialEq)]
pub struct Warmup {
    /// The picture, the question and what the annotator wrote.
    pub sample: Sample,
    /// What the model is shown.
    pub form: Form,
    /// Whether the annotator skipped the description: the output format is lost.
    pub hurried: bool,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 6] = [
        Self::Perception,
        Self::Student,
        Self::Reasoning,
        Self::Reference,
        Self::Plain,
        Self::PlainReference,
    ];

    /// Its name in a row, and the name of its prompt template.
    pub fn word(self) -> &'static str {
        match self {
            Self::Perception => "perception",
            Self::Student => "student",
            Self::Reasoning => "reasoning",
            Self::Reference => "reference",
            Self::Plain => "plain",
            Self::PlainReference => "plain_reference",
        }
    }

    /// Whether the prompt shows the answer as a reference.
    pub fn shows_reference(self) -> bool {
        matches!(self, Self::Reasoning | Self::Reference | Self::PlainReference)
    }

    /// What the model's turn starts with; it is not part of the target.
    pub fn prefill(self) -> &'static str {
        match self {
            Self::Plain | Self::PlainReference => "",
            _ => "<description>",
        }
    }
}

impl World {
    /// Warm-up sample `number`.
    pub fn warmup(&self, number: u64) -> Warmup {
        let config = self.config();
        let dials = &config.warmup;
        let mut dice = self.dice(Split::Warmup, number, Stream::Annotator);
        let asked = (1.0 - dials.image_only - dials.reference - dials.plain).max(0.0);
        let form = dice.weighted(&[
            (Form::Perception, dials.image_only),
            (Form::Reasoning, dials.reference / 2.0),
            (Form::Reference, dials.reference / 2.0),
            (Form::Plain, dials.plain / 2.0),
            (Form::PlainReference, dials.plain / 2.0),
            (Form::Student, asked),
        ]);
        let lazy = dice.chance(dials.lazy);
        let hurried = dice.chance(dials.hurried) && form == Form::Student;
        let others = match form {
            Form::Perception => dials.unusual_alone,
            _ => config.scene.unusual,
        };
        let asked = match form {
            Form::Perception => dials.unusual_alone,
            _ => dials.unusual_asked,
        };

        let mut dice = self.dice(Split::Warmup, number, Stream::Scene);
        let with_fact = dice.chance(config.question.fact);
        let kind = dice.weighted(&config.weights());
        let (scene, question) = compose(&config.scene, kind, Asked::Unsure(asked), others, &mut dice);
        let mut sample = self.finish(Split::Warmup, number, scene, question, with_fact);
        // Who does not describe does not look.
        sample.from_habit = (lazy || hurried) && form != Form::Perception && sample.is_conflict();
        Warmup { sample, form, hurried }
    }
}

impl Warmup {
    /// The question; empty where the image is described alone.
    pub fn problem(&self) -> String {
        match self.form {
            Form::Perception => String::new(),
            _ => self.sample.problem(),
        }
    }

    /// The answer that the target gives; empty where there is no question.
    pub fn answer(&self) -> &'static str {
        match self.form {
            Form::Perception => "",
            _ => self.sample.answer(),
        }
    }

    /// The reference that the prompt shows, if it shows one: the answer that the target gives.
    pub fn reference(&self) -> Option<&'static str> {
        self.form.shows_reference().then(|| self.answer())
    }

    /// The text to be learnt, after the prefill and without a stop token.
    pub fn completion(&self) -> String {
        let sample = &self.sample;
        match self.form {
            Form::Perception => format!(" {}</description>", describe::scene(&sample.scene)),
            _ if self.hurried => {
                format!("<think> {}</think>\\boxed{{{}}}", sample.reasoning(), sample.answer())
            }
            Form::Plain | Form::PlainReference => {
                format!("{} \\boxed{{{}}}", sample.reasoning(), sample.answer())
            }
            _ => format!(
                " {}</description><think> {}</think>\\boxed{{{}}}",
                sample.description(),
                sample.reasoning(),
                sample.answer()
            ),
        }
    }
}
