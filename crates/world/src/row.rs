//! The rows that a world is written as.

use serde::Serialize;

use crate::prior::{Role, Triple, Wording};
use crate::warmup::{Form, Warmup};
use crate::world::Sample;

/// A row of any split, and the name of its picture without folder or ending.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) image: String,
    pub(crate) problem: String,
    pub(crate) answer: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) conflict: bool,
    #[serde(flatten)]
    pub(crate) more: More,
}

/// What only some splits have.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum More {
    /// Test rows.
    Nothing {},
    /// Training rows.
    Truth {
        /// The answer that the picture gives.
        truth: &'static str,
    },
    /// Rows of the prior suite.
    Prior {
        /// Number of the triple.
        triple: u64,
        /// What the picture is for.
        role: &'static str,
        /// How the question is put.
        wording: &'static str,
    },
    /// Warm-up rows.
    Chat {
        /// Name of the form.
        form: &'static str,
        /// The user's text.
        prompt: String,
        /// What the model's turn starts with.
        prefill: &'static str,
        /// The text to be learnt.
        completion: String,
    },
}

impl Row {
    fn new(sample: &Sample, answer: &'static str, more: More) -> Self {
        let id = sample.id();
        Self {
            image: format!("images/{id}.png"),
            id,
            problem: sample.problem(),
            answer,
            kind: sample.question.kind().word(),
            conflict: sample.is_conflict(),
            more,
        }
    }

    /// A training row.
    pub(crate) fn train(sample: &Sample) -> Self {
        Self::new(sample, sample.answer(), More::Truth { truth: sample.truth() })
    }

    /// A test row.
    pub(crate) fn test(sample: &Sample) -> Self {
        Self::new(sample, sample.truth(), More::Nothing {})
    }

    /// The rows of a triple: three pictures, each asked in both wordings.
    pub(crate) fn prior(triple: &Triple) -> Vec<Self> {
        let rows = triple.members.iter().flat_map(|member| {
            Wording::ALL.map(|wording| {
                let sample = member.worded(wording);
                let (role, word) = (Role::word(member.role), wording.word());
                let more = More::Prior { triple: triple.number, role, wording: word };
                let row = Self::new(&sample, sample.truth(), more);
                Self { id: format!("{}-{word}", row.id), ..row }
            })
        });
        rows.collect()
    }

    /// A warm-up row with the text of its prompt.
    pub(crate) fn warmup(warmup: &Warmup, prompt: String) -> Self {
        let (sample, form) = (&warmup.sample, warmup.form);
        let more = More::Chat {
            form: form.word(),
            prompt,
            prefill: form.prefill(),
            completion: warmup.completion(),
        };
        let row = Self::new(sample, warmup.answer(), more);
        match form {
            // Nothing was asked, so nothing was expected.
            Form::Perception => Self { problem: String::new(), kind: "describe", conflict: false, ..row },
            _ => row,
        }
    }
}
