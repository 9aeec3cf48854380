//! What the server takes on, at most.

use std::time::Duration;

/// Bounds of what a client, and all of them together, can make the server do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Completions that decode together.
    pub rows: usize,
    /// Most tokens of a prompt with its completion; no more than the model's context counts.
    pub context: usize,
    /// Requests under way, those that wait for a row included.
    pub requests: usize,
    /// Completions that one request may ask for.
    pub choices: usize,
    /// Bytes of a request.
    pub body: usize,
    /// Bytes of all requests under way, with their images as the model reads them.
    pub held: usize,
    /// Images of a request.
    pub images: usize,
    /// Pixels of an image.
    pub pixels: u64,
    /// How long a request may take.
    pub time: Duration,
    /// How long what is under way may go on once the server is told to end.
    pub grace: Duration,
    /// Open connections.
    pub connections: usize,
    /// Adapters that are loaded.
    pub adapters: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 16,
            context: 8192,
            requests: 256,
            choices: 128,
            body: 32 << 20,
            held: 2 << 30,
            images: 16,
            pixels: 64_000_000,
            time: Duration::from_secs(600),
            grace: Duration::from_secs(30),
            connections: 1024,
            adapters: 16,
        }
    }
}
