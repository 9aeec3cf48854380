//! Texts of strangers are shown as texts, and files of strangers do not stop the page.

use crate::support::{Run, data, metrics, recording, rollout};
use serde_json::{Value, json};

const HOSTILE: &str = "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>&amp;\u{202e}\u{0}\u{2028}'\"{{ 7 * 7 }}{% raw %}";

/// How many elements of a kind the page opens.
fn opened(page: &str, tag: &str) -> usize {
    page.matches(&format!("<{tag}")).count()
}

#[test]
fn tags_scripts_and_marks_of_direction_stay_text() {
    let plain = Run::new();
    plain.metrics(2);
    plain.lines("recordings/step-000002.jsonl", [recording(2, 0, "a", &["a"])]);
    let plain = plain.page();

    let run = Run::new();
    run.metrics(2);
    let mut hostile = recording(2, 0, HOSTILE, &[HOSTILE, "⟨E2⟩"]);
    hostile.problem = HOSTILE.into();
    hostile.answer = HOSTILE.into();
    hostile.predicted = Some(HOSTILE.into());
    hostile.reason = Some(HOSTILE.into());
    hostile.prompts[0].text = HOSTILE.into();
    hostile.prompts[0].role = HOSTILE.into();
    hostile.supervised[0].who.teacher = HOSTILE.into();
    hostile.texts.insert(9000, HOSTILE.into());
    hostile.images[0].kind = format!("image/png{HOSTILE}");
    run.lines("recordings/step-000002.jsonl", [hostile]);
    run.lines("metrics.jsonl", [json!({"step": 3, HOSTILE: 1.0, "terms": {HOSTILE: {"kl": 1.0}}})]);
    let page = run.page();
    for tag in ["script", "img", "!--", "style"] {
        assert_eq!(opened(&page, tag), opened(&plain, tag), "{tag}");
    }
    assert!(!page.contains('\u{202e}') && !page.contains('\u{0}') && !page.contains('\u{2028}'));
    let shown = &data(&page)["runs"][0]["rollouts"][0];
    let text = shown["tokens"]["pieces"][0].as_str().unwrap();
    assert!(text.starts_with("</script><script>alert(1)") && text.contains("⟨U+202E⟩⟨U+0000⟩"), "{text}");
    assert_eq!(shown["images"], json!([]), "a picture of a strange kind is none");
}

#[test]
fn hostile_names_of_folders_and_recipes_stay_text() {
    let run = Run::new();
    let folder = run.path().join("<img src=x onerror=alert(1)>\u{202e}");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("metrics.jsonl"), format!("{}\n", metrics(1))).unwrap();
    std::fs::write(folder.join("config.toml"), "[model]\npath = \"</style><script>alert(1)</script>\"\n")
        .unwrap();
    let page = vigos_report::page(&[folder], &vigos_report::Limits::default()).unwrap();
    assert_eq!((opened(&page, "script"), page.contains("<img src=x")), (2, false));
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;⟨U+202E⟩"));
}

#[test]
fn lines_of_megabytes_and_bytes_that_are_no_text_are_cut_or_told() {
    let run = Run::new();
    run.metrics(2);
    run.lines("rollouts/step-000001.jsonl", [rollout("long", &"a <b> ".repeat(500_000))]);
    run.file("rollouts/step-000002.jsonl", b"{\"id\": \"\xff\xfe\"}\n");
    run.file(
        "recordings/step-000003.jsonl",
        format!("{{\"version\":1,\"pad\":\"{}\"}}\n", "x".repeat(17 << 20)),
    );
    run.file(
        "recordings/step-000004.jsonl",
        "{\"version\":99,\"step\":4,\"row\":0,\"id\":\"a\",\"tokens\":{\"ids\":[],\"pieces\":[]}}\n",
    );
    run.file("metrics.jsonl", format!("{}\n{{\"step\": 2, \"loss\": tru\n", metrics(1)));
    let page = run.page();
    assert!(page.len() < 400_000, "{}", page.len());
    for told in [
        "rollouts of step 2 are left out",
        "rollouts of step 3 are left out",
        "newer vigos",
        "metrics after these",
    ] {
        assert!(page.contains(told), "{told}");
    }
    let found = data(&page);
    let rollouts = found["runs"][0]["rollouts"].as_array().unwrap();
    assert_eq!(rollouts.iter().map(|r| r["id"].as_str().unwrap()).collect::<Vec<_>>(), ["long"]);
}

#[test]
fn columns_that_do_not_fit_together_are_shown_as_far_as_they_go() {
    let run = Run::new();
    run.metrics(2);
    let mut odd = recording(2, 0, "odd", &["a", "b", "c"]);
    odd.tokens.pieces.truncate(2);
    odd.tokens.logprob.0.clear();
    odd.supervised[0].positions = vec![7_000_000_000];
    run.lines("recordings/step-000002.jsonl", [odd]);
    let shown = data(&run.page())["runs"][0]["rollouts"][0].clone();
    assert_eq!(
        (shown["tokens"]["ids"].clone(), shown["tokens"]["logprob"].clone()),
        (json!([0, 1]), json!([]))
    );
}

#[test]
fn names_of_metrics_without_end_are_bounded() {
    let run = Run::new();
    let line = |step: usize| {
        let names = (0..3000).map(|name| (format!("n{step}-{name}"), json!(1)));
        Value::Object(names.chain([("step".to_owned(), json!(step))]).collect())
    };
    run.lines("metrics.jsonl", (1..4).map(line));
    let found = data(&run.page());
    assert!(found["runs"][0]["series"].as_object().unwrap().len() <= 400);
}

#[test]
fn the_policy_allows_the_one_script_and_style_and_nothing_else() {
    let run = Run::new();
    run.metrics(1);
    let page = run.page();
    let policy =
        page.split("Content-Security-Policy\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(policy.starts_with("default-src &#x27;none&#x27;; script-src &#x27;sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    // Nothing outside is named where a browser would fetch it, and nothing is styled or scripted in place.
    for fetched in ["src=\"http", "href=\"http", "url(", "@import", " style=\"", " onclick=\""] {
        assert!(!page.contains(fetched), "{fetched}");
    }
}
