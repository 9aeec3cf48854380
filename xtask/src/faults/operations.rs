//! A process that dies between two operations on files, whichever they are: `strace` kills it at the n-th one.

use crate::shell::line;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

/// The system calls that change a folder or make a change last.
const CALLS: &str = "rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,fdatasync,ftruncate";

/// Whether there is a tracer that may trace.
pub(super) fn traceable() -> bool {
    let probe =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}

/// How many of them a run's main thread makes; `log` is a file for the trace.
pub(super) fn count(run: &Command, log: &Path) -> Result<u64> {
    let mut traced = strace(run, log, &[]);
    let output = traced.output().with_context(|| line(&traced))?;
    ensure!(output.status.success(), "{}: {}", line(&traced), String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(log).with_context(|| log.display().to_string())?;
    // Each line begins with its thread, and the main one comes first.
    let thread = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let main = text.lines().next().and_then(thread);
    Ok(text.lines().filter(|line| thread(line) == main).count() as u64)
}

/// Runs it until its `nth` operation, counted from 1, is made, and no further.
pub(super) fn killed_at(run: &Command, nth: u64, log: &Path) -> Result<()> {
    let inject = format!("inject={CALLS}:signal=KILL:when={nth}");
    let mut traced = strace(run, log, &["-e", &inject]);
    let status =
        traced.stdout(Stdio::null()).stderr(Stdio::null()).status().with_context(|| line(&traced))?;
    ensure!(!status.success(), "operation {nth} was not reached");
    Ok(())
}

fn strace(run: &Command, log: &Path, more: &[&str]) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o"]).arg(log).args(["-e", &format!("trace={CALLS}")]).args(more);
    traced.arg(run.get_program()).args(run.get_args());
    for (name, value) in run.get_envs() {
        if let Some(value) = value {
            traced.env(name, value);
        }
    }
    if let Some(folder) = run.get_current_dir() {
        traced.current_dir(folder);
    }
    traced
}
