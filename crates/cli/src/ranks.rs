//! Those that a run is shared with: the processes of an MPI launcher, where the command was built for one.

use crate::args::Command;
use crate::error::CliError;
use std::time::Duration;
use vigos_ranks::{Alone, Ranks, shared};
use vigos_rollout::RunError;
use vigos_terminal::Stop;
use vigos_train::Observer;

/// How long a rank that was told of another's failure gives that one to say it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Sees a run that another rank tells of.
pub(crate) struct Quiet;

impl Observer for Quiet {}

/// All ranks, as this process sees them. The first one alone talks to the user.
pub(crate) fn joined() -> Box<dyn Ranks> {
    #[cfg(feature = "mpi")]
    if let Some(ranks) = vigos_ranks::Mpi::launched() {
        if !ranks.is_first() {
            vigos_terminal::output::silence();
        }
        return Box::new(ranks);
    }
    Box::new(Alone)
}

/// Refuses a command that several processes would do several times.
///
/// # Errors
/// If there are several, and it is not one that they share.
pub(crate) fn is_shared(command: &Command, ranks: &dyn Ranks) -> Result<(), CliError> {
    let is_one = matches!(
        command,
        Command::Train(_) | Command::Sft(_) | Command::Eval(_) | Command::Palr(_) | Command::Experiment(_)
    );
    if ranks.count() == 1 || is_one {
        return Ok(());
    }
    Err(CliError::Input {
        origin: "the launcher".into(),
        message: format!("found {} processes, wanted one: this command is not shared", ranks.count()),
        hint:
            "start it without the launcher; `vigos train`, `sft`, `eval`, `palr` and `experiment` are shared"
                .into(),
    })
}

/// What each rank may take of the memory that is free on its machine: the least of all, because a sample that is too long
/// for one is left out by every one.
///
/// # Errors
/// If a rank is gone.
pub(crate) fn memory_of_each(memory: Option<u64>, ranks: &dyn Ranks) -> Result<Option<u64>, CliError> {
    let own = memory.map(|bytes| bytes / ranks.on_machine() as u64);
    let all = shared(ranks, &own).map_err(RunError::from)?;
    Ok(all.into_iter().min().flatten())
}

/// How the work ends that was cut short on any rank: with the exit code that one of them has.
///
/// # Errors
/// Always; if a rank is gone, that.
pub(crate) fn stopped(ranks: &dyn Ranks, stop: &Stop) -> Result<(), CliError> {
    let codes = shared(ranks, &stop.code()).map_err(RunError::from)?;
    Err(CliError::Stopped { code: codes.into_iter().max().unwrap_or_default() })
}

/// Whether another rank has more to say of an error than this one.
pub(crate) fn is_told_by_another(error: &CliError, ranks: &dyn Ranks) -> bool {
    let CliError::Train(error) = error else { return false };
    match **error {
        RunError::OtherRank { .. } | RunError::Ranks(_) => true,
        RunError::LostStep { .. } | RunError::BadRows { .. } | RunError::NothingLeft { .. } => {
            !ranks.is_first()
        }
        _ => false,
    }
}

/// Ends every rank with this exit code: one that waits for a rank that has failed would wait for ever.
pub(crate) fn end_all(ranks: &dyn Ranks, error: &CliError, code: u8) {
    if ranks.count() == 1 {
        return;
    }
    if is_told_by_another(error, ranks) {
        std::thread::sleep(PATIENCE);
    }
    #[cfg(feature = "mpi")]
    vigos_ranks::Mpi::abort(code.into());
    #[cfg(not(feature = "mpi"))]
    let _ = code;
}
