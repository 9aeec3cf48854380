//! A hub on this machine that takes what is sent: repositories, a store of large files, commits; it fails on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

pub const TOKEN: &str = "hf_secret";

/// What goes wrong with a request, once.
#[derive(Clone)]
pub enum Fault {
    Status(u16),
    /// This status with this body.
    Says(u16, String),
    /// The connection is closed before the body was read.
    Cut,
    /// What was asked for is done, and the connection closed without an answer.
    Lost,
    /// Nothing is read and nothing answered.
    Stall,
    /// The body comes through changed.
    Garbled,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub token: Option<String>,
    pub bytes: usize,
}

#[derive(Default)]
struct State {
    repositories: BTreeSet<String>,
    store: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<(String, u64), Vec<u8>>,
    files: BTreeMap<String, (String, Vec<u8>)>,
    commits: usize,
    private: Vec<bool>,
    faults: Vec<(String, Fault)>,
    requests: Vec<Request>,
    part_size: Option<usize>,
    ignored: Option<String>,
}

pub struct Receiver {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, at) = (Arc::clone(&state), endpoint.clone());
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, at) = (Arc::clone(&shared), at.clone());
                thread::spawn(move || serve(stream, &at, &shared));
            }
        });
        Self { endpoint, state }
    }

    /// The next request whose path has this in it fails so.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.state.lock().unwrap().faults.push((path.to_owned(), fault));
    }

    /// Large files are wanted in parts of so many bytes.
    pub fn in_parts(&self, size: usize) {
        self.state.lock().unwrap().part_size = Some(size);
    }

    /// The repositories' `.gitignore` names this file.
    pub fn ignore(&self, name: &str) {
        self.state.lock().unwrap().ignored = Some(name.to_owned());
    }

    /// The content of a file of the repositories.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().files.get(name).map(|(_, content)| content.clone())
    }

    pub fn names(&self) -> Vec<String> {
        self.state.lock().unwrap().files.keys().cloned().collect()
    }

    pub fn commits(&self) -> usize {
        self.state.lock().unwrap().commits
    }

    /// Of each repository that was made, whether it is private.
    pub fn private(&self) -> Vec<bool> {
        self.state.lock().unwrap().private.clone()
    }

    /// The requests since the last call.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

fn serve(stream: TcpStream, endpoint: &str, state: &Mutex<State>) {
    let Ok(clone) = stream.try_clone() else { return };
    let mut reader = BufReader::new(clone);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim().is_empty() => break,
            Ok(_) => lines.push(line.trim().to_owned()),
        }
    }
    let mut words = lines[0].split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let value = |name: &str| {
        lines.iter().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let token = value("authorization");
    let fault = {
        let mut state = state.lock().unwrap();
        let at = state.faults.iter().position(|(part, _)| path.contains(part.as_str()));
        at.map(|at| state.faults.remove(at).1)
    };
    let note = |bytes| {
        let (method, path, token) = (method.clone(), path.clone(), token.clone());
        state.lock().unwrap().requests.push(Request { method, path, token, bytes });
    };
    if let Some(Fault::Cut) = fault {
        note(0);
        return;
    }
    if let Some(Fault::Stall) = fault {
        note(0);
        thread::sleep(Duration::from_secs(3));
        return;
    }
    // A store takes no body of unknown length.
    let length: Option<usize> = value("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    note(body.len());
    if let Some(Fault::Garbled) = fault {
        body.reverse();
    }
    let to_store = path.starts_with("/store/") || path.starts_with("/part/");
    let allowed = to_store || token.as_deref() == Some(&format!("Bearer {TOKEN}"));
    let lost = matches!(fault, Some(Fault::Lost));
    let (status, etag, told) = match fault {
        Some(Fault::Status(status)) => (status, String::new(), String::new()),
        Some(Fault::Says(status, text)) => (status, String::new(), text),
        _ if length.is_none() && method != "GET" => (411, String::new(), String::new()),
        _ if !allowed => (401, String::new(), "{\"error\":\"Invalid token\"}".into()),
        _ => answer(&method, &path, &body, endpoint, &mut state.lock().unwrap()),
    };
    if lost {
        return;
    }
    let mut stream = stream;
    // A client that has gone away is its own affair.
    let _ = write!(
        stream,
        "HTTP/1.1 {status} Answer\r\n{etag}content-length: {}\r\nconnection: close\r\n\r\n{told}",
        told.len()
    );
}

fn answer(method: &str, path: &str, body: &[u8], endpoint: &str, state: &mut State) -> (u16, String, String) {
    let ok = |told: Value| (200, String::new(), told.to_string());
    let no = |status, told: &str| (status, String::new(), json!({ "error": told }).to_string());
    let parsed = || serde_json::from_slice::<Value>(body).unwrap();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["api", "models", org, name]) => {
            match state.repositories.contains(&format!("{org}/{name}")) {
                true => ok(json!({})),
                false => no(404, "Repository not found"),
            }
        }
        ("POST", ["api", "repos", "create"]) => {
            let asked = parsed();
            let id =
                format!("{}/{}", asked["organization"].as_str().unwrap(), asked["name"].as_str().unwrap());
            if !state.repositories.insert(id) {
                return no(409, "You already created this model repo");
            }
            state.private.push(asked["private"] == true);
            ok(json!({ "url": endpoint }))
        }
        ("POST", ["api", "models", _, _, "preupload", "main"]) => {
            let asked = parsed();
            let files = asked["files"].as_array().unwrap().iter().map(|file| {
                let name = file["path"].as_str().unwrap();
                let mode = if name.ends_with(".safetensors") { "lfs" } else { "regular" };
                let oid = state.files.get(name).map(|(oid, _)| oid);
                let ignored = state.ignored.as_deref() == Some(name);
                json!({ "path": name, "uploadMode": mode, "shouldIgnore": ignored, "oid": oid })
            });
            ok(json!({ "files": files.collect::<Vec<_>>() }))
        }
        ("POST", [_, _, "info", "lfs", "objects", "batch"]) => {
            let asked = parsed();
            let objects = asked["objects"].as_array().unwrap().iter().map(|object| {
                let (oid, size) = (object["oid"].as_str().unwrap(), object["size"].as_u64().unwrap());
                if state.store.contains_key(oid) {
                    return json!({ "oid": oid, "size": size });
                }
                let upload = match state.part_size {
                    None => json!({ "href": format!("{endpoint}/store/{oid}?signature=secret") }),
                    Some(part) => {
                        let mut header = json!({ "chunk_size": part.to_string() });
                        for number in 1..=size.div_ceil(part as u64) {
                            header[format!("{number:05}")] = format!("{endpoint}/part/{oid}/{number}").into();
                        }
                        json!({ "href": format!("{endpoint}/complete/{oid}"), "header": header })
                    }
                };
                let verify = json!({ "href": format!("{endpoint}/verify/{oid}") });
                json!({ "oid": oid, "size": size, "actions": { "upload": upload, "verify": verify } })
            });
            ok(json!({ "transfer": "basic", "objects": objects.collect::<Vec<_>>() }))
        }
        ("PUT", ["store", oid]) => keep(oid.split('?').next().unwrap(), body.to_vec(), state),
        ("PUT", ["part", oid, number]) => {
            state.parts.insert(((*oid).to_owned(), number.parse().unwrap()), body.to_vec());
            (200, format!("etag: \"{number}\"\r\n"), String::new())
        }
        ("POST", ["complete", oid]) => {
            let told = parsed();
            let numbers: Vec<u64> =
                told["parts"].as_array().unwrap().iter().map(|p| p["partNumber"].as_u64().unwrap()).collect();
            let whole = numbers.iter().flat_map(|n| state.parts[&((*oid).to_owned(), *n)].clone()).collect();
            keep(oid, whole, state)
        }
        ("POST", ["verify", oid]) => match state.store.contains_key(*oid) {
            true => ok(json!({})),
            false => no(404, "no such object"),
        },
        ("POST", ["api", "models", _, _, "commit", "main"]) => {
            let text = String::from_utf8(body.to_vec()).unwrap();
            for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
                let value = &line["value"];
                let name = value["path"].as_str().unwrap_or_default().to_owned();
                match line["key"].as_str().unwrap() {
                    "header" => assert!(!value["summary"].as_str().unwrap().is_empty()),
                    "file" => {
                        let content = STANDARD.decode(value["content"].as_str().unwrap()).unwrap();
                        let mut hash: Sha1 = sha1::Digest::new();
                        sha1::Digest::update(&mut hash, format!("blob {}\0", content.len()));
                        sha1::Digest::update(&mut hash, &content);
                        let oid = hex(&sha1::Digest::finalize(hash));
                        state.files.insert(name, (oid, content));
                    }
                    _ => {
                        let oid = value["oid"].as_str().unwrap().to_owned();
                        let Some(content) = state.store.get(&oid).cloned() else {
                            return no(400, "an LFS pointer to an object that does not exist");
                        };
                        state.files.insert(name, (oid, content));
                    }
                }
            }
            state.commits += 1;
            ok(json!({ "success": true, "commitUrl": endpoint, "commitOid": "0" }))
        }
        _ => no(404, "no such address"),
    }
}

fn keep(oid: &str, content: Vec<u8>, state: &mut State) -> (u16, String, String) {
    if hex(&Sha256::digest(&content)) != oid {
        return (400, String::new(), json!({ "error": "the content has another hash" }).to_string());
    }
    state.store.insert(oid.to_owned(), content);
    (200, String::new(), "{}".into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
