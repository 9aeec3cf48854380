//! Writing to stdout and stderr, where the reader may have gone away.

use crate::error::CliError;
use serde::Serialize;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read, Write, stderr, stdout};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Writes a line of data to stdout. A reader that has closed the pipe has all that it wanted.
///
/// # Errors
/// If stdout cannot be written to, as on a full disk.
pub(crate) fn data(text: &str) -> Result<(), CliError> {
    let mut out = stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::Failed(format!("stdout: cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a value as one line of JSON to stdout.
///
/// # Errors
/// As [`data`].
pub(crate) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string(value)
        .map_err(|error| CliError::Failed(format!("the result has no JSON form: {error}")))?;
    data(&text)
}

/// Whether what is written to stderr may be coloured: to a terminal, unless `NO_COLOR` says otherwise.
pub(crate) fn colours() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether there is another process that talks to the user.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Leaves notes to another process from now on.
#[cfg_attr(not(feature = "mpi"), allow(dead_code))]
pub(crate) fn silence() {
    SILENT.store(true, Ordering::SeqCst);
}

/// Writes a line for people to stderr; nobody listening is fine.
pub(crate) fn note(text: &str) {
    if !SILENT.load(Ordering::SeqCst) {
        failure(text);
    }
}

/// Refuses to write `what`, a text that begins with `start`, in the place of a file that is something else: a mistaken name
/// must not cost an input.
///
/// # Errors
/// If there is such a file; the message names the argument `key`.
pub(crate) fn unless_other(key: &str, path: &Path, start: &str, what: &str) -> Result<(), CliError> {
    let mut found = Vec::new();
    if path.is_file() {
        // What cannot be read is told by whoever writes there.
        let _ = File::open(path).and_then(|file| file.take(64).read_to_end(&mut found));
    }
    let is_one = found.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start.as_bytes()));
    if found.is_empty() || is_one {
        return Ok(());
    }
    let message = format!("found {}, a file that is there and is not {what}", path.display());
    Err(CliError::input(key, message, "name a new file, or remove this one"))
}

/// Writes what went wrong in this process to stderr.
pub(crate) fn failure(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}
