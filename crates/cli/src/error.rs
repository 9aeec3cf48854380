//! What the command reports, and with which exit code.

use crate::device::DeviceError;
use miette::Diagnostic;
use std::fmt::Display;
use std::process::ExitCode;
use vigos_core::jsonl::JsonLinesError;
use vigos_core::text::one_line;
use vigos_eval::compare::CompareError;
use vigos_experiment::ExperimentError;
use vigos_inspect::InspectError;
use vigos_models::ModelError;
use vigos_processor::ProcessError;
use vigos_report::ReportError;
use vigos_rollout::RunError;
use vigos_rollout::engine::RolloutError;
use vigos_terminal::TerminalError;
use vigos_trackers::TrackError;
use vigos_watch::WatchError;
use vigos_world::WorldError;

/// An error of the command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// There is no such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The model or the adapter is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model's processor files are wrong, or a text cannot be encoded.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A completion could not be sampled.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// Training or replay stopped.
    #[error(transparent)]
    Train(Box<RunError>),
    /// An experiment stopped.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// A page of runs could not be made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A run could not be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// Metrics have no server to be sent to.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// What comes with the program could not be written.
    #[error(transparent)]
    Example(#[from] vigos::example::ExampleError),
    /// A data set could not be looked at or written anew.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// Runs could not be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// The drawn world's configuration is wrong, or it could not be written.
    #[error(transparent)]
    World(#[from] WorldError),
    /// Lines could not be read or written.
    #[error(transparent)]
    Lines(#[from] JsonLinesError),
    /// An argument, or a row of a file that it names.
    #[error("{origin}: {message}")]
    Input {
        /// The argument or "file:line: field".
        origin: String,
        /// What was found and wanted.
        message: String,
        /// A way out; may be empty.
        hint: String,
    },
    /// The machine failed.
    #[error("{0}")]
    Failed(String),
    /// A device computes something else than it should.
    #[error(transparent)]
    Unsound(#[from] vigos_selftest::Unsound),
    /// The work was cut short, which was said already; what was done is saved.
    #[error("stopped")]
    Stopped {
        /// What the process ends with.
        code: u8,
    },
}

impl From<vigos_hub::HubError> for CliError {
    fn from(error: vigos_hub::HubError) -> Self {
        RunError::from(error).into()
    }
}

impl From<TerminalError> for CliError {
    fn from(error: TerminalError) -> Self {
        match error {
            TerminalError::Stopped { code } => Self::Stopped { code },
            TerminalError::Lines(error) => error.into(),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        Self::Train(Box::new(error))
    }
}

impl CliError {
    /// Wrong input at `origin`.
    pub(crate) fn input(origin: impl Into<String>, message: impl Into<String>, hint: &str) -> Self {
        Self::Input { origin: origin.into(), message: message.into(), hint: hint.into() }
    }

    /// 2 where the user's input is at fault, 1 where the machine failed, and what stands for the reason where work was
    /// cut short.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Stopped { code } => *code,
            _ if self.is_input() => 2,
            _ => 1,
        }
    }

    /// The same for the system.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// Whether the user's input is at fault, rather than the machine.
    pub(crate) fn is_input(&self) -> bool {
        match self {
            Self::Device(_) | Self::Process(_) | Self::Input { .. } => true,
            Self::Model(error) | Self::Rollout(RolloutError::Model(error)) => error.is_input(),
            Self::Rollout(error) => matches!(error, RolloutError::EmptyPrompt { .. }),
            Self::Lines(error) => error.is_input(),
            Self::Experiment(error) => error.is_input(),
            Self::Report(error) => error.is_input(),
            Self::Watch(error) => error.is_input(),
            Self::Track(error) => matches!(error, TrackError::NoServer { .. }),
            Self::Example(error) => error.is_input(),
            Self::Inspect(error) => error.is_input(),
            Self::Compare(error) => error.is_input(),
            Self::World(error) => error.is_input(),
            Self::Train(error) => error.is_input(),
            Self::Failed(_) | Self::Unsound(_) | Self::Stopped { .. } => false,
        }
    }
}

/// The most characters of a message: it may quote what someone else wrote.
const LONGEST: usize = 450;

/// An error as it is told: one line of what is wrong, perhaps another of what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Brief {
    message: String,
    hint: Option<String>,
}

impl Brief {
    /// The words of an error; without a hint of its own `way_on` is it.
    pub(crate) fn of(error: &CliError, way_on: impl FnOnce() -> Option<String>) -> Self {
        let hint = match error {
            CliError::Device(error) => Some(error.hint().to_string()),
            CliError::Unsound(error) => Some(error.way_out.clone()),
            CliError::Input { hint, .. } if !hint.is_empty() => Some(hint.clone()),
            CliError::Model(ModelError::Tensors { .. }) => {
                Some("the weights and the configuration must come from the same model".into())
            }
            _ => way_on(),
        };
        Self { message: one_line(&error.to_string(), LONGEST).into_owned(), hint }
    }
}

impl Diagnostic for Brief {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn Display>)
    }
}
