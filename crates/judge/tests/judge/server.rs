//! A server that answers as OpenAI's documentation says, grades by whether the reference's elements are in the answer, and
//! fails as it is told.

#![allow(dead_code)] // Each test binary uses its own part.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is answered after a second.
    Slow,
    /// This status.
    Status(u16),
    /// A body that is not JSON.
    NotJson,
    /// A body of many megabytes.
    Huge,
    /// JSON of another shape.
    Shape,
    /// The connection is closed.
    Gone,
    /// The model says this.
    Words(&'static str),
}

/// The server; it ends with the process.
pub struct Fake {
    pub address: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Fake {
    /// One that wants the key `secret`, and does these to the first requests.
    pub fn start(faults: &[Fault]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let left = Arc::new(Mutex::new(faults.iter().copied().collect::<VecDeque<_>>()));
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, left) = (Arc::clone(&seen), Arc::clone(&left));
                thread::spawn(move || serve(stream, &seen, &left));
            }
        });
        Self { address, asked }
    }

    /// The bodies of all requests.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut out: TcpStream, seen: &Mutex<Vec<Value>>, left: &Mutex<VecDeque<Fault>>) {
    let mut reader = BufReader::new(out.try_clone().unwrap());
    while let Some((known, path, body)) = request(&mut reader) {
        let prompt = body["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
        seen.lock().unwrap().push(body);
        let fault = left.lock().unwrap().pop_front();
        let (status, text) = match fault {
            _ if !known => (401, json!({"error": {"message": "no key: secret"}}).to_string()),
            _ if path != "/v1/chat/completions" => (404, "nothing here".to_owned()),
            Some(Fault::Gone) => return,
            Some(Fault::Status(status)) => (status, json!({"error": {"message": "not now"}}).to_string()),
            Some(Fault::NotJson) => (200, "<html>busy</html>".to_owned()),
            Some(Fault::Huge) => (200, "x".repeat(8 << 20)),
            Some(Fault::Shape) => (200, json!({"choices": []}).to_string()),
            Some(Fault::Words(words)) => (200, said(words)),
            Some(Fault::Slow) => {
                thread::sleep(Duration::from_secs(1));
                (200, said(&score(&prompt)))
            }
            None => (200, said(&score(&prompt))),
        };
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", text.len());
        // Who gives up on a huge body closes first.
        if out.write_all(head.as_bytes()).and_then(|()| out.write_all(text.as_bytes())).is_err() {
            return;
        }
    }
}

/// Whether the key is right, the path and the body of a request.
fn request(reader: &mut impl BufRead) -> Option<(bool, String, Value)> {
    let (mut first, mut length, mut known) = (String::new(), 0, false);
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        known |= line == "authorization: bearer secret";
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((known, first.split(' ').nth(1)?.to_owned(), serde_json::from_slice(&body).ok()?))
}

fn said(words: &str) -> String {
    json!({
        "choices": [{"index": 0, "message": {"role": "assistant", "content": words}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 2},
    })
    .to_string()
}

/// The share of the reference's elements that the answer has. Prompts are the built-in ones, or
/// `reference | answer` in the last line.
fn score(prompt: &str) -> String {
    let after = |mark: &str| Some(prompt.split_once(mark)?.1.lines().next()?.trim().to_owned());
    let (reference, answer) = match (after("Reference answer: "), after("Student's answer: ")) {
        (Some(reference), Some(answer)) => (reference, answer),
        _ => {
            let line = prompt.lines().rfind(|line| line.contains(" | ")).unwrap_or_default();
            let cells: Vec<&str> = line.trim().trim_end_matches('|').split(" | ").map(str::trim).collect();
            let [.., reference, answer] = cells.as_slice() else { return "?".into() };
            ((*reference).to_owned(), (*answer).to_owned())
        }
    };
    let elements: Vec<&str> = reference.split("<AND>").map(str::trim).collect();
    let there = elements.iter().filter(|element| answer.contains(**element)).count();
    format!("{}", there as f64 / elements.len() as f64)
}
