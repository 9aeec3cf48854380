//! Where a run's metrics are sent while it goes.

use crate::interrupt::Stop;
use crate::output::note;
use std::path::Path;
use std::sync::atomic::Ordering;
use vigos_recipe::Tracker;
use vigos_trackers::{End, Sending, Server, TrackError};

/// The trackers of a run.
pub struct Trackers(Vec<Sending>);

impl Trackers {
    /// Begins to send the metrics of the run in a folder.
    ///
    /// # Errors
    /// If a tracker has no server.
    pub fn begin(trackers: &[Tracker], run_dir: &Path) -> Result<Self, TrackError> {
        let begin = |tracker: &Tracker| match tracker {
            Tracker::Mlflow => Ok(Sending::begin(run_dir, Server::of_environment()?)),
        };
        Ok(Self(trackers.iter().map(begin).collect::<Result<_, TrackError>>()?))
    }

    /// Sends what is left of a run that ended like this. That it cannot be sent is no reason for a run to fail.
    pub fn finish<T, E>(self, ended: &Result<T, E>, stop: &Stop) {
        let end = match ended {
            _ if stop.flag().load(Ordering::SeqCst) => End::Killed,
            Ok(_) => End::Finished,
            Err(_) => End::Failed,
        };
        for sending in self.0 {
            match sending.finish(end) {
                Ok(step) => note(&format!("metrics sent to their tracker, as far as step {step}")),
                Err(error) => note(&format!("metrics were not sent: {error}; metrics.jsonl has them")),
            }
        }
    }
}
