//! Adapters by name: beside one another, loaded and taken away while the server runs.

use crate::client::{Answer, chat, get, post};
use crate::server::{Alone, NAME, Server, adapter, limits, model, neutral, processor, words};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use vigos_models::peft;
use vigos_serve::{NamedAdapter, Options, Served};

fn ask(server: &Server, model: &str, seed: u64) -> Answer {
    chat(
        server,
        &json!({
            "model": model, "messages": words("Tell me."), "seed": seed, "max_tokens": 12, "return_token_ids": true,
        }),
    )
}

fn ids(answer: &Value) -> Vec<u32> {
    serde_json::from_value(answer["choices"][0]["token_ids"].clone()).unwrap()
}

fn load(server: &Server, name: &str, path: &str) -> Answer {
    post(server, "/v1/load_lora_adapter", &json!({"lora_name": name, "lora_path": path}))
}

fn names(server: &Server) -> Vec<String> {
    let models = get(server, "/v1/models").ok();
    models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn base_and_adapters_are_asked_at_the_same_time_each_as_if_alone() {
    let alone = Alone::new();
    let made: Vec<_> = (0..2).map(|seed| Arc::new(adapter(alone.model.as_ref(), seed))).collect();
    let adapters = made.iter().zip(["first", "second"]);
    let served = Served {
        name: NAME.into(),
        model: model(),
        processor: processor(),
        stops: alone.stops.clone(),
        adapters: adapters
            .map(|(adapter, name)| NamedAdapter { name: name.into(), adapter: adapter.clone() })
            .collect(),
    };
    let server = Server::of(served, Options { limits: limits(), ..Options::default() });
    assert_eq!(names(&server), [NAME, "first", "second"]);
    assert_eq!(get(&server, "/v1/models/first").ok()["parent"], json!(NAME));
    let who = [(NAME, None), ("first", Some(&made[0])), ("second", Some(&made[1]))];
    std::thread::scope(|scope| {
        for seed in 0..10 {
            for (name, adapter) in who {
                let (server, alone) = (&server, &alone);
                scope.spawn(move || {
                    let wanted = alone.complete(
                        None,
                        "Tell me.",
                        (neutral(1.0), seed, 12),
                        adapter.map(AsRef::as_ref),
                    );
                    assert_eq!(ids(&ask(server, name, seed).ok()), wanted.tokens, "{name} {seed}");
                });
            }
        }
    });
    let of = |name| ids(&ask(&server, name, 1).ok());
    assert!(of(NAME) != of("first") && of("first") != of("second"), "they say something of their own");
}

#[test]
fn adapters_come_and_go_below_their_folder_alone() {
    let root = tempfile::tempdir().unwrap();
    let (model, inside) = (model(), root.path().join("adapters"));
    let save = |seed, folder: &Path| peft::save(&adapter(model.as_ref(), seed), NAME, folder).unwrap();
    save(0, &inside.join("a"));
    save(1, &inside.join("b"));
    save(2, &root.path().join("outside"));
    std::fs::create_dir(inside.join("empty")).unwrap();
    let server =
        Server::with(Options { limits: limits(), adapter_root: Some(inside.clone()), ..Options::default() });

    ask(&server, "mine", 0).refused(404, "`mine` does not exist");
    let loaded = load(&server, "mine", "a");
    assert_eq!(
        (loaded.status, String::from_utf8_lossy(&loaded.body).contains("added successfully")),
        (200, true)
    );
    assert_eq!(names(&server), [NAME, "mine"]);
    let first = ids(&ask(&server, "mine", 0).ok());
    load(&server, "mine", "b").refused(400, "is loaded already");
    let inplace = json!({"lora_name": "mine", "lora_path": inside.join("b"), "load_inplace": true});
    assert_eq!(post(&server, "/v1/load_lora_adapter", &inplace).status, 200);
    assert_ne!(ids(&ask(&server, "mine", 0).ok()), first, "another is in its place");

    load(&server, "x", "../outside").refused(400, "no path below");
    load(&server, "x", root.path().join("outside").to_str().unwrap()).refused(400, "no path below");
    load(&server, "x", "empty").refused(400, "lora_path");
    load(&server, "x", "nothing").refused(400, "lora_path");
    load(&server, "", "a").refused(400, "lora_name");
    load(&server, NAME, "a").refused(400, "lora_name");
    load(&server, &"x".repeat(300), "a").refused(400, "lora_name");
    let unload = |name: &str| post(&server, "/v1/unload_lora_adapter", &json!({"lora_name": name}));
    assert_eq!(unload("mine").status, 200);
    unload("mine").refused(404, "does not exist");
    ask(&server, "mine", 0).refused(404, "does not exist");
    assert_eq!(names(&server), [NAME]);
}

#[test]
fn as_many_adapters_are_loaded_as_may_be_and_none_where_that_is_not_allowed() {
    let root = tempfile::tempdir().unwrap();
    peft::save(&adapter(model().as_ref(), 0), NAME, &root.path().join("a")).unwrap();
    let limits = vigos_serve::Limits { adapters: 2, ..limits() };
    let server =
        Server::with(Options { limits, adapter_root: Some(root.path().into()), ..Options::default() });
    assert_eq!((load(&server, "1", "a").status, load(&server, "2", "a").status), (200, 200));
    load(&server, "3", "a").refused(400, "as many as may be");
    let closed = Server::limited(super::server::limits());
    load(&closed, "1", "a").refused(403, "--adapter-root");
}
