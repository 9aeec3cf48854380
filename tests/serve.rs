//! `vigos serve` through the command.

use crate::support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use support::{adapter, image, model, run, vigos};

/// A server that was started, and where it listens.
fn started(more: &[&str]) -> (Child, String) {
    let mut command: Command = vigos();
    command.args(["serve", "--model", model().to_str().unwrap(), "--listen", "127.0.0.1:0"]).args(more);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| {
        let line = line.unwrap();
        Some(line.split_once("http://")?.1.split_once("/v1")?.0.to_owned())
    });
    // Nobody else reads what it says.
    std::thread::spawn(move || lines.for_each(drop));
    (child, address.expect("it says where it listens"))
}

fn post(address: &str, path: &str, body: &Value, key: &str) -> (u16, Value) {
    let (body, mut stream) = (body.to_string(), TcpStream::connect(address).unwrap());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nAuthorization: \
         Bearer {key}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn a_server_answers_as_generate_does_and_ends_on_a_signal() {
    let named = format!("mine={}", adapter().display());
    let root = image("wide.png");
    let root = root.parent().unwrap().to_str().unwrap();
    let (mut child, address) = started(&["--adapter", &named, "--media-root", root]);
    for (name, with) in [("tiny-qwen2_5-vl", None), ("mine", Some(adapter()))] {
        let (model, image) = (model().display().to_string(), image("wide.png").display().to_string());
        let asked = ["generate", "--model", &model, "--image", &image, "--prompt", "What is it?"];
        let mut args: Vec<String> = asked.map(str::to_owned).to_vec();
        let sampled =
            ["--temperature", "0.9", "--top-k", "50", "--seed", "11", "--max-new-tokens", "12", "--json"];
        args.extend(sampled.map(str::to_owned));
        args.extend(with.iter().flat_map(|folder| ["--adapter".to_owned(), folder.display().to_string()]));
        let wanted = run(args).ok().json();
        let body = json!({
            "model": name, "temperature": 0.9, "top_k": 50, "seed": 11, "max_tokens": 12, "logprobs": true,
            "return_token_ids": true,
            "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "wide.png"}}, {"type": "text", "text": "What is it?"},
            ]}],
        });
        let (status, found) = post(&address, "/v1/chat/completions", &body, "");
        assert_eq!(status, 200, "{found}");
        let choice = &found["choices"][0];
        assert_eq!(found["prompt_token_ids"], wanted["prompt_token_ids"], "{name}");
        assert_eq!(choice["token_ids"], wanted["token_ids"], "{name}");
        assert_eq!(choice["message"]["content"], wanted["text"], "{name}");
        assert_eq!(choice["finish_reason"], wanted["finish_reason"], "{name}");
        let told = choice["logprobs"]["content"].as_array().unwrap().iter().map(|token| &token["logprob"]);
        assert!(told.eq(wanted["logprobs"].as_array().unwrap()), "{name}: to the bit");
    }
    #[cfg(unix)]
    {
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(143));
    }
    #[cfg(not(unix))]
    child.kill().unwrap();
}

#[test]
fn what_cannot_be_served_is_refused_before_anything_is_loaded() {
    let model = model();
    let model = model.to_str().unwrap();
    let refused = |more: &[&str], parts: &[&str]| {
        run(["serve", "--model", model, "--listen", "127.0.0.1:0"].iter().chain(more)).refused(parts);
    };
    refused(&["--api-key-env", "VIGOS_TEST_NO_SUCH_KEY"], &["--api-key-env", "VIGOS_TEST_NO_SUCH_KEY"]);
    refused(&["--media-root", "no/such"], &["--media-root", "no/such"]);
    refused(&["--adapter", "mine"], &["NAME=DIR"]);
    refused(&["--adapter", "tiny-qwen2_5-vl=x"], &["--adapter", "tiny-qwen2_5-vl", "--name"]);
    refused(&["--adapter", "mine=no/such"], &["--adapter", "no/such"]);
    refused(&["--rows", "0"], &["--rows"]);
    run(["serve", "--model", "no/such", "--listen", "127.0.0.1:0"]).refused(&["--model", "no/such"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(["serve", "--model", model, "--listen", &address]).refused(&["--listen", &address]);
}
