//! `vigos watch` and `vigos top`: a run while it goes.

use crate::args::{TopArgs, WatchArgs};
use crate::error::CliError;
use std::time::Duration;
use vigos_terminal::Stop;
use vigos_terminal::output::note;
use vigos_watch::Watch;

/// Serves until it is told to end.
///
/// # Errors
/// If there is no run, or the address is not to be had; and where a signal ended it.
pub(crate) fn run(args: &WatchArgs) -> Result<(), CliError> {
    let watch = Watch::open(&args.path, &args.listen)?;
    let stop = Stop::quiet()?;
    note(&format!("watching {} at {}; Ctrl-C ends it", args.path.display(), watch.address()));
    watch.serve(stop.flag())?;
    Ok(stop.end()?)
}

/// Draws until `q` is pressed.
///
/// # Errors
/// If there is no run or no terminal; and where a signal ended it.
pub(crate) fn top(args: &TopArgs) -> Result<(), CliError> {
    let stop = Stop::quiet()?;
    stop.ends_within(Duration::from_secs(1));
    vigos_watch::top(&args.run, stop.flag())?;
    Ok(stop.end()?)
}
