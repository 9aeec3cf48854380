//! Files, defaults, overrides, and the documentation of them.

use std::path::{Path, PathBuf};

use vigos_recipe::{Divergence, Fidelity, Length, Precision, Recipe, RecipeError, Schedule, keys, schema};

use crate::{LEAST, root, set};

fn parse(overrides: &[&str]) -> Recipe {
    Recipe::parse(LEAST, "test.toml", &set(overrides)).unwrap()
}

#[test]
fn what_is_left_out_has_the_published_values() {
    let recipe = parse(&[]);
    assert_eq!(recipe.model.path, PathBuf::from("m"));
    assert_eq!(
        (recipe.model.adapter, recipe.data.rows.limit, recipe.data.rows.max_pixels),
        (None, None, None)
    );
    assert_eq!(recipe.data.fields.image, "image");
    assert_eq!(
        (recipe.method.temperature, recipe.method.clip, recipe.method.boundary_clip),
        (1.0, 0.05, 0.0)
    );
    assert_eq!((recipe.method.preset.as_str(), recipe.method.fidelity), ("vigos", Fidelity::Paper));
    let rollout = &recipe.rollout;
    let draws = &rollout.sampling;
    assert_eq!((draws.temperature, draws.top_k, draws.top_p, draws.min_p), (1.1, 20, 0.95, 0.0));
    assert_eq!((rollout.repetition_penalty, rollout.presence_penalty), (1.0, 0.0));
    assert_eq!((draws.max_new_tokens, draws.batch), (4096, 8));
    let draws = &recipe.eval.sampling;
    assert_eq!((draws.temperature, draws.top_k, draws.top_p, draws.min_p), (1.0, 20, 0.9, 0.0));
    assert_eq!((recipe.lora.rank, recipe.lora.alpha, recipe.lora.dropout), (64, 128.0, 0.05));
    assert_eq!(recipe.lora.targets.len(), 7);
    let optim = &recipe.optim;
    assert_eq!((optim.lr, optim.betas, optim.eps, optim.weight_decay), (5e-6, (0.9, 0.999), 1e-8, 0.0));
    assert_eq!((optim.schedule, optim.warmup_steps, optim.max_grad_norm), (Schedule::Linear, 0, 0.1));
    assert_eq!(recipe.train.batch * recipe.train.accumulate, 32);
    assert_eq!(recipe.train.max_prompt_tokens(128_000).unwrap(), 32_768);
}

#[test]
fn a_prompt_leaves_room_in_the_context_and_a_longer_one_than_that_cannot_be_asked_for() {
    let most = |set: &str, context| parse(&[set]).train.max_prompt_tokens(context);
    assert_eq!(most("train.max_prompt_tokens=0", 2048).unwrap(), 2047);
    assert_eq!(most("train.max_prompt_tokens=2048", 2048).unwrap(), 2047);
    assert_eq!(most("train.max_prompt_tokens=100", 2048).unwrap(), 100);
    let refused = most("train.max_prompt_tokens=2049", 2048).unwrap_err();
    assert_eq!((refused.key.as_str(), refused.found.as_str()), ("train.max_prompt_tokens", "2049"));
    assert!(refused.wanted.contains("at most the 2048"), "{}", refused.wanted);
}

#[test]
fn the_recipes_in_the_repository_can_be_loaded() {
    let published = Recipe::load(&root().join("configs/vigos-3b.toml"), &[]).unwrap();
    assert_eq!(published.train.precision, Precision::Bf16);
    assert_eq!(published.train.length, Length::Epochs(1.0));
    let weights: Vec<f64> = published.method.teachers.iter().map(|teacher| teacher.weight).collect();
    assert_eq!(weights, [1.0, 1.0, 2.0]);
    let first = Recipe::load(&root().join("configs/first-light.toml"), &[]).unwrap();
    assert_eq!(first.train.length, Length::Steps(8));
    let easy = Recipe::load(&root().join("configs/easy-vqa.toml"), &[]).unwrap();
    assert_eq!((easy.train.length, easy.method.clip), (Length::Steps(100), 0.0));
}

#[test]
fn an_override_replaces_a_key_and_the_last_one_wins() {
    let recipe = parse(&[
        "optim.lr=1e-5",
        "optim.lr = 2e-5",
        "optim.betas=[0.8, 0.9]",
        "lora.targets=[\"q_proj\"]",
        "data.fields.id=problem_id",
        "log.tensorboard=false",
        "lora.alpha=16",
    ]);
    assert_eq!(recipe.optim.lr, 2e-5);
    assert_eq!(recipe.optim.betas, (0.8, 0.9));
    assert_eq!(recipe.lora.targets, ["q_proj"]);
    assert_eq!(recipe.data.fields.id, "problem_id");
    assert!(!recipe.log.metrics.tensorboard);
    assert_eq!(recipe.lora.alpha, 16.0);
}

#[test]
fn an_override_of_a_text_needs_no_quotes_whatever_it_looks_like() {
    let recipe = parse(&["model.path=../models/a b", "data.split=2024", "model.adapter=true"]);
    assert_eq!(recipe.model.path, PathBuf::from("../models/a b"));
    assert_eq!(recipe.data.split.as_deref(), Some("2024"));
    assert_eq!(recipe.model.adapter, Some(PathBuf::from("true")));
    assert_eq!(parse(&["method.student_prefill='<description> '"]).method.student_prefill, "<description> ");
    assert_eq!(parse(&["data.path=a=b.jsonl"]).data.path, PathBuf::from("a=b.jsonl"));
}

#[test]
fn an_empty_override_takes_an_optional_value_away() {
    let text = format!("{LEAST}model.adapter = \"a\"\ndata.limit = 3\nmethod.prompts = \"p\"\n");
    let overrides = set(&["model.adapter=", "data.limit=0", "method.prompts="]);
    let recipe = Recipe::parse(&text, "test.toml", &overrides).unwrap();
    assert_eq!((recipe.model.adapter, recipe.data.rows.limit, recipe.method.prompts), (None, None, None));
}

#[test]
fn steps_and_epochs_displace_each_other() {
    assert_eq!(parse(&["train.steps=3"]).train.length, Length::Steps(3));
    assert_eq!(parse(&["train.steps=3", "train.epochs=2"]).train.length, Length::Epochs(2.0));
}

#[test]
fn epochs_are_counted_in_whole_steps() {
    let train = |overrides: &[&str]| parse(overrides).train;
    assert_eq!(train(&["train.epochs=2", "train.batch=2", "train.accumulate=3"]).total_steps(7), 3);
    assert_eq!(train(&["train.epochs=0.5", "train.batch=1", "train.accumulate=1"]).total_steps(4), 2);
    assert_eq!(train(&["train.epochs=1"]).total_steps(0), 0);
    assert_eq!(train(&["train.steps=9"]).total_steps(7), 9);
}

#[test]
fn the_teacher_table_can_be_overridden_as_a_whole() {
    let table = "method.teacher=[{name=\"t\", context=[\"image\"], prompt=\"p\", spans=[\"completion\"], \
                 when=\"always\", divergence=\"reverse\"}]";
    let recipe = parse(&[table]);
    assert_eq!(recipe.method.teachers.len(), 1);
    assert_eq!(recipe.method.teachers[0].divergence, Divergence::Reverse);
}

#[test]
fn another_preset_takes_the_place_of_the_one_in_an_effective_configuration() {
    let effective = parse(&[]).to_toml().unwrap();
    let changed = Recipe::parse(&effective, "config.toml", &set(&["method.preset=opsd"])).unwrap();
    assert_eq!(changed, parse(&["method.preset=opsd"]));
    let changed = Recipe::parse(&effective, "config.toml", &set(&["method.fidelity=released"])).unwrap();
    assert_eq!(changed, parse(&["method.fidelity=released"]));
}

#[test]
fn another_preset_does_not_silently_keep_a_table_of_one_s_own() {
    let own = parse(&[]).to_toml().unwrap().replace("weight = 2.0", "weight = 3.0");
    let error = Recipe::parse(&own, "config.toml", &set(&["method.preset=opsd"])).unwrap_err();
    assert!(matches!(error, RecipeError::Conflict { .. }), "{error}");
    let kept = Recipe::parse(&own, "config.toml", &set(&["method.fidelity=released"])).unwrap();
    assert_eq!(kept.method.fidelity, Fidelity::Released);
    assert_eq!(kept.method.teachers[2].weight, 3.0);
}

#[test]
fn the_effective_configuration_names_every_key() {
    let text = parse(&[]).to_toml().unwrap();
    let table: toml::Table = toml::from_str(&text).unwrap();
    let (of_teachers, others): (Vec<_>, Vec<_>) =
        keys(&schema::<Recipe>()).into_iter().partition(|key| key.name.starts_with("method.teacher."));
    assert!(others.len() > 60 && of_teachers.len() == 11);
    for key in others.iter().filter(|key| key.name != "train.steps") {
        let (sections, field) = key.name.rsplit_once('.').unwrap();
        let mut value = Some(&table);
        for section in sections.split('.') {
            value = value.and_then(|table| table.get(section)).and_then(toml::Value::as_table);
        }
        assert!(value.is_some_and(|table| table.contains_key(field)), "{} in\n{text}", key.name);
    }
    let teachers = table["method"]["teacher"].as_array().unwrap();
    for key in of_teachers {
        assert!(teachers.iter().all(|teacher| teacher.get(key.field()).is_some()), "{}", key.name);
    }
}

#[test]
fn a_file_that_is_not_there_or_is_no_text_is_refused_by_name() {
    let error = Recipe::load(Path::new("no/such/recipe.toml"), &[]).unwrap_err();
    assert!(matches!(error, RecipeError::Read { .. }));
    assert!(error.to_string().contains("no/such/recipe.toml"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Recipe::load(folder.path(), &[]), Err(RecipeError::Read { .. })));
    let file = folder.path().join("x.toml");
    std::fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    let error = Recipe::load(&file, &[]).unwrap_err().to_string();
    assert!(error.contains("x.toml") && error.contains("not text"), "{error}");
    std::fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
    assert!(matches!(Recipe::load(&file, &[]), Err(RecipeError::Read { .. })));
}
