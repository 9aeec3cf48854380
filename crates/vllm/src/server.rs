//! The server: which adapters it has, and how long it is waited for.

use crate::answer::read;
use crate::http::{Fault, Http, SHORT};
use crate::question::Question;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use vigos_rollout::RunError;
use vigos_rollout::engine::Completion;

const GENERATE: &str = "/inference/v1/generate";
const LOAD: &str = "/v1/load_lora_adapter";
const UNLOAD: &str = "/v1/unload_lora_adapter";
const MODELS: &str = "/v1/models";
/// The first pause after trouble; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How often it is looked in a pause whether the work is to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// What a farewell may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// A server, and how long trouble with it is borne.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    http: Http,
    patience: Duration,
    /// Whether it was said that it is in trouble.
    told: Arc<AtomicBool>,
}

/// An adapter in a folder, by the name that the server has for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) folder: &'a Path,
}

impl Server {
    pub(crate) fn new(address: &str, patience: Duration) -> Self {
        Self { http: Http::new(address, patience), patience, told: Arc::default() }
    }

    /// Puts an adapter onto the server, unless it is there.
    ///
    /// # Errors
    /// If the server will not have it, or is away for too long, or `stop` says so.
    pub(crate) fn load(&self, adapter: Named, stop: &dyn Fn() -> bool) -> Result<(), RunError> {
        self.until(stop, || self.try_load(adapter))
    }

    fn try_load(&self, Named { name, folder }: Named) -> Result<(), Fault> {
        let path = folder.display().to_string();
        if self.has(name, &path)? {
            return Ok(());
        }
        let body = json!({"lora_name": name, "lora_path": path}).to_string();
        match self.http.post(LOAD, body.as_bytes(), SHORT) {
            Err(Fault::Unknown(words)) => {
                return Err(Fault::Never(format!(
                    "{LOAD} {words}; the server must see {path} and be started with \
                     VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora"
                )));
            }
            // Another rank may have been first.
            Err(Fault::Never(_)) if self.has(name, &path)? => return Ok(()),
            other => other.map_err(|fault| fault.at(LOAD))?,
        };
        match self.has(name, &path)? {
            true => Ok(()),
            false => Err(Fault::Later(format!("{LOAD} answered well, and {MODELS} does not list `{name}`"))),
        }
    }

    /// Whether the server has an adapter of this name, from this folder.
    fn has(&self, name: &str, path: &str) -> Result<bool, Fault> {
        let found = self.http.get(MODELS).map_err(|fault| fault.at(MODELS))?;
        let models = found.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let text = |model: &Value, key: &str| model.get(key).and_then(Value::as_str).map(str::to_owned);
        let Some(model) = models.iter().find(|model| text(model, "id").is_some_and(|id| id == name)) else {
            return Ok(false);
        };
        match text(model, "root") {
            Some(root) if root != path => {
                let root: String = root.chars().take(200).collect();
                Err(Fault::Never(format!(
                    "`{name}` is another adapter there, from {root}; wanted that of {path}"
                )))
            }
            _ => Ok(true),
        }
    }

    /// Takes an adapter off the server; whether it has it no more. What is not done soon is not done.
    pub(crate) fn unload(&self, name: &str) -> bool {
        let http = Http::new(&self.http.address, self.patience.min(FAREWELL));
        let gone = http.post(UNLOAD, json!({"lora_name": name}).to_string().as_bytes(), SHORT);
        matches!(gone, Ok(_) | Err(Fault::Unknown(_)))
    }

    /// The answer to a question. An adapter that the server has not, or no longer, is put there again.
    ///
    /// # Errors
    /// If the server refuses, answers what cannot be or is away for too long, or `stop` says so.
    pub(crate) fn ask(
        &self,
        question: &Question,
        adapter: Named,
        stop: &dyn Fn() -> bool,
    ) -> Result<Completion, RunError> {
        let body = question.body(adapter.name);
        self.until(stop, || match self.http.post(GENERATE, &body, question.longest_answer()) {
            Ok(bytes) => read(&bytes, &question.expected(adapter.name)).map_err(Fault::Later),
            Err(Fault::Unknown(words)) => {
                self.try_load(adapter)?;
                Err(Fault::Later(words).at(GENERATE))
            }
            Err(Fault::Never(words)) if words.starts_with("answered 403") => Err(Fault::Never(format!(
                "{GENERATE} {words}; a server that takes tokens is started with --enable-scale-out"
            ))),
            Err(fault) => Err(fault.at(GENERATE)),
        })
    }

    /// What `ask` comes to, as soon as it is no trouble that may pass.
    fn until<T>(
        &self,
        stop: &dyn Fn() -> bool,
        mut ask: impl FnMut() -> Result<T, Fault>,
    ) -> Result<T, RunError> {
        let failed = |reason: String| RunError::Server { url: self.http.address.clone(), reason };
        let (mut since, mut pause) = (None, PAUSE);
        loop {
            if stop() {
                return Err(interrupted());
            }
            let words = match ask() {
                Ok(found) => {
                    self.told.store(false, Ordering::Relaxed);
                    return Ok(found);
                }
                Err(Fault::Never(words) | Fault::Unknown(words)) => return Err(failed(words)),
                Err(Fault::Later(words)) => words,
            };
            let since = *since.get_or_insert_with(Instant::now);
            if since.elapsed() + pause > self.patience {
                let seconds = self.patience.as_secs_f64();
                return Err(failed(format!("{words}; rollout.patience = {seconds} is over")));
            }
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::warn!("{}: {words}; it is asked again", self.http.address);
            }
            let begin = Instant::now();
            while begin.elapsed() < pause && !stop() {
                sleep(GLANCE.min(pause));
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Fault {
    /// The same, with the path that was asked.
    fn at(self, path: &str) -> Self {
        match self {
            Self::Later(words) => Self::Later(format!("{path} {words}")),
            Self::Unknown(words) => Self::Unknown(format!("{path} {words}")),
            Self::Never(words) => Self::Never(format!("{path} {words}")),
        }
    }
}

/// That the run is to stop.
pub(crate) fn interrupted() -> RunError {
    RunError::Interrupted("the step under way was left out".into())
}
