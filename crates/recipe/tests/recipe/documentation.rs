//! The documentation and the schemas say what the structs say.

use vigos_recipe::experiment::Experiment;
use vigos_recipe::resume::{Run, free};
use vigos_recipe::sft::SftRecipe;
use vigos_recipe::{Recipe, RunRecipe, docs, schema};

use crate::root;

#[test]
fn the_documentation_and_the_schemas_are_those_of_the_structs() {
    let pages = docs::pages(&root(), docs::PARTS, docs::SCHEMAS).unwrap();
    assert_eq!(pages.len(), 6);
    assert!(pages.iter().any(|page| page.path.ends_with("docs/schema/train.json")));
    let behind = docs::behind(&root(), &pages);
    assert!(behind.is_empty(), "{behind:?} are behind: cargo xtask docs");
}

#[test]
fn every_key_says_what_it_is() {
    for (name, schema) in docs::SCHEMAS {
        for key in vigos_recipe::keys(&schema()) {
            assert!(key.doc.ends_with('.'), "{name}: {} has no documentation", key.name);
            assert!(!key.doc.contains('|'), "{name}: {} would break its table", key.name);
        }
    }
}

#[test]
fn a_schema_has_every_key_with_its_type_range_default_and_meaning() {
    let schema = schema::<Recipe>();
    let lr = &schema["properties"]["optim"]["properties"]["lr"];
    let expected = serde_json::json!({
        "description": "Learning rate at its highest.", "type": "number", "default": 5e-6, "exclusiveMinimum": 0
    });
    assert_eq!(lr, &expected);
    // Defaults that differ between recipes are those of the recipe.
    let sft = vigos_recipe::schema::<SftRecipe>();
    assert_eq!(sft["properties"]["optim"]["properties"]["lr"]["default"], 1e-5);
    assert_eq!(schema["properties"]["rollout"]["properties"]["top_p"]["default"], 0.95);
    assert_eq!(schema["properties"]["eval"]["properties"]["top_p"]["default"], 0.9);
    assert_eq!(schema["properties"]["model"]["required"], serde_json::json!(["path"]));
}

#[test]
fn what_may_change_on_resume_is_said_at_the_keys() {
    let sections = ["train.steps", "train.epochs", "checkpoint", "log", "report"];
    let images = ["data.image_links", "data.image_root", "data.max_image_pixels"];
    let free_of = |run| free::<Recipe>(run).into_iter().collect::<std::collections::BTreeSet<_>>();
    let set = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    // What a run may have been lost to, among others.
    let rescue = [
        "data.max_bad_share",
        "data.max_pixels",
        "train.fast_math",
        "train.max_lost_steps",
        "train.recompute",
    ];
    let trained =
        ["train.max_prompt_tokens", "train.tokens_per_micro_batch", "rollout.batch", "eval", "palr"];
    let server = ["rollout.url", "rollout.patience"];
    assert_eq!(free_of(Run::Train), set(&[&sections[..], &images, &rescue, &trained, &server].concat()));
    let keys = ["train.batch", "train.accumulate", "train.seed", "optim", "lora"];
    let freely = [
        "train.fast_math",
        "train.max_lost_steps",
        "train.recompute",
        "train.tokens_per_micro_batch",
        "train.normalise",
    ];
    let training = [&sections[..], &keys, &freely].concat();
    let eval =
        ["rollout", "palr", "data.max_bad_share", "eval.k", "eval.around", "eval.every", "eval.patience"];
    // How the judge is reached, and what it may cost; not what it is asked.
    let judge = [
        "eval.judge.attempts",
        "eval.judge.cache",
        "eval.judge.key",
        "eval.judge.max_calls",
        "eval.judge.max_spend",
        "eval.judge.price_read",
        "eval.judge.price_written",
        "eval.judge.timeout",
        "eval.judge.url",
    ];
    assert_eq!(free_of(Run::Eval), set(&[&training[..], &images, &eval, &judge].concat()));
    assert_eq!(free_of(Run::Palr), set(&[&training[..], &images[..], &["eval"]].concat()));
    let sft: std::collections::BTreeSet<String> = free::<SftRecipe>(Run::Sft).into_iter().collect();
    assert_eq!(
        sft,
        set(&[&sections[..], &images, &rescue, &["train.max_tokens", "train.tokens_per_micro_batch"]]
            .concat())
    );
}

#[test]
fn every_recipe_of_the_repository_names_its_schema_and_is_one() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("configs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        count += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let name = text.strip_prefix("#:schema ../docs/schema/").and_then(|rest| rest.split('.').next());
        match name.unwrap() {
            "train" => _ = Recipe::load(&path, &[]).unwrap(),
            "sft" => _ = SftRecipe::load(&path, &[]).unwrap(),
            "experiment" => _ = Experiment::load(&path, &[]).unwrap(),
            other => panic!("{}: {other}", path.display()),
        }
    }
    assert!(count >= 10, "{count}");
}
