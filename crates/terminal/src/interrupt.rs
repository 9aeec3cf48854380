//! What ends work before it is done: Ctrl-C, SIGTERM, a time that was set. It ends whole; a second signal ends the
//! process at once, and what files there are then is whole too.

use crate::error::TerminalError;
use crate::output::note;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Ended by the time that was set, "try again later": it is to be gone on with.
pub const OUT_OF_TIME: u8 = 75;

/// The signals that end work, and the exit codes that shells know them by.
const SIGNALS: &[(i32, u8)] = &[
    (SIGINT, 130),
    (SIGTERM, 143),
    #[cfg(unix)]
    (signal_hook::consts::SIGHUP, 129),
];

/// How often a signal is looked for, to say that it was heard.
const GLANCE: Duration = Duration::from_millis(50);

/// Whether whoever started this process wants it to ignore a signal, as `nohup` does.
fn is_ignored(signal: i32) -> bool {
    // Linux tells; elsewhere no library of ours does without raw calls.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| (mask >> (signal - 1)) & 1 == 1)
}

/// Set when the work is to end; knows why.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    code: Arc<AtomicUsize>,
}

impl Stop {
    /// Hears signals from now on, and the end of `time` if one is given; says so.
    ///
    /// # Errors
    /// As [`Self::quiet`].
    pub fn listen(time: Option<Duration>) -> Result<Self, TerminalError> {
        let stop = Self::quiet()?;
        let watched = stop.clone();
        let end = time.and_then(|time| Instant::now().checked_add(time));
        thread::spawn(move || watched.wait(end));
        Ok(stop)
    }

    /// Hears signals from now on.
    ///
    /// # Errors
    /// If the system does not let signals be heard.
    pub fn quiet() -> Result<Self, TerminalError> {
        let stop = Self::default();
        for &(signal, code) in SIGNALS.iter().filter(|(signal, _)| !is_ignored(*signal)) {
            // In this order: the first signal finds the flag down, and raises it; the second one ends the process.
            flag::register_conditional_shutdown(signal, code.into(), Arc::clone(&stop.flag))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&stop.code), code.into()))
                .and_then(|_| flag::register(signal, Arc::clone(&stop.flag)))
                .map_err(TerminalError::Signals)?;
        }
        Ok(stop)
    }

    /// Says when a signal was heard, and makes the end of the time one.
    fn wait(&self, end: Option<Instant>) {
        while !self.flag.load(Ordering::SeqCst) {
            if end.is_some_and(|end| Instant::now() >= end) {
                self.code.store(OUT_OF_TIME.into(), Ordering::SeqCst);
                self.flag.store(true, Ordering::SeqCst);
                note("the time is up, saving…");
                return;
            }
            thread::sleep(GLANCE);
        }
        note("ending…; press Ctrl-C again to stop at once");
    }

    /// Ends the process so long after a signal was heard, if it is there then: work that waits for what does not come, as the
    /// keys of a terminal that is gone, sees no flag.
    pub fn ends_within(&self, grace: Duration) {
        let stop = self.clone();
        thread::spawn(move || {
            while !stop.flag.load(Ordering::SeqCst) {
                thread::sleep(GLANCE);
            }
            thread::sleep(grace);
            std::process::exit(stop.code().into())
        });
    }

    /// Raised when the work is to end.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// Ends the command as a signal that was heard wants it; well where there was none.
    ///
    /// # Errors
    /// If there was one.
    pub fn end(&self) -> Result<(), TerminalError> {
        if self.flag.load(Ordering::SeqCst) { Err(self.stopped()) } else { Ok(()) }
    }

    /// What the command ends with where its work was cut short.
    pub fn stopped(&self) -> TerminalError {
        TerminalError::Stopped { code: self.code() }
    }

    /// The exit code of what cut the work short; 0 if nothing did here.
    pub fn code(&self) -> u8 {
        u8::try_from(self.code.load(Ordering::SeqCst)).unwrap_or(u8::MAX)
    }
}
