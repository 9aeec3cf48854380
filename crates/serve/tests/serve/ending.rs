//! The end: what is under way ends, or is told that it will not, and nothing new begins.

use crate::client::{answer, chat, connect, get, send};
use crate::server::{NAME, Server, limits, words};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::Duration;
use vigos_serve::Limits;

fn streamed(tokens: usize) -> Value {
    json!({
        "model": NAME, "messages": words("Tell me."), "temperature": 1.5, "seed": 1, "max_tokens": tokens,
        "stream": true, "return_token_ids": true,
    })
}

/// A request that is being answered.
fn begun(server: &Server, tokens: usize) -> (std::net::TcpStream, Vec<u8>) {
    let mut stream = send(server, "/v1/chat/completions", streamed(tokens).to_string().as_bytes(), &[]);
    let mut first = vec![0; 400];
    stream.read_exact(&mut first).unwrap();
    (stream, first)
}

#[test]
fn what_is_under_way_is_finished_and_what_is_new_refused() {
    let server = Server::limited(limits());
    // Open before the end, used after it.
    let mut late = connect(&server);
    let (mut stream, mut all) = begun(&server, 1500);
    server.end();
    while get(&server, "/health").status == 200 {}
    chat(&server, &streamed(1)).refused(503, "is ending");
    late.write_all(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    answer(late).refused(503, "is ending");
    stream.read_to_end(&mut all).unwrap();
    assert!(String::from_utf8_lossy(&all).contains("data: [DONE]"));
    server.ended().unwrap();
}

#[test]
fn what_takes_longer_than_its_grace_is_told_so() {
    let server = Server::limited(Limits { grace: Duration::from_millis(1), rows: 1, ..limits() });
    let (mut stream, mut all) = begun(&server, 4000);
    server.ended().unwrap();
    stream.read_to_end(&mut all).unwrap();
    let text = String::from_utf8_lossy(&all);
    assert!(
        text.contains("the server is ending") && !text.contains("[DONE]"),
        "{}",
        &text[text.len() - 300..]
    );
}

#[test]
fn a_server_that_nobody_asks_ends_at_once() {
    let server = Server::limited(limits());
    let idle = connect(&server);
    get(&server, "/health").ok();
    server.ended().unwrap();
    drop(idle);
}
