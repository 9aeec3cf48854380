//! A server with faults, one for each path.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The beginning of a PNG file, which is as far as a link looks.
pub const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\nand the rest";

/// Serves until the test ends.
pub struct Server {
    /// Its host and port.
    pub host: String,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<BTreeMap<String, usize>>>::default();
        let counts = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counts = Arc::clone(&counts);
                thread::spawn(move || answer(stream, &counts));
            }
        });
        Self { host, asked }
    }

    pub fn link(&self, path: &str) -> String {
        format!("http://{}/{path}", self.host)
    }

    /// How often a path was asked.
    pub fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().get(path).copied().unwrap_or_default()
    }
}

/// Answers one request; that the client has gone is its own affair.
fn answer(stream: TcpStream, counts: &Mutex<BTreeMap<String, usize>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let target = request.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let times = {
        let mut counts = counts.lock().unwrap();
        let times = counts.entry(path.to_owned()).or_default();
        *times += 1;
        *times
    };
    let path = match path.strip_suffix("-then-sound") {
        Some(fault) if times == 1 => fault,
        Some(_) => "/sound",
        None => path,
    };
    let _ = respond(stream, path, query);
}

fn respond(mut stream: TcpStream, path: &str, query: &str) -> std::io::Result<()> {
    let head = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nConnection: close\r\n{more}\r\n");
    let length = |length: usize| format!("Content-Length: {length}\r\n");
    let mut send =
        |head: String, body: &[u8]| stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    match path {
        "/sound" => send(head("200 OK", &length(PICTURE.len())), PICTURE),
        "/to" => send(head("302 Found", &format!("Location: {query}\r\n{}", length(0))), b""),
        "/loop" => send(head("302 Found", &format!("Location: /loop\r\n{}", length(0))), b""),
        "/busy" => send(head("503 Service Unavailable", &length(0)), b""),
        "/limited" => send(head("429 Too Many Requests", &format!("Retry-After: 0\r\n{}", length(0))), b""),
        "/page" => send(head("200 OK", &format!("Content-Type: text/html\r\n{}", length(6))), b"<html>"),
        "/nothing" => send(head("200 OK", &length(0)), b""),
        "/claims-much" => send(head("200 OK", &length(1 << 40)), PICTURE),
        "/cut" => send(head("200 OK", &length(1000)), PICTURE),
        "/no-http" => send(String::new(), b"220 ready\r\n"),
        "/silent" => {
            thread::sleep(Duration::from_secs(2));
            Ok(())
        }
        "/drips" => {
            send(head("200 OK", &length(1000)), PICTURE)?;
            (0..40).try_for_each(|_| {
                thread::sleep(Duration::from_millis(50));
                stream.write_all(b".")
            })
        }
        "/endless" => {
            send(head("200 OK", ""), PICTURE)?;
            let more = vec![0; 1 << 20];
            (0..200).try_for_each(|_| stream.write_all(&more))
        }
        _ => send(head("404 Not Found", &length(0)), b""),
    }
}
