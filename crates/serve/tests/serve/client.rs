//! A client that says exactly what it is told to.

use crate::server::Server;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The answer of a request that must have been fine.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// An error in OpenAI's shape with this status and these words.
    #[track_caller]
    pub fn refused(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let body = self.json();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "no {words:?} in {message}");
        assert!(body["error"]["type"].is_string() && body["error"].get("code").is_some(), "{body}");
    }

    /// The objects of a stream, without its last word, which must be there.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        let text = std::str::from_utf8(&self.body).unwrap();
        let mut pieces: Vec<&str> =
            text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
        assert_eq!(pieces.pop(), Some("[DONE]"), "{text}");
        pieces.into_iter().map(|piece| serde_json::from_str(piece).unwrap()).collect()
    }
}

/// A connection to the server.
pub fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    // Longer than anything takes: a test that hangs fails.
    stream.set_read_timeout(Some(Duration::from_secs(240))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(240))).unwrap();
    stream
}

/// The head of a request.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    head + "\r\n"
}

/// Sends a request with a body of JSON.
pub fn send(server: &Server, path: &str, body: &[u8], headers: &[(&str, &str)]) -> TcpStream {
    let length = body.len().to_string();
    let all =
        [&[("Content-Type", "application/json"), ("Content-Length", length.as_str())][..], headers].concat();
    let mut stream = connect(server);
    stream.write_all(head("POST", path, &all).as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

/// Reads the answer to its end.
#[track_caller]
pub fn answer(mut stream: TcpStream) -> Answer {
    let mut all = Vec::new();
    // A server that closes on what it has not read may reset the connection behind its answer.
    if let Err(error) = stream.read_to_end(&mut all) {
        assert!(!all.is_empty(), "{error}");
    }
    let end = all.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(all[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = all[end + 4..].to_vec();
    let body = if head.contains("transfer-encoding: chunked") { joined(&body) } else { body };
    Answer { status, head, body }
}

fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunks.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&chunks[end + 2..end + 2 + size]);
        chunks = &chunks[end + 2 + size + 2..];
    }
    body
}

#[track_caller]
pub fn post(server: &Server, path: &str, body: &Value) -> Answer {
    answer(send(server, path, body.to_string().as_bytes(), &[]))
}

#[track_caller]
pub fn chat(server: &Server, body: &Value) -> Answer {
    post(server, "/v1/chat/completions", body)
}

#[track_caller]
pub fn get(server: &Server, path: &str) -> Answer {
    let mut stream = connect(server);
    stream.write_all(head("GET", path, &[]).as_bytes()).unwrap();
    answer(stream)
}
