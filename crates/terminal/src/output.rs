//! Writing to stdout and stderr, where the reader may have gone away.

use crate::error::TerminalError;
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use vigos_report::visible;

/// The most characters that are shown.
const LONGEST: usize = 1 << 24;

/// Writes a line of data to stdout. A reader that has closed the pipe has all that it wanted.
///
/// # Errors
/// If stdout cannot be written to, as on a full disk.
pub fn data(text: &str) -> Result<(), TerminalError> {
    let mut out = stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(TerminalError::Stdout(error)),
        _ => Ok(()),
    }
}

/// Writes text that strangers had a part in to stdout: what would be hidden in it, or change the terminal, is shown.
///
/// # Errors
/// As [`data`].
pub fn shown(text: &str) -> Result<(), TerminalError> {
    data(&visible(text, LONGEST))
}

/// Writes a value as one line of JSON to stdout.
///
/// # Errors
/// As [`data`].
pub fn json(value: &impl Serialize) -> Result<(), TerminalError> {
    data(&serde_json::to_string(value).map_err(TerminalError::Json)?)
}

/// Whether what is written to stderr may be coloured: to a terminal, unless `NO_COLOR` says otherwise.
pub fn colours() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether there is another process that talks to the user.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Leaves notes to another process from now on.
pub fn silence() {
    SILENT.store(true, Ordering::SeqCst);
}

/// Writes a line for people to stderr; nobody listening is fine.
pub fn note(text: &str) {
    if !SILENT.load(Ordering::SeqCst) {
        failure(text);
    }
}

/// Writes what went wrong in this process to stderr.
pub fn failure(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}
