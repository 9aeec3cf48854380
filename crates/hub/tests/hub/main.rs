//! Models and data sets from a hub on this machine, whole and with faults.

// Helpers of tests are not seen as tests themselves.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod parts;
mod push;
mod receiver;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use server::{COMMIT, Fault, Request, Server};
use vigos_hub::{Hub, HubError, Reference, Settings, is_reference, model_folder};

const MODEL: &str = "hf:org/tiny";
const FILES: [(&str, &[u8]); 6] = [
    ("config.json", b"{}"),
    ("tokenizer.json", b"{\"t\": 1}"),
    ("model.safetensors", b"the weights of the model, some forty bytes"),
    ("README.md", b"not needed"),
    ("pytorch_model.bin", b"not needed either"),
    ("onnx/config.json", b"nor this"),
];
const WEIGHTS: &str = "/org/tiny/resolve/0123456789abcdef0123456789abcdef01234567/model.safetensors";
const LISTING: &str = "/api/models/org/tiny/revision/main";

struct Fixture {
    server: Server,
    cache: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let server = Server::start();
        server.add("models", "org/tiny", "main", &FILES);
        Self { server, cache: tempfile::tempdir().unwrap() }
    }

    fn settings(&self) -> Settings {
        Settings {
            endpoint: self.server.endpoint.clone(),
            cache: self.cache.path().join("hub"),
            token: None,
            offline: false,
            timeout: Duration::from_millis(300),
            attempts: 2,
        }
    }

    fn hub(&self) -> Hub {
        Hub::new(self.settings())
    }

    fn offline(&self) -> Hub {
        Hub::new(Settings { offline: true, ..self.settings() })
    }

    fn model(&self) -> Result<PathBuf, HubError> {
        model(&self.hub(), MODEL)
    }
}

fn model(hub: &Hub, name: &str) -> Result<PathBuf, HubError> {
    hub.model(name.as_ref(), &mut |_, _, _| {})
}

fn dataset(hub: &Hub, name: &str) -> Result<Vec<PathBuf>, HubError> {
    hub.dataset(name.as_ref(), &mut |_, _, _| {})
}

fn gets(requests: &[Request]) -> Vec<&str> {
    requests.iter().filter(|r| r.method == "GET").map(|r| r.path.rsplit('/').next().unwrap()).collect()
}

#[test]
fn a_model_s_own_files_are_fetched_once_into_the_layout_that_python_reads() {
    let fixture = Fixture::new();
    let mut seen = Vec::new();
    let folder = fixture
        .hub()
        .model(MODEL.as_ref(), &mut |file, bytes, size| seen.push((file.to_owned(), bytes, size)))
        .unwrap();
    let repository = fixture.cache.path().join("hub/models--org--tiny");
    assert_eq!(folder, repository.join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), FILES[2].1);
    #[cfg(unix)]
    assert!(fs::read_link(folder.join("config.json")).unwrap().starts_with("../../blobs"));
    assert_eq!(seen.last().unwrap(), &("model.safetensors of hf:org/tiny".to_owned(), 42, 42));

    fixture.server.requests();
    assert_eq!(fixture.model().unwrap(), folder);
    assert_eq!(gets(&fixture.server.requests()), ["main"], "only the listing is asked for again");
}

#[test]
fn a_revision_is_a_branch_with_slashes_or_a_commit_that_needs_no_second_look() {
    let fixture = Fixture::new();
    fixture.server.add("models", "org/tiny", "refs%2Fpr%2F1", &FILES);
    fixture.server.add("models", "org/tiny", COMMIT, &FILES);
    let folder = model(&fixture.hub(), "hf:org/tiny@refs/pr/1").unwrap();
    let noted = fixture.cache.path().join("hub/models--org--tiny/refs/refs/pr/1");
    assert_eq!(fs::read_to_string(noted).unwrap(), COMMIT);
    fixture.server.requests();
    assert_eq!(model(&fixture.hub(), &format!("hf:org/tiny@{COMMIT}")).unwrap(), folder);
    assert!(fixture.server.requests().is_empty());
}

#[test]
fn sharded_weights_are_fetched_by_their_index_and_a_missing_shard_is_named() {
    let fixture = Fixture::new();
    let index = br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    let mut files: Vec<(&str, &[u8])> = vec![
        ("config.json", b"{}"),
        ("tokenizer.json", b"{}"),
        ("model.safetensors.index.json", index),
        ("model-00001-of-00002.safetensors", b"one"),
    ];
    fixture.server.add("models", "org/half", "main", &files);
    let message = model(&fixture.hub(), "hf:org/half").unwrap_err().to_string();
    assert!(message.contains("model-00002-of-00002.safetensors"), "{message}");
    files.push(("model-00002-of-00002.safetensors", b"two"));
    fixture.server.add("models", "org/half", "main", &files);
    assert!(model(&fixture.hub(), "hf:org/half").is_ok());
}

#[test]
fn a_split_s_files_come_in_order_and_other_splits_stay_where_they_are() {
    let fixture = Fixture::new();
    fixture.server.add(
        "datasets",
        "org/set",
        "main",
        &[
            ("data/train-00001-of-00002.parquet", b"second"),
            ("data/train-00000-of-00002.parquet", b"first"),
            ("data/test-00000-of-00001.parquet", b"test"),
            ("README.md", b"about"),
        ],
    );
    let files = dataset(&fixture.hub(), "hf:org/set@train").unwrap();
    let content: Vec<_> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert_eq!(content, ["first", "second"]);
    assert_eq!(gets(&fixture.server.requests()).len(), 3);
    let message = dataset(&fixture.hub(), "hf:org/set@dev").unwrap_err().to_string();
    assert!(message.contains("no split `dev`") && message.contains("test, train"), "{message}");
    assert_eq!(dataset(&fixture.offline(), "hf:org/set@train").unwrap(), files);
    let message = dataset(&fixture.offline(), "hf:org/set@test").unwrap_err().to_string();
    assert!(message.contains("the split `test` is not in the cache"), "{message}");
    fs::remove_file(&files[1]).unwrap();
    let message = dataset(&fixture.offline(), "hf:org/set@train").unwrap_err().to_string();
    assert!(message.contains("more than 1 of its 2 files"), "{message}");
}

#[test]
fn a_split_in_several_folders_is_refused_with_their_names() {
    let fixture = Fixture::new();
    let files: [(&str, &[u8]); 2] = [("easy/train.parquet", b"e"), ("hard/train.parquet", b"h")];
    fixture.server.add("datasets", "org/two", "main", &files);
    let message = dataset(&fixture.hub(), "hf:org/two@train").unwrap_err().to_string();
    assert!(message.contains("easy, hard"), "{message}");

    let of = |name: &str| {
        let files = dataset(&fixture.hub(), name).unwrap();
        files.iter().map(|file| fs::read_to_string(file).unwrap()).collect::<String>()
    };
    assert_eq!(of("hf:org/two@hard/train"), "h");
    assert_eq!(of("hf:org/two@*/train"), "eh");
    let message = dataset(&fixture.hub(), "hf:org/two@harder/train").unwrap_err().to_string();
    assert!(message.contains("no split `harder/train`"), "{message}");
}

#[test]
fn what_the_hub_does_not_know_or_not_give_is_told_apart() {
    let fixture = Fixture::new();
    let missing = model(&fixture.hub(), "hf:org/absent").unwrap_err();
    assert!(matches!(missing, HubError::NotFound { .. }), "{missing}");
    assert!(missing.to_string().contains("hf:org/absent"), "{missing}");
    for status in [401, 403] {
        fixture.server.fault(LISTING, Fault::Status(status));
        let message = fixture.model().unwrap_err().to_string();
        assert!(message.contains("set HF_TOKEN") && message.contains(&status.to_string()), "{message}");
        let token = Settings { token: Some("secret".into()), ..fixture.settings() };
        let message = model(&Hub::new(token), MODEL).unwrap_err().to_string();
        assert!(message.contains("accepted its terms") && !message.contains("secret"), "{message}");
    }
    fixture.server.fault(LISTING, Fault::Status(503));
    assert!(matches!(fixture.model(), Err(HubError::Status { status: 503, .. })));
    fixture.server.mend();
    fixture.server.fault(WEIGHTS, Fault::Status(404));
    let message = fixture.model().unwrap_err().to_string();
    assert!(message.contains("model.safetensors of hf:org/tiny"), "{message}");
}

#[test]
fn the_token_goes_to_the_hub_and_to_no_other_host() {
    let fixture = Fixture::new();
    let store = Server::start();
    store.add("models", "org/tiny", "main", &FILES);
    let token = Settings { token: Some("secret".into()), ..fixture.settings() };
    let config = WEIGHTS.replace("model.safetensors", "config.json");
    fixture.server.fault(WEIGHTS, Fault::Redirect(store.endpoint.clone()));
    fixture.server.fault(&config, Fault::Redirect("/moved".into()));
    model(&Hub::new(token), MODEL).unwrap();
    let requests = fixture.server.requests();
    assert!(requests.iter().all(|r| r.token.as_deref() == Some("Bearer secret")), "{requests:?}");
    assert!(requests.iter().any(|r| r.path.starts_with("/moved")), "{requests:?}");
    let stored = store.requests();
    assert_eq!(gets(&stored), ["model.safetensors"]);
    assert!(stored.iter().all(|r| r.token.is_none()), "{stored:?}");
}

#[test]
fn a_file_that_was_cut_off_is_resumed_where_it_ended() {
    let fixture = Fixture::new();
    fixture.server.fault(WEIGHTS, Fault::CutOnceAfter(17));
    let folder = fixture.model().unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), FILES[2].1);
    let ranges: Vec<_> = fixture.server.requests().into_iter().filter_map(|r| r.range).collect();
    assert_eq!(ranges, ["bytes=17-"]);
}

#[test]
fn a_file_that_always_ends_early_is_an_error_and_later_resumed_by_another_run() {
    let fixture = Fixture::new();
    fixture.server.fault(WEIGHTS, Fault::CutAfter(0));
    let nothing = fixture.model().unwrap_err();
    assert!(
        matches!(nothing, HubError::Truncated { found: 0, wanted: 42, .. } | HubError::Connection { .. }),
        "{nothing}"
    );
    fixture.server.fault(WEIGHTS, Fault::WholeOnly);
    fixture.server.mend();
    fixture.server.fault(WEIGHTS, Fault::CutOnceAfter(40));
    let impatient = Settings { attempts: 0, ..fixture.settings() };
    let error = model(&Hub::new(impatient), MODEL).unwrap_err();
    assert!(matches!(error, HubError::Truncated { found: 40, wanted: 42, .. }), "{error}");
    fixture.server.requests();
    fixture.model().unwrap();
    let ranges: Vec<_> = fixture.server.requests().into_iter().filter_map(|r| r.range).collect();
    assert_eq!(ranges, ["bytes=40-"]);
}

#[test]
fn a_server_without_ranges_gives_the_file_anew() {
    let fixture = Fixture::new();
    fixture.server.fault(WEIGHTS, Fault::CutOnceAfter(20));
    let impatient = Settings { attempts: 0, ..fixture.settings() };
    model(&Hub::new(impatient), MODEL).unwrap_err();
    fixture.server.fault(WEIGHTS, Fault::WholeOnly);
    let folder = fixture.model().unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), FILES[2].1);
}

#[test]
fn a_silent_server_is_given_up_on_in_time() {
    let fixture = Fixture::new();
    fixture.server.fault(WEIGHTS, Fault::Stall);
    let begin = std::time::Instant::now();
    let error = fixture.model().unwrap_err();
    assert!(matches!(error, HubError::Timeout { .. }), "{error}");
    assert!(begin.elapsed() < Duration::from_millis(2500), "{:?}", begin.elapsed());
}

#[test]
fn damaged_content_is_found_by_its_hash_and_not_kept() {
    let fixture = Fixture::new();
    fixture.server.fault(WEIGHTS, Fault::OtherContent);
    let error = fixture.model().unwrap_err();
    assert!(matches!(error, HubError::Damaged { .. }), "{error}");
    fixture.server.mend();
    assert_eq!(fs::read(fixture.model().unwrap().join("model.safetensors")).unwrap(), FILES[2].1);
}

#[test]
fn without_network_the_cache_is_enough_and_what_it_lacks_is_named() {
    let fixture = Fixture::new();
    let message = model(&fixture.offline(), MODEL).unwrap_err().to_string();
    assert!(message.contains("the revision `main`") && message.contains("HF_HUB_OFFLINE"), "{message}");
    let folder = fixture.model().unwrap();
    fixture.server.requests();
    assert_eq!(model(&fixture.offline(), MODEL).unwrap(), folder);
    assert!(fixture.server.requests().is_empty());

    // Nobody listens at this port: it was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = Settings { endpoint: format!("http://127.0.0.1:{port}"), ..fixture.settings() };
    assert_eq!(model(&Hub::new(gone.clone()), MODEL).unwrap(), folder, "online, but the hub is not there");
    let error = model(&Hub::new(gone), "hf:org/other").unwrap_err();
    assert!(matches!(error, HubError::Connection { .. }), "{error}");

    fs::remove_file(folder.join("tokenizer.json")).unwrap();
    let message = model(&fixture.offline(), MODEL).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json is not in the cache"), "{message}");
}

#[test]
fn a_hostile_hub_cannot_write_outside_the_cache() {
    let fixture = Fixture::new();
    for name in ["../../evil.json", "/etc/evil.json", "a//b.json", "C:evil.json", "..\\evil.json"] {
        fixture.server.add("models", "org/evil", "main", &[(name, b"{}")]);
        let error = model(&fixture.hub(), "hf:org/evil").unwrap_err();
        assert!(matches!(error, HubError::Answer { .. }), "{name}: {error}");
    }
    for etag in ["../../../evil", "", "a/b", "a.b"] {
        fixture.server.fault(WEIGHTS, Fault::Etag(etag));
        let error = fixture.model().unwrap_err();
        assert!(matches!(error, HubError::Answer { .. }), "{etag}: {error}");
    }
}

#[test]
fn a_local_folder_needs_no_hub() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path(), Path::new("./some/folder"), Path::new("folder"), Path::new("a/b/c")] {
        assert!(!is_reference(path));
        assert_eq!(model_folder(path, &mut |_, _, _| {}).unwrap(), path);
    }
    // What nothing is at, and is as names on the hub are, was meant as one.
    for name in ["Qwen/Qwen2.5-VL-3B-Instruct", "org/name@v1"] {
        let error = model_folder(name.as_ref(), &mut |_, _, _| {}).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(&format!("`hf:{name}`")), "{error}");
    }
    assert!(is_reference(MODEL.as_ref()));
}

#[test]
fn the_environment_says_where_the_hub_and_its_cache_are() {
    let from = |variables: &[(&str, &str)]| {
        Settings::from_variables(|name| variables.iter().find(|v| v.0 == name).map(|v| v.1.to_owned()))
    };
    let usual = from(&[("HOME", "/home/me")]).unwrap();
    assert_eq!(usual.endpoint, "https://huggingface.co");
    assert_eq!(usual.cache, Path::new("/home/me/.cache/huggingface/hub"));
    assert_eq!((usual.token, usual.offline), (None, false));
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), "stored\n").unwrap();
    let folder = home.path().to_str().unwrap();
    let stored = from(&[("HF_HOME", folder)]).unwrap();
    assert_eq!((stored.cache, stored.token.as_deref()), (home.path().join("hub"), Some("stored")));
    let all = [
        ("HF_HOME", folder),
        ("HF_HUB_CACHE", "/cache"),
        ("HF_ENDPOINT", "http://mirror/"),
        ("HF_TOKEN", " mine\n"),
        ("HF_HUB_OFFLINE", "1"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "7"),
    ];
    let all = from(&all).unwrap();
    assert_eq!((all.cache.as_path(), all.endpoint.as_str()), (Path::new("/cache"), "http://mirror"));
    assert_eq!((all.token.as_deref(), all.offline), (Some("mine"), true));
    assert_eq!(all.timeout, Duration::from_secs(7));
    assert!(!from(&[("HOME", "/h"), ("HF_HUB_OFFLINE", "0")]).unwrap().offline);
    for (wrong, variable) in
        [("HF_ENDPOINT", "ftp://x"), ("HF_TOKEN", "a b"), ("HF_HUB_DOWNLOAD_TIMEOUT", "soon")]
    {
        assert!(from(&[("HOME", "/h"), (wrong, variable)]).unwrap_err().to_string().contains(wrong));
    }
    assert!(from(&[]).unwrap_err().to_string().contains("HF_HOME"));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "hf:",
        "hf:tiny",
        "hf:org/",
        "hf:/tiny",
        "hf:org/tiny/more",
        "hf:../tiny",
        "hf:org/..",
        "hf:org/a..b",
        "hf:org/a b",
        "hf:org/a%2f",
        "hf:org/a?b",
        "hf:org/a--b",
        "hf:org/.git",
        "hf:org/tiny@",
        "hf:org/tiny@../x",
        "hf:org/tiny@a//b",
        "hf:org/tiny@main@x",
        "org/tiny",
    ] {
        let error = Reference::model(name.as_ref()).unwrap_err().to_string();
        assert!(error.contains("hf:ORG/NAME"), "{name}: {error}");
    }
    for name in
        ["hf:org/set", "hf:org/set@", "hf:org/set@a/../b", "hf:org/set@..", "hf:org/set@*", "hf:org/set@/b"]
    {
        assert!(Reference::dataset(name.as_ref()).is_err(), "{name}");
    }
    for name in ["hf:org/set@test", "hf:org/set@standard (10 options)/test", "hf:org/set@*/test"] {
        assert!(Reference::dataset(name.as_ref()).is_ok(), "{name}");
    }
    let model = Reference::model("hf:Qwen/Qwen2.5-VL-3B_x@refs/pr/1".as_ref()).unwrap();
    assert_eq!((model.id.as_str(), model.at.as_deref()), ("Qwen/Qwen2.5-VL-3B_x", Some("refs/pr/1")));
}

proptest! {
    #[test]
    fn a_name_that_is_taken_stays_in_its_folder(text in "hf:[a./@%\\\\-]{0,12}") {
        if let Ok(Reference { id, at }) = Reference::model(text.as_ref()) {
            prop_assert_eq!(id.split('/').count(), 2);
            for part in id.split('/').chain(at.iter().flat_map(|at| at.split('/'))) {
                prop_assert!(!part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '%']), "{}", part);
            }
        }
    }
}
