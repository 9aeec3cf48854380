//! A small hub on this machine: lists repositories, gives files, and fails on demand.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What is wrong with the answers about a path.
#[derive(Clone, PartialEq, Eq)]
pub enum Fault {
    Status(u16),
    /// The body of every answer ends after so many bytes.
    CutAfter(usize),
    /// So does that of the first one.
    CutOnceAfter(usize),
    /// Nothing comes after the headers.
    Stall,
    /// The body comes byte by byte, with this pause between them.
    Slow(Duration),
    /// The content is another one.
    OtherContent,
    /// Ranges are not understood.
    WholeOnly,
    /// The path has moved: the same one with this before it.
    Redirect(String),
    /// The ETag is this text.
    Etag(&'static str),
}

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub range: Option<String>,
    pub token: Option<String>,
}

#[derive(Default)]
struct State {
    /// Path to content and, for what is listed, nothing else.
    content: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, Fault>,
    requests: Vec<Request>,
}

pub struct Server {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { endpoint, state }
    }

    /// Adds a repository: `models` or `datasets`, its name, a revision, its files.
    pub fn add(&self, kind: &str, id: &str, revision: &str, files: &[(&str, &[u8])]) {
        let names: Vec<_> = files.iter().map(|(name, _)| serde_json::json!({ "rfilename": name })).collect();
        let listing = serde_json::json!({ "id": id, "sha": COMMIT, "siblings": names }).to_string();
        let mut state = self.state.lock().unwrap();
        state.content.insert(format!("/api/{kind}/{id}/revision/{revision}"), listing.into_bytes());
        let prefix = if kind == "models" { String::new() } else { format!("{kind}/") };
        for (name, content) in files {
            state.content.insert(format!("/{prefix}{id}/resolve/{COMMIT}/{name}"), content.to_vec());
        }
    }

    pub fn fault(&self, path: &str, fault: Fault) {
        self.state.lock().unwrap().faults.insert(path.to_owned(), fault);
    }

    pub fn mend(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// The requests since the last call.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let Ok(clone) = stream.try_clone() else { return };
    let mut lines = BufReader::new(clone).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let value = |name: &str| {
        headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let request = Request { method, path, range: value("range"), token: value("authorization") };
    let (content, fault) = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        let plain = request.path.strip_prefix("/moved").unwrap_or(&request.path).to_owned();
        let fault = state.faults.get(&request.path).cloned();
        if matches!(fault, Some(Fault::CutOnceAfter(_))) && request.method == "GET" {
            state.faults.remove(&request.path);
        }
        (state.content.get(&plain).cloned(), fault)
    };
    // A client that has gone away is its own affair.
    let _ = answer(stream, &request, content, fault);
}

fn answer(
    mut stream: TcpStream,
    request: &Request,
    content: Option<Vec<u8>>,
    fault: Option<Fault>,
) -> std::io::Result<()> {
    if let Some(Fault::Status(status)) = fault {
        return write!(stream, "HTTP/1.1 {status} Fault\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    let Some(mut content) = content else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    };
    let hash: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    let etag = if let Some(Fault::Etag(text)) = &fault { text } else { hash.as_str() };
    let size = content.len();
    let about = format!("x-repo-commit: {COMMIT}\r\nx-linked-etag: \"{etag}\"\r\nx-linked-size: {size}\r\n");
    if let Some(Fault::Redirect(prefix)) = &fault {
        let path = &request.path;
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nlocation: {prefix}{path}\r\n{about}content-length: 0\r\nconnection: close\r\n\r\n"
        );
    }
    if fault == Some(Fault::OtherContent) {
        content.reverse();
    }
    let start: Option<usize> = request
        .range
        .as_ref()
        .map(|range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap());
    let (status, body) = match start {
        Some(start) if fault != Some(Fault::WholeOnly) => {
            (format!("206 Partial\r\ncontent-range: bytes {start}-{}/{size}", size - 1), &content[start..])
        }
        _ => ("200 OK".to_owned(), &content[..]),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\n{about}content-length: {length}\r\nconnection: close\r\n\r\n")?;
    if request.method == "HEAD" {
        return Ok(());
    }
    match fault {
        Some(Fault::Stall) => thread::sleep(Duration::from_secs(3)),
        Some(Fault::Slow(pause)) => {
            for byte in body.chunks(1) {
                thread::sleep(pause);
                stream.write_all(byte)?;
                stream.flush()?;
            }
        }
        Some(Fault::CutAfter(most) | Fault::CutOnceAfter(most)) => {
            stream.write_all(&body[..most.min(length)])?
        }
        _ => stream.write_all(body)?,
    }
    stream.flush()
}
