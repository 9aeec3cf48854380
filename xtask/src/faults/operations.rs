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

/// Those that a run's main thread makes, in order; `log` is a file for the trace.
pub(super) fn all(run: &Command, log: &Path) -> Result<Vec<String>> {
    let mut traced = strace(run, log, &[]);
    let output = traced.output().with_context(|| line(&traced))?;
    ensure!(output.status.success(), "{}: {}", line(&traced), String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(log).with_context(|| log.display().to_string())?;
    // A line is the thread, then the call with its arguments; the main thread comes first.
    let calls: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| {
            let (thread, call) = line.split_once(char::is_whitespace)?;
            let (name, _) = call.trim_start().split_once('(')?;
            CALLS.split(',').any(|known| known == name).then_some((thread, name))
        })
        .collect();
    let main = calls.first().map(|(thread, _)| *thread);
    Ok(calls.iter().filter(|(thread, _)| Some(*thread) == main).map(|(_, name)| (*name).to_owned()).collect())
}

/// Runs it until operation `index` of `all` is made, and no further.
pub(super) fn killed_at(run: &Command, all: &[String], index: usize, log: &Path) -> Result<()> {
    let call = &all[index];
    // The tracer counts the calls of each name.
    let nth = all[..=index].iter().filter(|name| *name == call).count();
    let inject = format!("inject={call}:signal=KILL:when={nth}");
    let mut traced = strace(run, log, &["-e", &inject]);
    let status =
        traced.stdout(Stdio::null()).stderr(Stdio::null()).status().with_context(|| line(&traced))?;
    ensure!(!status.success(), "{call} number {nth} was not reached");
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
