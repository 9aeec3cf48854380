//! `vigos prompts` through the command.

use crate::support;

use support::{data_folder, questions, recipe, run};

#[test]
fn the_prompts_of_a_row_are_shown_as_text_and_as_json_without_any_weights() {
    let (_folder, data) = data_folder(&questions());
    let recipe = recipe(&data);
    let bare = support::copied_model();
    std::fs::remove_file(bare.path().join("model.safetensors")).unwrap();
    let model = format!("model.path={}", bare.path().display());
    let args = ["prompts", recipe.to_str().unwrap(), "--row", "2", "--set", &model];
    let shown = run(args.iter().copied().chain(["--json"])).ok().json();
    assert_eq!((shown["row"].as_u64(), shown["id"].as_str()), (Some(2), Some("3")));
    assert_eq!(shown["prompts"].as_array().unwrap().len(), 4);
    assert!(shown["skipped"].is_null());

    let text = run(args).ok().stdout;
    assert!(text.starts_with("row 2 (id `3`), "), "{text}");
    assert!(text.contains("problem    How many? 3\nanswer     3\n"), "{text}");
    let image = &shown["images"][0];
    let patches = format!("{} x {} patches, {} tokens", image["grid"][1], image["grid"][2], image["tokens"]);
    assert!(text.contains(&patches), "no {patches} in {text}");
    for prompt in shown["prompts"].as_array().unwrap() {
        let (role, template) = (prompt["role"].as_str().unwrap(), prompt["template"].as_str().unwrap());
        let rollouts = match prompt["when"].as_str() {
            None => String::new(),
            Some(when) => format!(" on {when} rollouts"),
        };
        let start = prompt["images"][0]["start"].as_u64().unwrap();
        let end = start + image["tokens"].as_u64().unwrap();
        let heading = format!(
            "== {role}{rollouts}: template {template}, {} tokens, image at {start}..{end}\n",
            prompt["tokens"]
        );
        assert!(text.contains(&heading), "no {heading} in {text}");
        assert!(text.contains(prompt["text"].as_str().unwrap().trim_end()), "{role}");
    }
}

#[test]
fn what_would_change_the_terminal_is_shown_and_in_json_as_it_is() {
    let problem = "Why \u{1b}]0;title\u{7} \u{202e}so?";
    let row = serde_json::json!({"image": "wide.png", "problem": problem, "answer": "3"});
    let (_folder, data) = data_folder(&[row]);
    let recipe = recipe(&data);
    let args = ["prompts", recipe.to_str().unwrap()];
    let text = run(args).ok().stdout;
    assert!(text.contains("Why ⟨U+001B⟩]0;title⟨U+0007⟩ ⟨U+202E⟩so?"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text}");
    assert_eq!(run(args.into_iter().chain(["--json"])).ok().json()["problem"], problem);
}
