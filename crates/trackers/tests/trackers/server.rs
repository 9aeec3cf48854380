//! A server that answers as MLflow's documentation says, and remembers what it was asked.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The server; it ends with the process.
pub struct Mlflow {
    pub address: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Mlflow {
    /// One that refuses the first so many questions.
    pub fn start(refused: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, left) = (Arc::clone(&asked), Arc::new(Mutex::new(refused)));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, left) = (Arc::clone(&seen), Arc::clone(&left));
                thread::spawn(move || serve(stream, &seen, &left));
            }
        });
        Self { address, asked }
    }

    /// What it was asked and answered, by path, with the bodies.
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<(String, Value)>>, left: &Mutex<usize>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut out = stream;
    loop {
        let (mut first, mut length, mut known) = (String::new(), 0, false);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim().to_lowercase();
            if line.is_empty() {
                break;
            }
            known |= line == "authorization: bearer secret";
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let path = first.split(' ').nth(1).unwrap().to_owned();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = answer(&path, known, &mut left.lock().unwrap());
        if status == 200 {
            seen.lock().unwrap().push((path, body));
        }
        let answer = answer.to_string();
        write!(out, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).unwrap();
    }
}

fn answer(path: &str, known: bool, left: &mut usize) -> (u16, Value) {
    if *left > 0 {
        *left -= 1;
        return (503, json!({"message": "not now"}));
    }
    if !known {
        return (401, json!({"message": "who are you?"}));
    }
    match path.split('?').next().unwrap().rsplit("mlflow/").next().unwrap() {
        "experiments/get-by-name" => {
            (404, json!({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}))
        }
        "experiments/create" => (200, json!({"experiment_id": "7"})),
        "runs/create" => (200, json!({"run": {"info": {"run_id": "r1"}}})),
        "runs/log-batch" | "runs/update" => (200, json!({})),
        other => (500, json!({"message": other})),
    }
}
