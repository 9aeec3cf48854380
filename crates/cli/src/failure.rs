//! The edge where what fails without an error becomes one: a backend whose device is lost panics, and so does a fault of
//! this program. And how to go on with a run that failed.

use crate::args::{Command, DistilArgs};
use crate::error::CliError;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use vigos_checkpoint::Checkpoints;
use vigos_core::text::panic_words;

/// Where the last panic came up.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Has panics told by who catches them, not written to stderr as they come up; with `RUST_BACKTRACE` both.
pub(crate) fn keep_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            usual(panic);
        }
    }));
}

/// Runs the command; a panic in it, on whichever thread, is an error.
///
/// # Errors
/// As `work`, and if it panics.
pub(crate) fn guarded(work: impl FnOnce() -> Result<(), CliError>) -> Result<(), CliError> {
    // Nothing of what it worked on is looked at again: it saves what it has done by renaming whole files.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
        let place = place.map_or_else(String::new, |place| format!(" (at {place})"));
        Err(CliError::Failed(format!(
            "the device, or this program, failed: {}{place}",
            panic_words(panic.as_ref()).unwrap_or("it panicked")
        )))
    })
}

/// How to go on with the training that a command was about, if something of it was saved.
pub(crate) fn way_on(command: &Command) -> Option<String> {
    let (Command::Train(DistilArgs { run: args, .. }) | Command::Sft(args)) = command else { return None };
    let (_, saved) = Checkpoints::of(&args.run_dir()).list().ok()?.pop()?;
    let saved = saved.display();
    Some(format!(
        "what was saved is as it was, last {saved}; the same command with --resume goes on from there"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(work: impl FnOnce() -> Result<(), CliError>) -> String {
        guarded(work).unwrap_err().to_string()
    }

    #[test]
    fn a_panic_is_an_error_of_its_words_on_whichever_thread_it_comes_up() {
        let lost = "the device did not answer";
        assert_eq!(told(|| panic!("{lost}")), format!("the device, or this program, failed: {lost}"));
        let joined = || -> Result<(), CliError> {
            let runner = std::thread::spawn(|| panic!("lost on its own thread"));
            runner.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
            Ok(())
        };
        assert!(told(joined).contains("failed: lost on its own thread"));
        assert!(told(|| panic::panic_any(7)).contains("it panicked"));
    }

    #[test]
    fn an_error_stays_what_it_is_and_success_too() {
        assert_eq!(told(|| Err(CliError::Failed("the disk is full".into()))), "the disk is full");
        assert!(guarded(|| Ok(())).is_ok());
    }
}
