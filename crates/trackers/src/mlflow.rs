//! MLflow's REST interface, version 2.0, as far as a run needs it: experiments/get-by-name and create, runs/create, log-batch
//! and update.

use crate::error::TrackError;
use crate::http::{Access, Http};
use serde_json::{Value, json};
use vigos_core::leaves::leaves;

/// Most metrics of a batch.
pub(crate) const BATCH: usize = 1000;
/// Most parameters of a batch.
const PARAMETERS: usize = 100;
/// Most letters of a name.
const LONGEST_NAME: usize = 250;
/// Most letters of a parameter's value.
const LONGEST_VALUE: usize = 500;
const API: &str = "/api/2.0/mlflow";

/// An MLflow server, and the experiment that runs go to.
#[derive(Clone, Debug)]
pub struct Server {
    http: Http,
    experiment: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As it was to.
    Finished,
    /// It was stopped, and may go on.
    Killed,
    /// By an error.
    Failed,
}

impl Server {
    /// That at an address, such as `http://127.0.0.1:5000`.
    ///
    /// # Errors
    /// If it is no address of a server.
    pub fn new(address: &str, experiment: &str, access: Access) -> Result<Self, TrackError> {
        if !address.starts_with("http://") && !address.starts_with("https://") {
            let found = if address.is_empty() { "nothing".into() } else { format!("`{address}`") };
            return Err(TrackError::NoServer { found });
        }
        Ok(Self { http: Http::new(address, access), experiment: experiment.to_owned() })
    }

    /// The one that MLflow's own variables name: `MLFLOW_TRACKING_URI`, `MLFLOW_EXPERIMENT_NAME` (`vigos` unless given),
    /// `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`.
    ///
    /// # Errors
    /// If there is no address of a server.
    pub fn of_environment() -> Result<Self, TrackError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let name = variable("MLFLOW_TRACKING_USERNAME").zip(variable("MLFLOW_TRACKING_PASSWORD"));
        let access = match (variable("MLFLOW_TRACKING_TOKEN"), name) {
            (Some(token), _) => Access::Token(token),
            (None, Some((name, password))) => Access::Name(name, password),
            (None, None) => Access::Open,
        };
        let address = variable("MLFLOW_TRACKING_URI").unwrap_or_default();
        let experiment = variable("MLFLOW_EXPERIMENT_NAME").unwrap_or_else(|| "vigos".into());
        Self::new(&address, &experiment, access)
    }

    /// Its address.
    pub(crate) fn address(&self) -> &str {
        &self.http.address
    }

    /// Begins a run of this name with a recipe's values, and gives its id.
    pub(crate) fn begin(&self, name: &str, recipe: &Value) -> Result<String, TrackError> {
        let experiment = self.experiment()?;
        let body = json!({
            "experiment_id": experiment, "run_name": name, "start_time": now(),
            "tags": [{"key": "mlflow.runName", "value": name}, {"key": "mlflow.source.name", "value": "vigos"}],
        });
        let path = format!("{API}/runs/create");
        let found = self.http.post(&path, &body)?;
        let id = text(&found, "/run/info/run_id");
        let id = id.ok_or_else(|| self.strange(&path, "run.info.run_id"))?;
        let parameter = |(key, value): (String, &Value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            json!({"key": named(&key), "value": value.chars().take(LONGEST_VALUE).collect::<String>()})
        };
        let parameters: Vec<Value> = leaves(recipe, '.').into_iter().map(parameter).collect();
        for batch in parameters.chunks(PARAMETERS) {
            self.http.post(&format!("{API}/runs/log-batch"), &json!({"run_id": id, "params": batch}))?;
        }
        Ok(id)
    }

    /// Adds metrics, at most [`BATCH`].
    pub(crate) fn log(&self, run: &str, metrics: &[Value]) -> Result<(), TrackError> {
        self.http
            .post(&format!("{API}/runs/log-batch"), &json!({"run_id": run, "metrics": metrics}))
            .map(drop)
    }

    /// Says that a run goes on, or how it ended.
    pub(crate) fn update(&self, run: &str, end: Option<End>) -> Result<(), TrackError> {
        let body = match end {
            None => json!({"run_id": run, "status": "RUNNING"}),
            Some(End::Finished) => json!({"run_id": run, "status": "FINISHED", "end_time": now()}),
            Some(End::Killed) => json!({"run_id": run, "status": "KILLED", "end_time": now()}),
            Some(End::Failed) => json!({"run_id": run, "status": "FAILED", "end_time": now()}),
        };
        self.http.post(&format!("{API}/runs/update"), &body).map(drop)
    }

    /// The id of the experiment, which is made if there is none of its name.
    fn experiment(&self) -> Result<String, TrackError> {
        let path = format!("{API}/experiments/get-by-name");
        if let Some(found) = self.http.get(&path, &[("experiment_name", &self.experiment)])? {
            let id = text(&found, "/experiment/experiment_id");
            return id.ok_or_else(|| self.strange(&path, "experiment.experiment_id"));
        }
        let path = format!("{API}/experiments/create");
        let found = self.http.post(&path, &json!({"name": self.experiment}))?;
        text(&found, "/experiment_id").ok_or_else(|| self.strange(&path, "experiment_id"))
    }

    fn strange(&self, path: &str, wanted: &'static str) -> TrackError {
        TrackError::Answer { url: format!("{}{path}", self.http.address), wanted }
    }
}

/// The metrics of a line as MLflow has them; what is no number is none.
pub(crate) fn metrics(line: &Value) -> Vec<Value> {
    let step = line.get("step").and_then(Value::as_i64).unwrap_or_default();
    let numbers = leaves(line, '/').into_iter().filter_map(|(name, leaf)| Some((name, leaf.as_f64()?)));
    let numbers = numbers.filter(|(name, _)| name != "step");
    numbers
        .map(|(name, value)| json!({"key": named(&name), "value": value, "timestamp": now(), "step": step}))
        .collect()
}

/// A name of letters that MLflow takes.
fn named(name: &str) -> String {
    let taken = |c: char| if c.is_ascii_alphanumeric() || "_-. /".contains(c) { c } else { '_' };
    name.chars().take(LONGEST_NAME).map(taken).collect()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// Milliseconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
