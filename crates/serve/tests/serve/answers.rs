//! What is answered: the completions of the model, whatever is asked beside them.

use crate::client::{chat, get, post};
use crate::server::{Alone, NAME, Server, images, limits, neutral, question, words};
use serde_json::{Value, json};
use std::path::Path;
use vigos_rollout::sampler::Sampling;
use vigos_serve::{Limits, Options};

fn with_images() -> Server {
    Server::with(Options { limits: limits(), media_root: Some(images()), ..Options::default() })
}

fn logprobs(choice: &Value) -> Vec<f64> {
    let content = choice["logprobs"]["content"].as_array().unwrap();
    content.iter().map(|token| token["logprob"].as_f64().unwrap()).collect()
}

fn ids(choice: &Value) -> Vec<u32> {
    serde_json::from_value(choice["token_ids"].clone()).unwrap()
}

#[test]
fn two_hundred_requests_at_once_are_answered_as_each_alone() {
    let server = Server::with(Options {
        limits: Limits { rows: 12, ..limits() },
        media_root: Some(images()),
        ..Options::default()
    });
    let alone = Alone::new();
    // Some with an image, prompts and completions of all lengths, greedy and sampled.
    let asked: Vec<(Option<&str>, String, f64, u64, usize)> = (0..200u64)
        .map(|number| {
            let image = (number % 5 == 0).then_some("wide.png");
            let text = format!("Question {number}{}", " and more".repeat(number as usize % 7));
            (image, text, if number % 3 == 0 { 0.0 } else { 1.1 }, number, 3 + number as usize % 21)
        })
        .collect();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let ask = |(image, text, temperature, seed, tokens): &(Option<&str>, String, f64, u64, usize)| {
            let messages = image.map_or_else(|| words(text), |image| question(image, text));
            chat(
                &server,
                &json!({
                    "model": NAME, "messages": messages, "temperature": temperature, "seed": seed,
                    "max_tokens": tokens, "logprobs": true, "return_token_ids": true,
                }),
            )
            .ok()
        };
        let threads: Vec<_> = asked.iter().map(|asked| scope.spawn(move || ask(asked))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for ((image, text, temperature, seed, tokens), answer) in asked.iter().zip(&answers) {
        let wanted = alone.complete(*image, text, (neutral(*temperature), *seed, *tokens), None);
        let choice = &answer["choices"][0];
        assert_eq!(ids(choice), wanted.tokens, "{text}");
        assert_eq!(logprobs(choice), wanted.logprobs, "{text}: to the bit");
        assert_eq!(choice["message"]["content"], json!(alone.text(&wanted.tokens)), "{text}");
        assert_eq!(answer["usage"]["completion_tokens"], json!(wanted.tokens.len()));
    }
}

#[test]
fn an_answer_has_the_shape_that_clients_read() {
    let server = with_images();
    let body = json!({
        "model": NAME, "messages": question("wide.png", "What is it?"), "n": 3, "seed": 4, "max_completion_tokens": 6,
        "logprobs": true, "top_logprobs": 2, "user": "someone", "stream_options": null,
    });
    let answer = chat(&server, &body).ok();
    assert_eq!(answer["object"], json!("chat.completion"));
    assert_eq!(answer["model"], json!(NAME));
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 3);
    for (index, choice) in choices.iter().enumerate() {
        assert_eq!(
            (choice["index"].as_u64(), &choice["message"]["role"]),
            (Some(index as u64), &json!("assistant"))
        );
        assert!(["stop", "length"].contains(&choice["finish_reason"].as_str().unwrap()));
        for token in choice["logprobs"]["content"].as_array().unwrap() {
            let best = token["top_logprobs"].as_array().unwrap();
            assert_eq!(best.len(), 2);
            assert!(best[0]["logprob"].as_f64() >= best[1]["logprob"].as_f64());
            assert!(best[0]["logprob"].as_f64() >= token["logprob"].as_f64());
            let bytes: Vec<u8> = serde_json::from_value(token["bytes"].clone()).unwrap();
            assert_eq!(token["token"], json!(String::from_utf8_lossy(&bytes)));
        }
    }
    assert!(choices.iter().any(|choice| choice["message"] != choices[0]["message"]), "draws of their own");
    let usage = |name: &str| answer["usage"][name].as_u64().unwrap();
    assert_eq!(usage("total_tokens"), usage("prompt_tokens") + usage("completion_tokens"));
    // The image is part of the prompt.
    assert!(usage("prompt_tokens") > 20);
    assert_eq!(chat(&server, &body).ok()["choices"], answer["choices"], "a seed gives the same again");
}

#[test]
fn a_stream_has_the_text_of_the_whole_answer() {
    let server = Server::limited(limits());
    for n in [1, 2] {
        let mut body = json!({
            "model": NAME, "messages": words("Tell me."), "seed": 9, "max_tokens": 40, "n": n,
        });
        let whole = chat(&server, &body).ok();
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
        let mut events = chat(&server, &body).events();
        let last = events.pop().unwrap();
        assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]));
        for index in 0..n {
            let of: Vec<&Value> =
                events.iter().map(|event| &event["choices"][0]).filter(|c| c["index"] == index).collect();
            let text: String = of.iter().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
            let wanted = &whole["choices"][index];
            assert_eq!(json!(text), wanted["message"]["content"]);
            assert_eq!(of[0]["delta"]["role"], json!("assistant"));
            assert_eq!(of.last().unwrap()["finish_reason"], wanted["finish_reason"]);
            assert!(of.iter().rev().skip(1).all(|choice| choice["finish_reason"].is_null()));
        }
        assert!(events.iter().all(|event| event["object"] == "chat.completion.chunk"));
    }
}

#[test]
fn completions_of_texts_and_ids_go_on_from_them() {
    let server = Server::limited(limits());
    let ids: Vec<u32> = Alone::new().processor.tokenizer().encode("The <|im_start|>cat").unwrap();
    let ask = |prompt: Value| {
        let body = json!({"model": NAME, "prompt": prompt, "temperature": 0, "max_tokens": 5, "logprobs": 1});
        post(&server, "/v1/completions", &body).ok()
    };
    let text = ask(json!("The <|im_start|>cat"));
    assert_eq!(text["object"], json!("text_completion"));
    assert_eq!(text["choices"], ask(json!(ids))["choices"]);
    assert_eq!(text["usage"]["prompt_tokens"], json!(ids.len()));
    let both = ask(json!(["The <|im_start|>cat", "A dog"]));
    assert_eq!(both["choices"][0]["text"], text["choices"][0]["text"]);
    assert_eq!(both["choices"][1]["index"], json!(1));
    let told = &text["choices"][0]["logprobs"];
    for part in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
        assert_eq!(told[part].as_array().unwrap().len(), 5, "{told}");
    }
    assert_eq!(ask(json!([ids, ids]))["choices"][0]["text"], text["choices"][0]["text"]);
}

#[test]
fn a_stop_text_ends_a_completion_before_it() {
    let server = Server::limited(limits());
    let body = json!({"model": NAME, "messages": words("Tell me."), "temperature": 0, "max_tokens": 30});
    let whole = chat(&server, &body).ok();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let middle = text.chars().count() / 2;
    let stop: String = text.chars().skip(middle).take(3).collect();
    let before = &text[..text.find(&stop).unwrap()];
    for stream in [false, true] {
        let mut body = body.clone();
        body["stop"] = json!(["never there", stop]);
        body["stream"] = json!(stream);
        let answer = chat(&server, &body);
        let (found, finish) = match stream {
            false => (
                answer.ok()["choices"][0]["message"]["content"].clone(),
                answer.ok()["choices"][0]["finish_reason"].clone(),
            ),
            true => {
                let events = answer.events();
                let text: String =
                    events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
                (json!(text), events.last().unwrap()["choices"][0]["finish_reason"].clone())
            }
        };
        assert_eq!((found, finish), (json!(before), json!("stop")));
    }
}

#[test]
fn settings_are_the_samplers_own() {
    let server = Server::limited(limits());
    let alone = Alone::new();
    let sampling = Sampling {
        temperature: 1.3,
        top_k: 40,
        top_p: 0.9,
        min_p: 0.01,
        repetition_penalty: 1.2,
        presence_penalty: 0.4,
        frequency_penalty: 0.3,
    };
    let wanted = alone.complete(None, "Tell me.", (sampling, 17, 25), None);
    let answer = chat(
        &server,
        &json!({
            "model": NAME, "messages": words("Tell me."), "max_tokens": 25, "seed": 17, "temperature": 1.3, "top_k": 40,
            "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.2, "presence_penalty": 0.4, "frequency_penalty": 0.3,
            "return_token_ids": true,
        }),
    );
    assert_eq!(ids(&answer.ok()["choices"][0]), wanted.tokens);
}

#[test]
fn an_image_is_the_same_as_data_and_as_a_file_below_the_root() {
    use base64::Engine;
    let server = with_images();
    let bytes = std::fs::read(images().join("wide.png")).unwrap();
    let data = format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes));
    let url = |path: &Path| format!("file://{}", path.display());
    let ask = |image: &str| {
        let body = json!({"model": NAME, "messages": question(image, "What?"), "temperature": 0, "max_tokens": 4, "logprobs": true});
        chat(&server, &body).ok()["choices"].clone()
    };
    let wanted = ask("wide.png");
    assert_eq!(ask(&data), wanted);
    assert_eq!(ask(&url(&images().join("wide.png"))), wanted);
}

#[test]
fn the_assistants_last_message_is_gone_on_with_if_asked() {
    let server = Server::limited(limits());
    let alone = Alone::new();
    let messages = json!([{"role": "user", "content": "Say it."}, {"role": "assistant", "content": "It is"}]);
    let answer = chat(
        &server,
        &json!({
            "model": NAME, "messages": messages, "temperature": 0, "max_tokens": 4, "return_token_ids": true,
            "continue_final_message": true, "add_generation_prompt": false,
        }),
    );
    let prompt: Vec<u32> = serde_json::from_value(answer.ok()["prompt_token_ids"].clone()).unwrap();
    assert!(alone.processor.tokenizer().decode(&prompt, false).ends_with("assistant\nIt is"));
}

#[test]
fn models_and_health_are_told() {
    let server = Server::limited(limits());
    let models = get(&server, "/v1/models").ok();
    assert_eq!((&models["object"], &models["data"][0]["id"]), (&json!("list"), &json!(NAME)));
    assert_eq!(
        models["data"][0]["max_model_len"],
        json!(4096),
        "the model's own, which is less than the limit"
    );
    assert_eq!(get(&server, "/v1/models/tiny").ok()["id"], json!(NAME));
    get(&server, "/v1/models/other").refused(404, "does not exist");
    assert_eq!(get(&server, "/health").ok()["status"], json!("ok"));
    get(&server, "/v2").refused(404, "no such endpoint");
    get(&server, "/v1/completions").refused(405, "another method");
}
