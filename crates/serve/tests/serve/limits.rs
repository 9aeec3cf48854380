//! What a client cannot make the server do: wait for it, read without end, hold more than there is room for.

use crate::client::{answer, chat, connect, get, head, send};
use crate::server::{NAME, Server, limits, words};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread::sleep;
use std::time::{Duration, Instant};
use vigos_serve::Limits;

/// A request for so many tokens; the tiny model seldom ends by itself.
fn long(tokens: usize) -> Value {
    json!({"model": NAME, "messages": words("Tell me."), "temperature": 1.5, "seed": 1, "max_tokens": tokens})
}

#[test]
fn a_body_of_100_mb_is_refused_before_it_is_read() {
    let server = Server::limited(limits());
    let mut stream = connect(&server);
    let headers = [("Content-Type", "application/json"), ("Content-Length", "100000000")];
    stream.write_all(head("POST", "/v1/chat/completions", &headers).as_bytes()).unwrap();
    // Not a byte of it was sent.
    answer(stream).refused(413, "more than 33554432 bytes");

    // One that does not say how long it is, and a client that does not listen while it sends.
    let mut stream = connect(&server);
    let headers = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")];
    stream.write_all(head("POST", "/v1/chat/completions", &headers).as_bytes()).unwrap();
    let chunk = [b"100000\r\n".to_vec(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
    let sent = (0..100).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 100, "it was read to its end");
    chat(&server, &long(2)).ok();
}

#[test]
fn a_full_queue_says_when_to_come_again_and_loses_nothing() {
    let server = Server::limited(Limits { rows: 2, requests: 4, ..limits() });
    let text = long(150).to_string();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = || answer(send(&server, "/v1/chat/completions", text.as_bytes(), &[]));
        let threads: Vec<_> = (0..24).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (fine, full): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert!(fine.len() >= 4 && !full.is_empty(), "{} and {}", fine.len(), full.len());
    assert!(fine.iter().all(|answer| answer.json()["choices"] == fine[0].json()["choices"]));
    for answer in &full {
        answer.refused(429, "as many requests");
        assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    }
    chat(&server, &long(2)).ok();
}

#[test]
fn requests_together_hold_no_more_memory_than_they_may() {
    let server = Server::limited(Limits { held: 4096, ..limits() });
    let mut body = long(2);
    body["messages"] = words(&"a".repeat(5000));
    chat(&server, &body).refused(429, "as much memory");
    chat(&server, &long(2)).ok();
}

#[test]
fn a_slow_reader_holds_up_nobody() {
    let server = Server::limited(Limits { rows: 2, ..limits() });
    let mut body = long(2000);
    body["stream"] = json!(true);
    body["logprobs"] = json!(true);
    body["top_logprobs"] = json!(20);
    body["n"] = json!(2);
    // Far more than what fits between the two ends.
    let slow = send(&server, "/v1/chat/completions", body.to_string().as_bytes(), &[]);
    let mut first = [0; 1];
    (&slow).read_exact(&mut first).unwrap();
    // Its rows come free although it reads nothing.
    chat(&server, &long(2)).ok();
    let whole = answer_after(slow, &first);
    assert!(whole.contains("[DONE]"), "what it was sent is all there: {}", &whole[whole.len() - 200..]);
}

fn answer_after(mut stream: std::net::TcpStream, first: &[u8]) -> String {
    let mut all = first.to_vec();
    stream.read_to_end(&mut all).unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn a_client_that_is_gone_frees_its_row() {
    let server = Server::limited(Limits { rows: 1, requests: 2, ..limits() });
    for stream in [false, true] {
        let mut body = long(4000);
        body["stream"] = json!(stream);
        let gone = send(&server, "/v1/chat/completions", body.to_string().as_bytes(), &[]);
        if stream {
            let mut first = [0; 1];
            (&gone).read_exact(&mut first).unwrap();
        }
        gone.shutdown(Shutdown::Both).unwrap();
        drop(gone);
        // One row: whoever comes next would wait for 4000 tokens.
        let started = Instant::now();
        chat(&server, &long(1)).ok();
        let next = started.elapsed();
        let started = Instant::now();
        chat(&server, &long(4000)).ok();
        assert!(next < started.elapsed() / 2, "it had its row to the end");
    }
}

#[test]
fn a_request_that_takes_too_long_is_told_so() {
    let server = Server::limited(Limits { time: Duration::from_secs(2), rows: 1, ..limits() });
    let mut body = long(4000);
    body["n"] = json!(8);
    chat(&server, &body).refused(504, "longer than");
    body["stream"] = json!(true);
    let stream = answer(send(&server, "/v1/chat/completions", body.to_string().as_bytes(), &[]));
    let last = String::from_utf8(stream.body).unwrap();
    assert!(last.trim_end().rsplit("\n\n").next().unwrap().contains("\"timeout\""), "{last}");
    // A body that never comes.
    let mut waits = connect(&server);
    let headers = [("Content-Type", "application/json"), ("Content-Length", "100")];
    waits.write_all(head("POST", "/v1/chat/completions", &headers).as_bytes()).unwrap();
    answer(waits).refused(408, "did not come in time");
    chat(&server, &long(1)).ok();
}

#[test]
fn connections_that_say_nothing_leave_room_for_others() {
    let server = Server::limited(limits());
    let silent: Vec<_> = (0..200).map(|_| connect(&server)).collect();
    sleep(Duration::from_millis(50));
    get(&server, "/health").ok();
    drop(silent);
}
