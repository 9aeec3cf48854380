//! Arguments of `vigos train` and `vigos sft`.

use crate::error::CliError;
use clap::Args;
use jiff::SignedDuration;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vigos_recipe::resume::Run;
use vigos_rollout::RunError;
use vigos_rollout::run_folder::RunFolder;

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The recipe, a TOML file.
    #[arg(value_name = "CONFIG")]
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Folder of the run; runs/ and the recipe's name unless given.
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// Go on with the run in that folder, with what was set when it was begun.
    #[arg(long)]
    pub(crate) resume: bool,
    /// With --resume: go on at the checkpoint of this step. Those after it are put aside.
    #[arg(long, value_name = "STEP", requires = "resume")]
    pub(crate) at: Option<usize>,
    /// After so long, such as 3h50m, save, stop, and exit with 75: the run is to be gone on with.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) save_by: Option<Duration>,
    /// Do not test the device first, see `vigos selftest`.
    #[arg(long)]
    pub(crate) skip_selftest: bool,
    /// Write the effective recipe to stdout, and do nothing else.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) print_config: bool,
}

impl TrainArgs {
    /// Folder of the run.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.run_dir.clone().unwrap_or_else(|| {
            let name = self.config.file_stem().unwrap_or(self.config.as_os_str());
            PathBuf::from("runs").join(name)
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct DistilArgs {
    #[command(flatten)]
    pub(crate) run: TrainArgs,
    /// Everything but the optimiser: check the rows, plan the memory, show a prompt of each role and one rollout, and
    /// estimate time and disk. Nothing is written.
    #[arg(long, conflicts_with_all = ["resume", "print_config"])]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Overrides {
    /// Override one key of the recipe, such as optim.lr=1e-5. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

impl Overrides {
    /// Those of a run in `run_dir`: what was set when it was begun, if it is gone on with, and then these.
    ///
    /// # Errors
    /// If the run's folder does not say what was set, or another command wrote it.
    pub(crate) fn in_run(&self, run_dir: &Path, resume: bool, run: Run) -> Result<Vec<String>, CliError> {
        let mut all =
            if resume { RunFolder::overrides(run_dir, run).map_err(RunError::from)? } else { Vec::new() };
        all.retain(|set| !self.set.contains(set));
        all.extend_from_slice(&self.set);
        Ok(all)
    }
}

/// A length of time such as 3h50m or 90s.
fn time(text: &str) -> Result<Duration, String> {
    let time: SignedDuration =
        text.parse().map_err(|_| format!("found {text}, wanted a time such as 3h50m"))?;
    Duration::try_from(time).map_err(|_| format!("found {text}, wanted a time that is not negative"))
}
