//! What can stop a run.

use crate::engine::RolloutError;
use crate::run_folder::FolderError;
use crate::sampler::SamplingError;
use std::path::PathBuf;
use vigos_core::files::FileError;
use vigos_core::jsonl::JsonLinesError;
use vigos_core::lock::LockError;
use vigos_core::manifest::ManifestError;
use vigos_data::DatasetError;
use vigos_hub::HubError;
use vigos_judge::JudgeError;
use vigos_kernels::{DeviceError, SpanKlError};
use vigos_models::ModelError;
use vigos_processor::ProcessError;
use vigos_ranks::RanksError;
use vigos_recipe::prompts::PromptError;
use vigos_recipe::sample::SampleError;
use vigos_recipe::{Contradiction, RecipeError};

/// An error of a run of any kind: training, evaluation, diagnosis.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The recipe is wrong.
    #[error(transparent)]
    Recipe(Box<RecipeError>),
    /// A prompt template is wrong.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The model or the adapter is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model's processor files are wrong.
    #[error(transparent)]
    Processor(#[from] ProcessError),
    /// The data set is wrong.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The model cannot be had from the hub.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A judge is set wrongly, or does not judge.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// A sampling setting is wrong.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// A completion could not be sampled.
    #[error(transparent)]
    Rollout(RolloutError),
    /// The loss refuses what it was given.
    #[error(transparent)]
    Loss(#[from] SpanKlError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line could not be read or written.
    #[error(transparent)]
    Lines(#[from] JsonLinesError),
    /// A checkpoint is not whole.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A row of the data cannot be used.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// The run folder is taken, or is not the run that is resumed.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The one row that was asked for cannot be used.
    #[error("{origin} (id `{id}`): {reason}")]
    UnusableRow {
        /// File and place.
        origin: String,
        /// The row's name.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// More rows of the data cannot be used than the recipe allows.
    #[error(
        "{last}; with it {bad} of the data's {seen} rows cannot be used, more than data.max_bad_share = {share} allows; \
         mend the rows listed in {}, or allow more", quarantine.display()
    )]
    BadRows {
        /// Where the last one stands, its name, and why it cannot be used.
        last: String,
        /// Rows that cannot be used.
        bad: u64,
        /// Rows of the data.
        seen: u64,
        /// What the recipe allows.
        share: f64,
        /// The file that lists them.
        quarantine: PathBuf,
    },
    /// No row of the data can be used.
    #[error(
        "{}: none of the {rows} rows can be used; the last one left out: {reason}", path.display()
    )]
    NothingLeft {
        /// The data set.
        path: PathBuf,
        /// Its rows.
        rows: usize,
        /// Why the last one was left out.
        reason: String,
    },
    /// A setting does not fit the rest.
    #[error("{key}: found {found}, wanted {wanted}")]
    Setting {
        /// The recipe's key.
        key: String,
        /// What it says.
        found: String,
        /// What would fit.
        wanted: String,
    },
    /// What a key of the recipe names cannot be used.
    #[error("{key}: {error}")]
    Named {
        /// The key.
        key: &'static str,
        /// Why.
        error: Box<RunError>,
    },
    /// A number that a step came to is NaN or infinite; it says which. Nothing was changed by it.
    #[error("{0} is not finite (NaN or infinite)")]
    NotFinite(String),
    /// A step of a run was given up for such a number.
    #[error(
        "step {step}: {what} is not finite (NaN or infinite); the step changed nothing; {} has its rows ({rows}); lower \
         optim.lr, mend the rows, or let train.max_lost_steps leave out such steps", kept.display()
    )]
    LostStep {
        /// The step, counted from 1.
        step: usize,
        /// What is not finite.
        what: String,
        /// The rows' names, the first few of them.
        rows: String,
        /// The file with them and their completions, as `vigos replay` reads it.
        kept: PathBuf,
    },
    /// A server that completions come from does not give them.
    #[error("{url}: {reason}")]
    Server {
        /// The server.
        url: String,
        /// Why.
        reason: String,
    },
    /// Ranks cannot go on together.
    #[error(transparent)]
    Ranks(#[from] RanksError),
    /// Another rank of the run failed.
    #[error("rank {rank}: {reason}")]
    OtherRank {
        /// Which.
        rank: usize,
        /// Why.
        reason: String,
    },
    /// The run was asked to stop; what was finished is saved.
    #[error("interrupted; {0}")]
    Interrupted(String),
}

impl RunError {
    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Model(error) => error.is_input(),
            Self::Lines(error) => error.is_input(),
            Self::Dataset(error) => error.is_input(),
            Self::Hub(error) => error.is_input(),
            Self::Judge(error) => error.is_input(),
            Self::Named { error, .. } => error.is_input(),
            Self::File(error)
            | Self::Folder(FolderError::File(error) | FolderError::Lock(LockError::File(error)))
            | Self::Manifest(ManifestError::File(error)) => error.is_input(),
            Self::Rollout(_) | Self::Loss(_) | Self::Interrupted(_) | Self::Server { .. } => false,
            Self::NotFinite(_) | Self::LostStep { .. } => false,
            _ => true,
        }
    }

    /// The same error, as one of a number that is not finite where it is that.
    #[must_use]
    pub fn told(self) -> Self {
        match self {
            Self::Rollout(RolloutError::Sampling {
                sample,
                position,
                source: source @ (SamplingError::Logit { .. } | SamplingError::Nothing { .. }),
            }) => Self::NotFinite(format!(
                "a logit of the student's (sample {sample}, token {position}: {source})"
            )),
            other => other,
        }
    }

    /// The same of what `key` of the recipe names.
    #[must_use]
    pub fn of(self, key: &'static str) -> Self {
        Self::Named { key, error: Box::new(self) }
    }
}

impl From<Contradiction> for RunError {
    fn from(Contradiction { key, found, wanted, .. }: Contradiction) -> Self {
        Self::Setting { key, found, wanted }
    }
}

impl From<RecipeError> for RunError {
    fn from(error: RecipeError) -> Self {
        Self::Recipe(Box::new(error))
    }
}

impl From<DeviceError> for RunError {
    fn from(error: DeviceError) -> Self {
        Self::Model(error.into())
    }
}

impl From<RolloutError> for RunError {
    fn from(error: RolloutError) -> Self {
        match error {
            RolloutError::Model(error) => Self::Model(error),
            RolloutError::Interrupted => Self::Interrupted("the step under way was left out".into()),
            other => Self::Rollout(other),
        }
    }
}
