//! Follows a run's metrics and sends them, on a thread of its own.

use crate::error::TrackError;
use crate::lines::whole_lines;
use crate::mlflow::{BATCH, End, Server, metrics};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use vigos_core::files::{FileError, read_limited, write_atomic_bytes};

/// How often it is looked for new lines.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often what is left is tried at the end.
const TRIES: usize = 3;
/// Where it is written down how far it is.
const STATE: &str = "mlflow.json";
/// No recipe and no state is larger.
const LARGEST: u64 = 1 << 20;

/// Metrics on their way.
#[derive(Debug)]
pub struct Sending {
    end: Sender<End>,
    thread: JoinHandle<Result<u64, TrackError>>,
}

/// How far it is.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The server's address.
    server: String,
    /// The run there.
    run_id: String,
    /// The last step that was sent.
    step: u64,
}

impl Sending {
    /// Follows the run in a folder, which need not be there yet.
    pub fn begin(run: &Path, server: Server) -> Self {
        let (end, ended) = mpsc::channel();
        let mut follower = Follower { run: run.to_owned(), server, place: 0, state: None, told: false };
        let thread = thread::spawn(move || {
            loop {
                match ended.recv_timeout(INTERVAL) {
                    Err(RecvTimeoutError::Timeout) => follower.follow(),
                    Ok(end) => return follower.finish(end),
                    Err(RecvTimeoutError::Disconnected) => return follower.finish(End::Failed),
                }
            }
        });
        Self { end, thread }
    }

    /// Sends what is left; gives the last step that was sent.
    ///
    /// # Errors
    /// If something could not be sent.
    pub fn finish(self, end: End) -> Result<u64, TrackError> {
        // A thread that is gone says why when it is joined.
        let _ = self.end.send(end);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

struct Follower {
    run: PathBuf,
    server: Server,
    /// Bytes of the metrics that were read.
    place: u64,
    state: Option<State>,
    /// Whether it was said that the server cannot be reached.
    told: bool,
}

impl Follower {
    /// Sends what is new; a server that is away is asked again the next time.
    fn follow(&mut self) {
        match self.send() {
            Ok(()) => self.told = false,
            Err(error) if !self.told => {
                self.told = true;
                tracing::warn!("metrics wait for their tracker: {error}");
            }
            Err(_) => {}
        }
    }

    fn finish(mut self, end: End) -> Result<u64, TrackError> {
        let mut last = Ok(());
        for tried in 0..TRIES {
            if tried > 0 {
                thread::sleep(INTERVAL);
            }
            last = self.send().and_then(|()| match &self.state {
                Some(state) => self.server.update(&state.run_id, Some(end)),
                None => Ok(()),
            });
            if last.is_ok() {
                break;
            }
        }
        last.map(|()| self.state.map_or(0, |state| state.step))
    }

    /// Sends all lines that are whole.
    fn send(&mut self) -> Result<(), TrackError> {
        let path = self.run.join("metrics.jsonl");
        loop {
            if !path.exists() {
                return Ok(());
            }
            let read = whole_lines(&path, self.place);
            let (lines, behind) = read.map_err(|error| FileError::io("read", &path, error))?;
            if lines.is_empty() && behind == self.place {
                return Ok(());
            }
            self.lines(&lines)?;
            self.place = behind;
        }
    }

    fn lines(&mut self, lines: &[String]) -> Result<(), TrackError> {
        let state = match &mut self.state {
            Some(state) => state,
            none => none.insert(begun(&self.run, &self.server)?),
        };
        let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let new: Vec<(u64, Value)> = parsed
            .filter_map(|line| Some((line.get("step")?.as_u64()?, line)))
            .filter(|(step, _)| *step > state.step)
            .collect();
        let mut batch = Vec::new();
        for (at, (step, line)) in new.iter().enumerate() {
            batch.extend(metrics(line).into_iter().take(BATCH));
            let next = new.get(at + 1).map_or(BATCH, |(_, next)| metrics(next).len().min(BATCH));
            if batch.len() + next > BATCH {
                self.server.log(&state.run_id, &batch)?;
                batch.clear();
                state.step = *step;
                let text = serde_json::to_vec_pretty(state).unwrap_or_default();
                write_atomic_bytes(&self.run.join(STATE), &text)?;
            }
        }
        Ok(())
    }
}

/// The run on the server: that which was begun, if this one is resumed, or a new one.
fn begun(run: &Path, server: &Server) -> Result<State, TrackError> {
    let known = read_limited(&run.join(STATE), LARGEST).ok();
    let known = known.and_then(|bytes| serde_json::from_slice::<State>(&bytes).ok());
    if let Some(state) = known.filter(|state| state.server == server.address()) {
        server.update(&state.run_id, None)?;
        return Ok(state);
    }
    let recipe = read_limited(&run.join("config.toml"), LARGEST).unwrap_or_default();
    let recipe: Value = toml::from_str(&String::from_utf8_lossy(&recipe)).unwrap_or_default();
    let full = run.canonicalize().unwrap_or_else(|_| run.to_owned());
    let name = full.file_name().unwrap_or(full.as_os_str()).to_string_lossy().into_owned();
    Ok(State { server: server.address().to_owned(), run_id: server.begin(&name, &recipe)?, step: 0 })
}
