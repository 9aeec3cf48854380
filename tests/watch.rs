//! `vigos watch` and `vigos top` as processes.

use crate::support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use support::{run, vigos};

/// A run's folder with two steps.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("metrics.jsonl"),
        "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":0.25}\n",
    )
    .unwrap();
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
#[cfg(unix)]
fn watch_says_where_it_is_answers_there_and_ends_by_a_signal() {
    let folder = folder();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let arguments = ["watch", text(folder.path()), "--listen", "127.0.0.1:0"];
        let mut child = vigos().args(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        let address = said.split_once("http://").unwrap().1.split_once('/').unwrap().0;
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /runs/1 HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("<!doctype html>") && answer.contains("\"steps\":[1.0,2.0]"), "{said}");
        let killed = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
    }
}

#[test]
fn what_cannot_be_watched_is_refused_with_what_to_do() {
    let (empty, folder) = (tempfile::tempdir().unwrap(), folder());
    run(["watch", text(empty.path())]).refused(&["found no run in it", "vigos train"]);
    run(["watch", text(folder.path()), "--listen", "0.0.0.0:7878"]).refused(&["0.0.0.0:7878", "ssh -L"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(["watch", text(folder.path()), "--listen", &address])
        .refused(&["the port is taken", "--listen 127.0.0.1:0"]);
    run(["top", text(empty.path())]).refused(&["found nothing of a run"]);
}

#[test]
fn top_wants_a_terminal_and_names_what_needs_none() {
    run(["top", text(folder().path())]).refused(&["no terminal", "vigos watch"]);
}
