//! Runs' folders, and a client that asks exactly what it is told to.

use serde_json::json;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use vigos_watch::{Watch, WatchError};

/// Writes a run of so many steps.
pub fn run(folder: &Path, steps: usize) {
    std::fs::create_dir_all(folder.join("rollouts")).unwrap();
    std::fs::write(folder.join("config.toml"), "[train]\nsteps = 10\n").unwrap();
    let mut lines = String::new();
    for step in 1..=steps {
        writeln!(lines, "{}", metrics(step)).unwrap();
    }
    std::fs::write(folder.join("metrics.jsonl"), lines).unwrap();
}

/// A line of metrics.
pub fn metrics(step: usize) -> String {
    let loss = 1.0 / step as f64;
    json!({
        "step": step, "loss": loss, "accuracy": 0.5, "fallback_rate": 0.25, "grad_norm": 1.5, "lr": 1e-3,
        "terms": {"perception": {"loss": loss, "kl": 2.0 * loss, "tokens": 40, "clipped": 10}},
        "lengths": {"mean": 30.5, "max": 40, "truncated": 0.0},
        "seconds": {"rollout": 6.0, "scoring": 3.0, "update": 1.0},
    })
    .to_string()
}

/// A recorded rollout of pieces and their spans.
pub fn recorded(folder: &Path, step: usize, rollouts: &[(&str, &[&str], &str)]) {
    std::fs::create_dir_all(folder.join("recordings")).unwrap();
    let mut lines = String::new();
    for (row, (id, pieces, spans)) in rollouts.iter().enumerate() {
        let ids: Vec<usize> = (0..pieces.len()).collect();
        let line = json!({
            "version": 1, "step": step, "row": row, "id": id, "answer": "a cup", "predicted": "a jug", "valid": row == 0,
            "reason": if row == 0 { None } else { Some("no_box") }, "correct": false, "length": pieces.len(),
            "tokens": {"ids": ids, "pieces": pieces, "spans": spans},
        });
        writeln!(lines, "{line}").unwrap();
    }
    std::fs::write(folder.join(format!("recordings/step-{step:06}.jsonl")), lines).unwrap();
}

/// A server that answers until it is dropped.
pub struct Served {
    address: String,
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<Result<(), WatchError>>>,
}

impl Served {
    pub fn of(folder: &Path) -> Self {
        let watch = Watch::open(folder, "127.0.0.1:0").unwrap();
        let address = watch.address().trim_start_matches("http://").trim_end_matches('/').to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&stop);
        let server = thread::spawn(move || watch.serve(&heard));
        Self { address, stop, server: Some(server) }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The whole answer to a request for a path by the server's own name.
    pub fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address))
    }

    /// The whole answer to these bytes.
    pub fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Ends it as a signal would.
    pub fn end(&mut self) -> Result<(), WatchError> {
        self.stop.store(true, Ordering::SeqCst);
        self.server.take().unwrap().join().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}
