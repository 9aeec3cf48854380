//! A judge and a server that is well, slow, busy, wrong or away.

// Helpers of tests are not seen as tests themselves.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod server;

use server::{Fake, Fault};
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use vigos_judge::{Case, Judge, JudgeError, Prices, Settings, Template, Verdict};

const PROMPT: &str = "{problem}\n{reference} | {answer}";

fn settings(url: &str, folder: &Path) -> Settings {
    Settings {
        url: url.to_owned(),
        model: "judge-1".into(),
        key: Some("secret".into()),
        folder: folder.to_owned(),
        timeout: Duration::from_secs(10),
        attempts: 3,
        pause: Duration::from_millis(1),
        max_calls: None,
        max_spend: None,
        prices: Prices::default(),
    }
}

fn ask(judge: &Judge, cases: &[(&str, &str)]) -> Result<Vec<Option<f64>>, JudgeError> {
    let template = Template::parse("test", PROMPT.into()).unwrap();
    let cases: Vec<Case> =
        cases.iter().map(|&(reference, answer)| Case { problem: "What?", reference, answer }).collect();
    let verdicts = judge.verdicts(&template, &cases, &AtomicBool::new(false))?.unwrap();
    Ok(verdicts.into_iter().map(|verdict| verdict.map(|Verdict { score, .. }| score)).collect())
}

#[test]
fn answers_get_their_verdicts_in_order_and_each_is_asked_about_once() {
    let (server, dir) = (Fake::start(&[]), tempfile::tempdir().unwrap());
    let judge = Judge::open(settings(&server.address, dir.path())).unwrap();
    let cases = [("goat", "a goat"), ("goat", "sheep"), ("cat <AND> dog", "a dog"), ("goat", "a goat")];
    assert_eq!(ask(&judge, &cases).unwrap(), [Some(1.0), Some(0.0), Some(0.5), Some(1.0)]);
    assert_eq!((judge.bill().calls, judge.bill().read, judge.bill().written), (3, 300, 6));
    let body = &server.asked()[0];
    assert_eq!((body["model"].as_str(), body["temperature"].as_f64()), (Some("judge-1"), Some(0.0)));

    // Another time nothing is asked; of another model everything is.
    let again = Judge::open(settings(&server.address, dir.path())).unwrap();
    assert_eq!(ask(&again, &cases).unwrap(), [Some(1.0), Some(0.0), Some(0.5), Some(1.0)]);
    assert_eq!((again.bill().calls, again.bill().kept), (0, 3));
    let other = Settings { model: "judge-2".into(), ..settings(&server.address, dir.path()) };
    let other = Judge::open(other).unwrap();
    ask(&other, &cases).unwrap();
    assert_eq!(other.bill().calls, 3);
}

#[test]
fn what_passes_is_asked_again() {
    for fault in [
        Fault::Status(500),
        Fault::Status(429),
        Fault::NotJson,
        Fault::Huge,
        Fault::Shape,
        Fault::Gone,
        Fault::Words("I would rather not say."),
    ] {
        let (server, dir) = (Fake::start(&[fault, fault]), tempfile::tempdir().unwrap());
        let judge = Judge::open(settings(&server.address, dir.path())).unwrap();
        assert_eq!(ask(&judge, &[("goat", "a goat")]).unwrap(), [Some(1.0)], "{fault:?}");
        assert_eq!(judge.bill().calls, 3, "{fault:?}");
    }
}

#[test]
fn what_does_not_pass_ends_the_work_and_what_there_is_is_kept() {
    let faults = [Fault::Status(503); 3];
    let (server, dir) = (Fake::start(&faults), tempfile::tempdir().unwrap());
    let judge = Judge::open(settings(&server.address, dir.path())).unwrap();
    let error = ask(&judge, &[("goat", "a goat")]).unwrap_err();
    let message = error.to_string();
    assert!(
        !error.is_input() && message.contains("503: not now") && message.contains("--resume"),
        "{message}"
    );
    // Its faults are over.
    assert_eq!(ask(&judge, &[("goat", "a goat")]).unwrap(), [Some(1.0)]);

    let slow = (Fake::start(&[Fault::Slow; 2]), tempfile::tempdir().unwrap());
    let hasty = Settings {
        timeout: Duration::from_millis(50),
        attempts: 2,
        ..settings(&slow.0.address, slow.1.path())
    };
    let message = ask(&Judge::open(hasty).unwrap(), &[("goat", "a goat")]).unwrap_err().to_string();
    assert!(message.contains("timeout") && message.contains("asked 2 times"), "{message}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = settings(&format!("http://{closed}/v1"), dir.path());
    let message = ask(&Judge::open(away).unwrap(), &[("x", "y")]).unwrap_err().to_string();
    assert!(message.contains(&closed.to_string()) && message.contains("asked 3 times"), "{message}");
}

#[test]
fn a_refusal_is_said_at_once_and_without_the_key() {
    let (server, dir) = (Fake::start(&[]), tempfile::tempdir().unwrap());
    let nobody = Settings { key: Some("other".into()), ..settings(&server.address, dir.path()) };
    let judge = Judge::open(nobody).unwrap();
    let message = ask(&judge, &[("goat", "a goat")]).unwrap_err().to_string();
    assert!(message.contains("401") && message.contains("eval.judge.key"), "{message}");
    assert_eq!(judge.bill().calls, 1);
    let elsewhere = settings(server.address.trim_end_matches("/v1"), dir.path());
    let message = ask(&Judge::open(elsewhere).unwrap(), &[("goat", "a goat")]).unwrap_err().to_string();
    assert!(message.contains("404") && message.contains("up to its /v1"), "{message}");
    let (echo, dir) = (Fake::start(&[Fault::Status(400)]), tempfile::tempdir().unwrap());
    let error =
        ask(&Judge::open(settings(&echo.address, dir.path())).unwrap(), &[("goat", "g")]).unwrap_err();
    assert!(error.to_string().contains("400: not now"), "{error}");
}

#[test]
fn a_model_that_says_nothing_that_can_be_read_gives_no_verdict() {
    let words = Fault::Words("Hm.");
    let (server, dir) = (Fake::start(&[words; 3]), tempfile::tempdir().unwrap());
    let judge = Judge::open(settings(&server.address, dir.path())).unwrap();
    assert_eq!(ask(&judge, &[("goat", "a goat")]).unwrap(), [None]);
    let asked = server.asked();
    let warmth: Vec<f64> = asked.iter().map(|body| body["temperature"].as_f64().unwrap()).collect();
    assert_eq!(warmth, [0.0, 0.5, 1.0]);
    assert!(asked[2]["messages"][0]["content"].as_str().unwrap().ends_with("the number alone."));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn calls_and_spend_end_where_they_are_limited_also_after_another_start() {
    let (server, dir) = (Fake::start(&[]), tempfile::tempdir().unwrap());
    let cases: Vec<(String, &str)> = (0..40).map(|number| (format!("goat {number}"), "x")).collect();
    let cases: Vec<(&str, &str)> =
        cases.iter().map(|(reference, answer)| (reference.as_str(), *answer)).collect();
    let few = || Settings { max_calls: Some(10), ..settings(&server.address, dir.path()) };
    let message = ask(&Judge::open(few()).unwrap(), &cases).unwrap_err().to_string();
    assert!(message.contains("10 calls") && message.contains("eval.judge.max_calls = 10"), "{message}");
    assert_eq!(server.asked().len(), 10);
    assert!(ask(&Judge::open(few()).unwrap(), &cases).is_err());
    assert_eq!(server.asked().len(), 10, "what the folder has counts");
    assert_eq!(
        ask(&Judge::open(few()).unwrap(), &cases[..1]).unwrap(),
        [Some(0.0)],
        "what is kept costs nothing"
    );

    // A verdict costs 100 and 2 tokens.
    let prices = Prices { read: 10.0, written: 1000.0 };
    let other = tempfile::tempdir().unwrap();
    let cheap = Settings { max_spend: Some(0.0299), prices, ..settings(&server.address, other.path()) };
    let judge = Judge::open(cheap).unwrap();
    let message = ask(&judge, &cases).unwrap_err().to_string();
    assert!(message.contains("eval.judge.max_spend = 0.0299"), "{message}");
    // As many as were under way when the limit was met may go beyond it.
    assert!(judge.spend() >= 0.0299 && judge.spend() < 0.0299 + 8.0 * 0.003, "{}", judge.spend());
}

#[test]
fn settings_and_files_that_cannot_be_used_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let with = |change: fn(&mut Settings)| {
        let mut settings = settings("http://127.0.0.1:1/v1", dir.path());
        change(&mut settings);
        let error = Judge::open(settings).unwrap_err();
        assert!(error.is_input(), "{error}");
        error.to_string()
    };
    assert!(with(|s| s.url = "localhost:8000".into()).contains("eval.judge.url"));
    assert!(with(|s| s.model = " ".into()).contains("eval.judge.model"));
    let message = with(|s| s.key = Some("se cret".into()));
    assert!(message.contains("eval.judge.key") && !message.contains("se cret"), "{message}");
    assert!(with(|s| s.max_spend = Some(1.0)).contains("price_read"));
    fs::write(dir.path().join("00.json"), r#"{"score": 7, "said": "", "calls": 1, "read": 1, "written": 1}"#)
        .unwrap();
    assert!(with(|_| ()).contains("a score of 7"));

    let template = Template::parse("my.txt", "{problem} {answer}".into()).unwrap_err().to_string();
    assert!(template.contains("my.txt") && template.contains("{reference}"), "{template}");
    assert!(Template::read(&dir.path().join("none.txt")).unwrap_err().is_input());
}
