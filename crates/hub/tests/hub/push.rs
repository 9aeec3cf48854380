//! What is sent to a hub on this machine, whole and with faults.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::receiver::{Fault, Receiver, TOKEN};
use vigos_hub::{HubError, Parcel, Pushed, Settings, Which, push};

const TENSORS: &[u8] = b"tensors of an adapter, some forty bytes.";

struct Fixture {
    hub: Receiver,
    folder: tempfile::TempDir,
}

impl Fixture {
    /// An adapter's folder with what else lies about in one.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files: [(&str, &[u8]); 7] = [
            ("adapter_config.json", b"{\"r\": 8}"),
            ("adapter_model.safetensors", TENSORS),
            ("optimizer.safetensors", b"moments"),
            ("trainer.json", b"{}"),
            ("run.lock", b""),
            (".env", b"HF_TOKEN=hf_other"),
            ("credentials.json", b"{}"),
        ];
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        Self { hub: Receiver::start(), folder }
    }

    fn settings(&self) -> Settings {
        Settings {
            endpoint: self.hub.endpoint.clone(),
            cache: self.folder.path().join("hub"),
            token: Some(TOKEN.into()),
            offline: false,
            timeout: Duration::from_millis(300),
            attempts: 3,
        }
    }

    fn parcel(&self, which: Which) -> Result<Parcel, HubError> {
        Parcel::of(self.folder.path(), which, &mut |_, _, _| {})
    }

    fn push_with(&self, settings: &Settings) -> Result<Pushed, HubError> {
        let parcel = self.parcel(Which::Needed)?.with("README.md", "# Card\n".into());
        push(settings, "me/adapter", &parcel, &mut |_, _, _| {})
    }

    fn push(&self) -> Result<Pushed, HubError> {
        self.push_with(&self.settings())
    }

    /// How often a path with this in it was asked for.
    fn asked(&self, part: &str) -> usize {
        self.hub.requests().iter().filter(|request| request.path.contains(part)).count()
    }
}

fn names(parcel: &Parcel) -> Vec<&str> {
    parcel.files().iter().map(|file| file.name.as_str()).collect()
}

#[test]
fn only_what_an_adapter_consists_of_goes_and_what_training_goes_on_from_on_request() {
    let fixture = Fixture::new();
    let needed = fixture.parcel(Which::Needed).unwrap();
    assert_eq!(names(&needed), ["adapter_config.json", "adapter_model.safetensors"]);
    let left = [".env", "credentials.json", "optimizer.safetensors", "run.lock", "trainer.json"];
    assert_eq!(needed.left_out(), left);
    assert_eq!(needed.files()[1].size, 40);
    let hash = needed.files()[1].sha256.as_str();
    assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
    let all = fixture.parcel(Which::All).unwrap();
    let wanted =
        ["adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors", "trainer.json"];
    assert_eq!(names(&all), wanted);
}

#[test]
fn a_push_makes_a_private_repository_and_the_next_one_sends_nothing() {
    let fixture = Fixture::new();
    let first = fixture.push().unwrap();
    assert!(first.made);
    assert_eq!(first.committed, ["README.md", "adapter_config.json", "adapter_model.safetensors"]);
    assert_eq!(fixture.hub.private(), [true]);
    assert_eq!(fixture.hub.names(), first.committed);
    assert_eq!(fixture.hub.file("adapter_model.safetensors").unwrap(), TENSORS);
    assert_eq!(fixture.hub.file("README.md").unwrap(), b"# Card\n");
    fixture.hub.requests();

    let second = fixture.push().unwrap();
    assert!(!second.made && second.committed.is_empty(), "{second:?}");
    assert_eq!((fixture.asked("/store/"), fixture.hub.commits()), (0, 1));

    // A file that changed goes alone.
    fs::write(fixture.folder.path().join("adapter_config.json"), "{\"r\": 16}").unwrap();
    assert_eq!(fixture.push().unwrap().committed, ["adapter_config.json"]);
    assert_eq!((fixture.asked("/store/"), fixture.hub.commits()), (0, 2));
}

#[test]
fn a_large_file_goes_in_the_parts_that_are_asked_for_and_only_a_part_that_failed_goes_again() {
    let fixture = Fixture::new();
    fixture.hub.in_parts(16);
    fixture.hub.fault("/2", Fault::Status(503));
    fixture.push().unwrap();
    assert_eq!(fixture.hub.file("adapter_model.safetensors").unwrap(), TENSORS);
    let requests = fixture.hub.requests();
    let parts: Vec<(&str, usize)> = requests
        .iter()
        .filter(|request| request.method == "PUT" && request.path.contains("/part/"))
        .map(|request| (request.path.rsplit('/').next().unwrap(), request.bytes))
        .collect();
    assert_eq!(parts, [("1", 16), ("2", 16), ("2", 16), ("3", 8)]);
}

#[test]
fn what_was_stored_by_a_push_that_was_cut_off_is_not_sent_again() {
    let fixture = Fixture::new();
    for _ in 0..3 {
        fixture.hub.fault("/commit/", Fault::Status(500));
    }
    let error = fixture.push().unwrap_err();
    assert!(matches!(error, HubError::Status { status: 500, .. }) && !error.is_input(), "{error}");
    assert_eq!((fixture.asked("/store/"), fixture.hub.commits()), (1, 0));
    let again = fixture.push().unwrap();
    assert_eq!((again.stored, again.committed.len()), (1, 3));
    assert_eq!((fixture.asked("/store/"), fixture.hub.commits()), (0, 1));
}

#[test]
fn trouble_that_passes_is_waited_for() {
    let places =
        ["/api/models/me", "/repos/create", "/preupload/", "/batch", "/store/", "/verify/", "/commit/"];
    for place in places {
        for fault in [Fault::Status(500), Fault::Status(429), Fault::Cut, Fault::Stall] {
            let fixture = Fixture::new();
            fixture.hub.fault(place, fault);
            let pushed = fixture.push().unwrap();
            assert_eq!((pushed.committed.len(), fixture.hub.commits()), (3, 1), "{place}");
        }
    }
}

#[test]
fn a_commit_whose_answer_was_lost_is_not_made_twice() {
    let fixture = Fixture::new();
    fixture.hub.fault("/commit/", Fault::Lost);
    let pushed = fixture.push().unwrap();
    assert_eq!((pushed.committed.len(), fixture.hub.commits()), (3, 1));
}

#[test]
fn a_repository_that_somebody_else_made_meanwhile_is_as_good() {
    let fixture = Fixture::new();
    fixture.push().unwrap();
    // It is not seen, and cannot be made.
    fixture.hub.fault("/api/models/me", Fault::Status(404));
    assert!(!fixture.push().unwrap().made);
}

#[test]
fn what_is_stored_under_a_wrong_hash_is_refused_and_nothing_is_committed() {
    let fixture = Fixture::new();
    fixture.hub.fault("/store/", Fault::Garbled);
    let error = fixture.push().unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, HubError::Refused { status: 400, .. }), "{message}");
    assert!(message.contains("adapter_model.safetensors") && message.contains("another hash"), "{message}");
    assert_eq!(fixture.hub.commits(), 0);
}

#[test]
fn without_the_right_to_write_it_says_so_and_never_shows_the_token() {
    let fixture = Fixture::new();
    let none = Settings { token: None, ..fixture.settings() };
    let message = fixture.push_with(&none).unwrap_err().to_string();
    assert!(message.contains("HF_TOKEN") && message.contains("me/adapter"), "{message}");
    assert!(fixture.hub.requests().is_empty(), "nothing is asked without a token");

    let wrong = Settings { token: Some("hf_wrong".into()), ..fixture.settings() };
    let error = fixture.push_with(&wrong).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("401") && message.contains("may write") && error.is_input(), "{message}");
    assert!(!message.contains("hf_wrong"), "{message}");

    let offline = Settings { offline: true, ..fixture.settings() };
    let message = fixture.push_with(&offline).unwrap_err().to_string();
    assert!(message.contains("HF_HUB_OFFLINE"), "{message}");
}

#[test]
fn the_token_goes_to_the_hub_alone_and_signed_addresses_are_not_shown() {
    let fixture = Fixture::new();
    let elsewhere = Receiver::start();
    let hash = fixture.parcel(Which::Needed).unwrap().files()[1].sha256.clone();
    let href = format!("{}/store/{hash}?signature=secret", elsewhere.endpoint);
    let upload = serde_json::json!({ "href": href });
    let object = serde_json::json!({ "oid": hash, "size": 40, "actions": { "upload": upload } });
    let batch = serde_json::json!({ "objects": [object] }).to_string();
    fixture.hub.fault("/batch", Fault::Says(200, batch));
    for _ in 0..3 {
        elsewhere.fault("/store/", Fault::Status(500));
    }
    let message = fixture.push().unwrap_err().to_string();
    assert!(message.contains("500") && !message.contains("signature"), "{message}");
    assert!(elsewhere.requests().iter().all(|request| request.token.is_none()));
}

#[test]
fn answers_of_a_hostile_hub_are_errors() {
    let hash = Fixture::new().parcel(Which::Needed).unwrap().files()[1].sha256.clone();
    let action = |upload: serde_json::Value| {
        let object = serde_json::json!({ "oid": hash, "size": 40, "actions": { "upload": upload } });
        serde_json::json!({ "objects": [object] }).to_string()
    };
    let modes = |mode: &str| {
        let file =
            |name: &str| serde_json::json!({ "path": name, "uploadMode": mode, "shouldIgnore": false });
        serde_json::json!({ "files": [file("README.md"), file("adapter_config.json")] }).to_string()
    };
    let far = "http://127.0.0.1:1/x";
    let cases = [
        ("/preupload/", "not json".to_owned()),
        ("/preupload/", "[]".to_owned()),
        ("/preupload/", "{\"files\":[]}".to_owned()),
        ("/preupload/", modes("regular")),
        ("/preupload/", modes("unheard-of")),
        ("/batch", "{\"objects\":[]}".to_owned()),
        ("/batch", "{}".to_owned()),
        ("/batch", action(serde_json::json!({ "href": "file:///etc/passwd" }))),
        ("/batch", action(serde_json::json!({ "href": "/store/x" }))),
        ("/batch", action(serde_json::json!({ "href": far, "header": { "chunk_size": 0 } }))),
        ("/batch", action(serde_json::json!({ "href": far, "header": { "chunk_size": "-1" } }))),
        ("/batch", action(serde_json::json!({ "href": far, "header": { "chunk_size": 16, "1": 5 } }))),
        (
            "/batch",
            action(serde_json::json!({ "href": far, "header": { "chunk_size": 16, "1": "ftp://x/" } })),
        ),
    ];
    for (path, told) in cases {
        let fixture = Fixture::new();
        fixture.hub.fault(path, Fault::Says(200, told.clone()));
        let error = fixture.push().unwrap_err();
        assert!(matches!(error, HubError::Answer { .. }), "{told}: {error}");
        assert_eq!(fixture.hub.commits(), 0, "{told}");
    }
    let fixture = Fixture::new();
    fixture.hub.fault("/commit/", Fault::Says(400, format!("{{\"error\":\"bad\\n{}\"}}", "x".repeat(9000))));
    let message = fixture.push().unwrap_err().to_string();
    assert!(message.contains("bad ") && message.len() < 500 && !message.contains('\n'), "{message}");
}

#[test]
fn a_file_that_the_repository_ignores_is_told_of() {
    let fixture = Fixture::new();
    fixture.hub.ignore("README.md");
    let pushed = fixture.push().unwrap();
    assert_eq!(pushed.ignored, ["README.md"]);
    assert_eq!(fixture.hub.names(), ["adapter_config.json", "adapter_model.safetensors"]);
}

#[test]
fn a_file_that_changes_after_it_was_looked_at_is_not_sent() {
    for (name, content) in [("adapter_config.json", "{\"r\": 9}"), ("adapter_model.safetensors", "short")] {
        let fixture = Fixture::new();
        let parcel = fixture.parcel(Which::Needed).unwrap();
        fs::write(fixture.folder.path().join(name), content).unwrap();
        let sent = push(&fixture.settings(), "me/adapter", &parcel, &mut |_, _, _| {});
        let message = sent.unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("changed"), "{message}");
        assert_eq!(fixture.hub.commits(), 0);
    }
}

#[test]
fn a_folder_of_neither_and_a_name_that_is_none_are_told_before_anything_is_sent() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.folder.path().join("adapter_model.safetensors")).unwrap();
    let message = fixture.parcel(Which::All).unwrap_err().to_string();
    assert!(message.contains("no model and no adapter") && message.contains("config.json"), "{message}");
    let fixture = Fixture::new();
    let parcel = fixture.parcel(Which::Needed).unwrap();
    for name in ["adapter", "me/../adapter", "me/adapter@main", "https://hub/me/adapter", ""] {
        let error = push(&fixture.settings(), name, &parcel, &mut |_, _, _| {}).unwrap_err();
        assert!(matches!(error, HubError::Reference { .. }), "{name}: {error}");
    }
    let message = Parcel::of(Path::new("nowhere"), Which::Needed, &mut |_, _, _| {}).unwrap_err().to_string();
    assert!(message.contains("nowhere"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_out_of_the_folder_is_refused_and_one_within_is_followed() {
    use std::os::unix::fs::symlink;
    let fixture = Fixture::new();
    let outside = tempfile::NamedTempFile::new().unwrap();
    let card = fixture.folder.path().join("README.md");
    symlink(outside.path(), &card).unwrap();
    let message = fixture.parcel(Which::Needed).unwrap_err().to_string();
    assert!(message.contains("README.md") && message.contains("leads out"), "{message}");
    fs::remove_file(&card).unwrap();
    symlink("adapter_config.json", &card).unwrap();
    assert_eq!(names(&fixture.parcel(Which::Needed).unwrap())[0], "README.md");
}
