//! `vigos data check`, `vigos data convert` and `vigos train --dry-run` through the command.

use crate::support;

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use support::{data_folder, fixtures, image, questions, ran, recipe, run, vigos};

/// What `vigos data check --json` says of a file.
fn check(path: &Path, more: &[&str]) -> Value {
    let fixed = ["data", "check", path.to_str().unwrap(), "--json"];
    run(fixed.iter().chain(more)).ok().json()
}

#[test]
fn a_check_says_what_a_file_holds_and_names_the_first_bad_rows() {
    let mut rows = questions();
    rows.push(json!({"id": "again", "image": "wide.png", "problem": "How many? 1", "answer": "3"}));
    rows.push(json!({"id": "1", "image": "wide.png", "problem": "Why?", "answer": "because it is so and no other way is there"}));
    rows.push(json!({"id": "gone", "image": "gone.png", "problem": "Which? A. red B. blue", "answer": "A"}));
    rows.push(json!({"id": "broken", "image": "broken.png", "problem": "p", "answer": "x"}));
    rows.push(json!({"id": "empty", "image": "wide.png", "problem": "p", "answer": ""}));
    let (dir, data) = data_folder(&rows);
    fs::write(dir.path().join("broken.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let found = check(&data, &[]);
    assert_eq!((found["layout"].as_str(), found["format"].as_str()), (Some("rows"), Some("jsonl")));
    assert_eq!((found["rows"].as_u64(), found["usable"].as_u64()), (Some(9), Some(6)));
    let images = &found["images"];
    assert_eq!([&images["found"], &images["missing"], &images["broken"]], [6, 1, 1]);
    let bad = found["first_bad"].as_array().unwrap();
    assert_eq!(bad.iter().map(|bad| bad["row"].as_u64().unwrap()).collect::<Vec<_>>(), [6, 7, 8]);
    for (bad, part) in bad.iter().zip(["no image file", "broken.png: ", "found a blank string"]) {
        assert!(bad["reason"].as_str().unwrap().contains(part), "{bad}");
    }
    assert!(bad[2]["origin"].as_str().unwrap().ends_with("rows.jsonl:9"), "{bad:?}");
    assert_eq!(found["answers"]["number"], 5);
    assert_eq!(
        (&found["answers"]["hard"], &found["answers"]["first_hard"][0]["row"]),
        (&json!(1), &json!(5))
    );
    assert_eq!(found["duplicates"], json!({"rows": 1, "ids": 1}));
    assert!(found["prompts"].is_null() && found["estimate"].is_null());

    let text = run(["data", "check", data.to_str().unwrap()]).ok().stdout;
    for part in ["layout     rows", "rows       9, 6 usable", "1 missing, 1 broken", "(id `gone`, row 6)"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_check_of_a_recipe_measures_prompts_with_its_model_and_estimates_steps() {
    let (_dir, data) = data_folder(&questions());
    let recipe = recipe(&data);
    let found = check(&recipe, &["--set", "train.steps=3"]);
    let shown = run(["prompts", recipe.to_str().unwrap(), "--json"]).ok().json();
    let tokens = |role: usize| shown["prompts"][role]["tokens"].as_u64().unwrap();
    let longest = (0..4).map(tokens).max().unwrap();
    let prompts = &found["prompts"];
    assert_eq!(
        (prompts["student"]["max"].as_u64(), prompts["longest"]["max"].as_u64()),
        (Some(tokens(0)), Some(longest))
    );
    let estimate = &found["estimate"];
    assert_eq!([&estimate["steps"], &estimate["samples_per_step"]], [3, 2]);
    assert_eq!(estimate["prompt_tokens"], 6 * tokens(0));
    assert_eq!(estimate["completion_tokens"], 6 * 8);
    let few = check(&recipe, &["--set", "train.steps=3", "--set", "train.max_prompt_tokens=10"]);
    assert_eq!((&few["usable"], &few["left_out"]["long_prompt"]), (&json!(0), &json!(4)));
}

#[test]
fn every_layout_is_recognised_and_said() {
    let images = fixtures().join("images");
    for layout in ["rows", "llava", "messages", "sharegpt", "trl", "vqa", "instruction"] {
        let file = fixtures().join("layouts").join(layout).with_extension("jsonl");
        let found = check(&file, &["--image-root", images.to_str().unwrap(), "--turns", "last"]);
        assert_eq!((found["layout"].as_str(), found["usable"].as_u64()), (Some(layout), Some(10)), "{found}");
    }
}

#[test]
fn a_data_set_is_written_anew_with_its_images_and_read_as_the_same() {
    let images = fixtures().join("images");
    let images = images.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let llava = fixtures().join("layouts/llava.jsonl");
    let convert = |from: &str, to: &str, more: &[&str]| {
        let fixed = ["data", "convert", from, "--out", to];
        run(fixed.iter().chain(more))
    };
    convert(llava.to_str().unwrap(), &at("rows.jsonl"), &["--image-root", images]).ok();
    let text = fs::read_to_string(at("rows.jsonl")).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(
        first,
        json!({"id": "l0", "image": "rows-images/000000-0.png", "problem": "How many cups stand on the table?", "answer": "3"})
    );
    assert_eq!(
        fs::read(folder.path().join("rows-images/000000-0.png")).unwrap(),
        fs::read(image("wide.png")).unwrap()
    );
    // A row with something before its question keeps it.
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["messages"][0], json!({"role": "system", "content": "Answer with one word."}));
    assert_eq!(check(Path::new(&at("rows.jsonl")), &[])["usable"], 10);

    let (dir, data) = data_folder(&questions());
    let (data, parquet) = (data.to_str().unwrap(), dir.path().join("rows.parquet"));
    convert(data, parquet.to_str().unwrap(), &[]).ok();
    let found = check(&parquet, &[]);
    assert_eq!([&found["format"], &found["layout"]], ["parquet", "rows"]);
    assert_eq!([&found["usable"], &found["images"]["found"]], [4, 4]);
    let back = dir.path().join("back.jsonl");
    convert(parquet.to_str().unwrap(), back.to_str().unwrap(), &[]).ok();
    let line: Value =
        serde_json::from_str(fs::read_to_string(&back).unwrap().lines().nth(2).unwrap()).unwrap();
    assert_eq!(
        line,
        json!({"id": "3", "image": "back-images/000002-0.png", "problem": "How many? 3", "answer": "3"})
    );
    // Images that lie below stay where they are.
    let again = dir.path().join("again.jsonl");
    convert(data, again.to_str().unwrap(), &[]).ok();
    let line: Value =
        serde_json::from_str(fs::read_to_string(&again).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(line["image"], "wide.png");
    assert!(!dir.path().join("again-images").exists());
}

#[test]
fn a_row_that_cannot_be_used_ends_a_conversion_or_is_left_out_on_request() {
    let mut rows = questions();
    rows.push(json!({"id": "gone", "image": "gone.png", "problem": "p", "answer": "x"}));
    let (dir, data) = data_folder(&rows);
    let out = dir.path().join("new.jsonl");
    let args = ["data", "convert", data.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let refused = run(args);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("gone.png") && refused.stderr.contains("--max-bad-share"),
        "{}",
        refused.stderr
    );
    assert!(!out.exists());
    // Images that were written already are gone too, and nothing is in the way of another try.
    let elsewhere = tempfile::tempdir().unwrap();
    let new = elsewhere.path().join("new.jsonl");
    let args_elsewhere = ["data", "convert", data.to_str().unwrap(), "--out", new.to_str().unwrap()];
    for share in ["0", "0.1"] {
        let refused = run(args_elsewhere.into_iter().chain(["--max-bad-share", share]));
        assert_eq!((refused.code, fs::read_dir(elsewhere.path()).unwrap().count()), (Some(2), 0));
    }
    run(args_elsewhere.into_iter().chain(["--max-bad-share", "0.2"])).ok();
    assert_eq!(fs::read_dir(elsewhere.path().join("new-images")).unwrap().count(), 4);
    assert_eq!(check(&new, &[])["usable"], 4);
    // A dry run ends where the run would.
    let dry = run(["train", recipe(&data).to_str().unwrap(), "--dry-run", "--set", "train.steps=1"]);
    assert_eq!(dry.code, Some(2), "{}", dry.stderr);
    assert!(dry.stderr.contains("data.max_bad_share") && dry.stderr.contains("gone.png"), "{}", dry.stderr);
    let done = run(args.into_iter().chain(["--max-bad-share", "0.2"])).ok();
    assert!(done.stderr.contains("4 rows written") && done.stderr.contains("1 left out"), "{}", done.stderr);
}

#[test]
fn a_check_of_what_holds_no_usable_row_says_so_and_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("empty.jsonl", ""),
        ("headless.csv", "wide.png,What?,3\nwide.png,Why?,4\n"),
        ("names.csv", "image,problem,answer\n"),
    ] {
        let file = dir.path().join(name);
        fs::write(&file, text).unwrap();
        let ran = run(["data", "check", file.to_str().unwrap(), "--json"]);
        assert_eq!((ran.code, &ran.json()["usable"]), (Some(2), &json!(0)), "{name}");
        assert!(ran.stderr.contains(name) && ran.stderr.contains("none that can be used"), "{}", ran.stderr);
    }
}

#[test]
fn what_evaluation_reads_of_a_row_is_kept_or_its_format_refused() {
    let labelled = json!({"image": "wide.png", "problem": "What? ", "answer": "3", "kind": "count", "triple": 7,
        "role": "prior", "wording": "fact", "wrong_answers": ["4", "5"]});
    let (dir, data) = data_folder(&[labelled]);
    let to = |data: &Path, name: &str, more: &[&str]| {
        let out = dir.path().join(name);
        let fixed = ["data", "convert", data.to_str().unwrap(), "--out", out.to_str().unwrap()];
        (run(fixed.iter().chain(more)), out)
    };
    let (ran, out) = to(&data, "rows-anew.jsonl", &[]);
    ran.ok();
    let line: Value = serde_json::from_str(&fs::read_to_string(out).unwrap()).unwrap();
    assert_eq!(
        (&line["kind"], &line["triple"], &line["role"]),
        (&json!("count"), &json!(7), &json!("prior"))
    );
    assert_eq!((&line["wording"], &line["wrong_answers"]), (&json!("fact"), &json!(["4", "5"])));
    let (ran, out) = to(&data, "rows.parquet", &[]);
    ran.refused(&["a row with a place in a prior suite", ".jsonl"]);
    assert!(!out.exists());

    let told = json!({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "<image>What?"},
        {"role": "assistant", "content": "3"}], "images": ["wide.png"], "kind": "count"});
    let (_told, data) = data_folder(&[told]);
    to(&data, "told.parquet", &["--image-root", dir.path().to_str().unwrap()]).0.refused(&["a system turn"]);
    let talk = json!({"image": "wide.png", "conversations": [
        {"from": "human", "value": "<image>What is it?"}, {"from": "gpt", "value": "A square."},
        {"from": "human", "value": "Its colour?"}, {"from": "gpt", "value": "teal"}]});
    let (_talk, data) = data_folder(&[talk]);
    let (ran, _) = to(&data, "talk.jsonl", &["--turns", "each"]);
    assert!(
        ran.ok()
            .stderr
            .contains("1 of them ask after earlier questions: read the file with data.turns = \"last\"")
    );
}

#[test]
fn links_to_pictures_are_followed_where_the_recipe_names_their_host_and_kept() {
    let picture = fs::read(image("wide.png")).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        // One answer: whoever asks again finds nobody.
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", picture.len())
            .unwrap();
        stream.write_all(&picture).unwrap();
    });
    let link = format!("http://{host}/wide.png");
    let row = |n: usize| json!({"image": link, "problem": format!("What? {n}"), "answer": "3"});
    let (dir, data) = data_folder(&(0..4).map(row).collect::<Vec<_>>());
    let refused = run(["data", "check", data.to_str().unwrap(), "--json"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let reason = &refused.json()["first_bad"][0]["reason"];
    assert!(reason.as_str().unwrap().contains("data.image_links"), "{reason}");

    let named = format!("data.image_links=[{host:?}]");
    let asked = |offline: &str, args: &[&str]| {
        let mut command = vigos();
        command.env("XDG_CACHE_HOME", dir.path().join("cache")).env("HF_HUB_OFFLINE", offline);
        ran(command.args(args).output().unwrap())
    };
    let look = ["data", "check", data.to_str().unwrap(), "--json", "--set", &named];
    let found = asked("0", &look).ok().json();
    assert_eq!((&found["usable"], &found["images"]["found"]), (&json!(4), &json!(4)), "{found}");
    server.join().unwrap();
    let recipe = recipe(&data);
    let args = ["train", recipe.to_str().unwrap(), "--run-dir", dir.path().join("run").to_str().unwrap()]
        .map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--set", &named]).collect();
    asked("1", &args).ok();
    let rows = dir.path().join("local/rows.jsonl");
    let (from, to) = (data.to_str().unwrap(), rows.to_str().unwrap());
    asked("1", &["data", "convert", from, "--out", to, "--set", &named]).ok();
    assert_eq!(check(&rows, &[])["usable"], 4);
}

#[test]
fn a_dry_run_shows_rows_prompts_a_rollout_and_an_estimate_and_writes_nothing() {
    let (dir, data) = data_folder(&questions());
    let recipe = recipe(&data);
    let run_dir = dir.path().join("run");
    let before = fs::read_dir(dir.path()).unwrap().count();
    let args = ["train", recipe.to_str().unwrap(), "--run-dir", run_dir.to_str().unwrap(), "--dry-run"];
    let shown = run(args).ok();
    for part in [
        "== rows\nlayout     rows",
        "4 usable",
        "== student: template student",
        "== perception on valid rollouts",
        "== reasoning on valid rollouts",
        "== reference on invalid rollouts",
        "== rollout\n",
        "verdict    ",
        "== estimate\ntried      2 samples",
        "time       at most about",
        "disk       about",
    ] {
        assert!(shown.stdout.contains(part), "no {part} in {}", shown.stdout);
    }
    assert!(shown.stderr.contains("memory: about"), "{}", shown.stderr);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), before);
}

#[test]
fn a_run_learns_from_the_last_question_of_a_conversation() {
    let talk = |n: usize| {
        json!({"image": "wide.png", "conversations": [
            {"from": "system", "value": "Be brief."}, {"from": "human", "value": "<image>What is it?"},
            {"from": "gpt", "value": "A square."}, {"from": "human", "value": format!("Its colour? {n}")},
            {"from": "gpt", "value": "teal"}]})
    };
    let (dir, data) = data_folder(&(0..4).map(talk).collect::<Vec<_>>());
    let recipe = recipe(&data);
    let refused = support::train(&recipe, &dir.path().join("refused"), &[]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("found 2 questions, wanted one exchange"), "{}", refused.stderr);
    support::train(&recipe, &dir.path().join("run"), &["--set", "data.turns=last"]).ok();
    let args = ["prompts", recipe.to_str().unwrap(), "--set", "data.turns=last", "--json"];
    let shown = run(args).ok().json();
    let text = |role: usize| shown["prompts"][role]["text"].as_str().unwrap().to_owned();
    // What was said before is shown with the question, and to nobody who does not see that.
    assert!(text(0).contains("Be brief.") && text(0).contains("A square."), "{}", text(0));
    assert!(!text(1).contains("Be brief.") && !text(1).contains("A square."), "{}", text(1));
    assert!(text(2).contains("A square.") && text(3).contains("A square."));
    let each = check(&data, &["--turns", "each"]);
    assert_eq!((&each["rows"], &each["usable"]), (&json!(8), &json!(8)));
}
