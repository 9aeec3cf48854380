//! Every way a recipe can be wrong, and what is said about it.

use proptest::prelude::*;
use vigos_recipe::sft::SftRecipe;
use vigos_recipe::{Recipe, RecipeError, RunRecipe, keys, schema};

use crate::{LEAST, set};

/// The error of the least recipe with more lines.
fn refused(lines: &str) -> RecipeError {
    Recipe::parse(&format!("{LEAST}{lines}"), "configs/x.toml", &[]).unwrap_err()
}

/// The error of the least recipe with overrides.
fn refused_set(overrides: &[&str]) -> RecipeError {
    Recipe::parse(LEAST, "configs/x.toml", &set(overrides)).unwrap_err()
}

fn message(lines: &str) -> String {
    refused(lines).to_string()
}

const TEACHER: &str = "[[method.teacher]]\nname = \"t\"\nprompt = \"p\"\n";

fn teacher(lines: &str) -> String {
    format!("{TEACHER}context = [\"image\"]\n{lines}")
}

#[test]
fn a_misspelt_key_is_refused_with_the_nearest_one() {
    let expected = "configs/x.toml:4:7: unknown key `optim.lrr`; did you mean `optim.lr`?";
    assert_eq!(message("optim.lrr = 1"), expected);
    for (lines, key, nearest) in [
        ("[optimm]\nlr = 1", "optimm", "optim"),
        ("lr = 1", "lr", "optim.lr"),
        ("rollout.rank = 1", "rollout.rank", "lora.rank"),
        ("data.fields.problm = 'q'", "data.fields.problm", "data.fields.problem"),
    ] {
        let RecipeError::UnknownKey { key: found, nearest: near, .. } = refused(lines) else {
            panic!("{lines}");
        };
        assert_eq!((found.as_str(), near.as_deref()), (key, Some(nearest)), "{lines}");
    }
}

#[test]
fn a_key_like_no_other_is_refused_with_those_of_its_section() {
    let text = message("checkpoint.zzzzzzzz = 1");
    assert_eq!(
        text,
        "configs/x.toml:4:12: unknown key `checkpoint.zzzzzzzz`; known here: `checkpoint.every`, `checkpoint.keep`"
    );
    assert!(message("qqqqqqqqqqqq = 1").contains("`model`, `data`, `method`"));
}

#[test]
fn a_fault_is_told_in_one_line_whatever_the_override_says() {
    for text in ["model.path\nx\"=1", "a\nb", "optim.lr='a\nb'", "optim.lr=\"\"\"a\nb\"\"\""] {
        let message = refused_set(&[text]).to_string();
        assert!(!message.contains('\n'), "{message:?}");
    }
}

#[test]
fn a_quoted_dotted_name_is_no_path_into_a_section() {
    let text = message("\"optim.lr\" = 1");
    assert!(text.starts_with("configs/x.toml:4:1: unknown key `\"optim.lr\"`"), "{text}");
    assert!(message("\"a\\u001b[31m\" = 1").contains("\\u{1b}"), "control characters are shown, not sent");
}

#[test]
fn a_misspelt_key_of_a_teacher_is_refused_with_its_place() {
    let text = message(&teacher("weigth = 1"));
    assert_eq!(
        text,
        "configs/x.toml:8:1: unknown key `method.teacher[0].weigth`; did you mean `method.teacher[0].weight`?"
    );
}

#[test]
fn a_message_points_to_where_the_value_is_written() {
    for (lines, place) in [
        ("[optim]\nlr = 0", "configs/x.toml:5:6: `optim.lr`"),
        ("[optim]\n lrr = 0", "configs/x.toml:5:2: unknown key `optim.lrr`"),
        ("rollout = { top_p = 2 }", "configs/x.toml:4:21: `rollout.top_p`"),
        (
            &teacher("spans = ['completion']\nwhen = 'valid'\nweight = -1"),
            "configs/x.toml:10:10: `method.teacher[0].weight`",
        ),
        (&teacher("when = 'valid'"), "configs/x.toml:4:1: `method.teacher[0].spans` is missing"),
        (
            &teacher("spans = ['description']\nwhen = 'always'"),
            "configs/x.toml:9:8: `method.teacher[0].when`",
        ),
    ] {
        let text = message(lines);
        assert!(text.starts_with(place), "{text}");
    }
    // What an override says instead is where the override is.
    let text = format!("{LEAST}{}", teacher("spans = ['completion']\nwhen = 'always'"));
    let set = set(&[
        "method.teacher=[{name='t', context=['image'], prompt='p', spans=['completion'], when='valid', weight=0}]",
    ]);
    let error = Recipe::parse(&text, "configs/x.toml", &set).unwrap_err().to_string();
    assert!(error.starts_with("--set: `method.teacher`: found no teacher"), "{error}");
}

#[test]
fn a_value_of_another_type_is_refused() {
    for (lines, expected) in [
        ("optim.lr = 'fast'", "`optim.lr`: found string \"fast\", wanted a number above 0"),
        ("train.batch = 2.0", "found float 2.0, wanted a whole number from 1 to 4096; write it as 2"),
        ("train.batch = '2'", "`train.batch`: found string \"2\", wanted a whole number"),
        ("log.tensorboard = 1", "`log.tensorboard`: found integer 1, wanted `true` or `false`"),
        ("optim.betas = 0.9", "`optim.betas`: found float 0.9, wanted a list of two numbers"),
        ("optim.betas = [0.9, '0.9']", "wanted a list of two numbers, each at least 0 and below 1"),
        ("lora.targets = 'q_proj'", "wanted a list of names"),
        ("lora.targets = [1]", "wanted a list of names"),
        ("optim = 3", "`optim`: found integer 3, wanted a table `[optim]`"),
        ("[[log]]\nevery = 1", "wanted a table `[log]`"),
        ("data.split = 2024-01-01", "`data.split`: found datetime"),
        ("[method.teacher]\nname = 't'", "write each one under a heading `[[method.teacher]]`"),
        ("method.teacher = [1]", "write each one under a heading `[[method.teacher]]`"),
    ] {
        let error = refused(lines);
        assert!(matches!(error, RecipeError::WrongType { .. }), "{lines}: {error:?}");
        let text = error.to_string();
        assert!(text.starts_with("configs/x.toml:") && text.contains(expected), "{lines}: {text}");
        assert!(!text.starts_with("configs/x.toml: "), "line and column are told: {text}");
    }
}

#[test]
fn a_value_that_the_key_does_not_take_is_refused() {
    for (lines, expected) in [
        ("optim.lr = 0", "`optim.lr`: found integer 0, wanted a number above 0"),
        ("optim.lr = nan", "found float nan"),
        ("optim.lr = inf", "found float inf"),
        ("rollout.top_p = 1.5", "found float 1.5, wanted a number above 0 and at most 1"),
        ("lora.dropout = 1", "wanted a number at least 0 and below 1"),
        ("train.batch = 0", "wanted a whole number from 1"),
        ("train.batch = 9223372036854775807", "wanted a whole number from 1 to 4096"),
        (
            "train.batch = 1000000000",
            "`train.batch`: found integer 1000000000, wanted a whole number from 1 to 4096",
        ),
        ("train.accumulate = 1000000000", "`train.accumulate`"),
        ("rollout.max_new_tokens = 1000000000", "`rollout.max_new_tokens`"),
        ("eval.max_new_tokens = 1000000000", "`eval.max_new_tokens`"),
        ("rollout.batch = 1000000", "`rollout.batch`"),
        ("eval.batch = 1000000", "`eval.batch`"),
        ("lora.rank = 1000000000", "`lora.rank`"),
        ("train.seed = -1", "wanted a whole number, at least 0"),
        ("optim.betas = [0.9]", "wanted a list of two numbers"),
        ("optim.betas = [0.9, 1.0]", "each at least 0 and below 1"),
        ("optim.schedule = 'linaer'", "did you mean \"linear\"?"),
        ("train.precision = 'fp16'", "wanted one of \"f32\", \"bf16\""),
        ("method.preset = 'vigo'", "did you mean \"vigos\"?"),
        ("method.student_prompt = '../../etc/passwd'", "wanted a name of letters, digits"),
        ("lora.targets = []", "name at least one"),
        ("lora.targets = ['a', 'a']", "\"a\" is there twice"),
        ("lora.targets = ['a.*']", "each is a name of letters, digits"),
        ("data.fields.id = ''", "wanted text that is not empty"),
        ("method.teacher = [{ divergence = 'revers' }]", "did you mean \"reverse\"?"),
        (
            "method.teacher = [{ divergence = 'own:a b' }]",
            "wanted one of \"forward\", \"reverse\", \"jsd\", or `own:NAME`",
        ),
        ("method.teacher = [{ context = ['answer_key'] }]", "each is \"image\", \"problem\", \"reference\""),
    ] {
        let error = refused(lines);
        assert!(matches!(error, RecipeError::OutOfRange { .. }), "{lines}: {error:?}");
        let text = error.to_string();
        assert!(text.starts_with("configs/x.toml:") && text.contains(expected), "{lines}: {text}");
        assert!(!text.starts_with("configs/x.toml: "), "line and column are told: {text}");
    }
    let text = message(&format!("{TEACHER}context = ['image', 'imgae']"));
    assert!(
        text.contains("`method.teacher[0].context`") && text.contains("wanted a list of some of"),
        "{text}"
    );
}

#[test]
fn a_missing_key_is_named() {
    for (text, key) in [
        ("data.path = 'd'\ntrain.steps = 1", "model.path"),
        ("model.path = 'm'\ntrain.steps = 1", "data.path"),
        ("model.path = 'm'\ndata.path = 'd'", "train.steps"),
        ("", "model.path"),
    ] {
        let error = Recipe::parse(text, "configs/x.toml", &[]).unwrap_err();
        let RecipeError::Missing { key: found, .. } = &error else { panic!("{error:?}") };
        assert_eq!(found, key);
    }
    let error = refused(TEACHER);
    assert!(error.to_string().contains("`method.teacher[0].context` is missing"), "{error}");
}

#[test]
fn steps_and_epochs_in_one_file_are_refused() {
    let error = refused("train.steps = 1");
    assert!(matches!(error, RecipeError::Conflict { .. }));
    assert_eq!(
        error.to_string(),
        "configs/x.toml:4:15: `train.steps`: found `train.epochs` as well, wanted one of the two"
    );
}

#[test]
fn sizes_that_are_too_large_together_are_refused() {
    for (lines, key) in [
        ("train.batch = 4096\ntrain.accumulate = 4096", "train.accumulate"),
        ("rollout.batch = 4096\nrollout.max_new_tokens = 1_000_000", "rollout.max_new_tokens"),
        ("eval.batch = 4096\neval.max_new_tokens = 1_000_000", "eval.max_new_tokens"),
    ] {
        let error = refused(lines);
        let RecipeError::Conflict { key: found, .. } = &error else { panic!("{lines}: {error:?}") };
        assert_eq!(found, key, "{error}");
    }
    let text = format!("{LEAST}train.batch = 4096\ntrain.accumulate = 4096");
    let error = SftRecipe::parse(&text, "configs/x.toml", &[]).unwrap_err();
    assert!(error.to_string().contains("16777216 samples in a step, wanted at most 65536"), "{error}");
}

#[test]
fn a_server_without_an_address_and_an_address_that_nobody_asks_are_refused() {
    for (lines, found) in [
        ("rollout.engine = 'vllm'", "found nothing"),
        ("rollout.engine = 'vllm'\nrollout.url = 'localhost:8000'", "found localhost:8000"),
        ("rollout.url = 'http://127.0.0.1:8000'", "rollout.engine = \"own\""),
    ] {
        let told = message(lines);
        assert!(told.contains("`rollout.url`") && told.contains(found), "{told}");
    }
    let lines = "rollout.engine = 'vllm'\nrollout.url = 'https://gpu.example:8000'";
    Recipe::parse(&format!("{LEAST}{lines}"), "configs/x.toml", &[]).unwrap();
    assert!(message("rollout.engine = 'sglang'").contains("`rollout.engine`"));
}

#[test]
fn a_teacher_table_that_contradicts_itself_is_refused() {
    let whole = "spans = [\"completion\"]\n";
    let more = |lines: &str| format!("{}{}", teacher(&format!("{whole}when = \"valid\"\n")), teacher(lines));
    for (lines, key) in [
        ("method.teacher = []".to_owned(), "method.teacher"),
        (teacher(&format!("{whole}when = \"always\"\nweight = 0")), "method.teacher"),
        (teacher("spans = [\"completion\", \"description\"]\nwhen = \"valid\""), "method.teacher[0].spans"),
        (teacher("spans = [\"description\"]\nwhen = \"always\""), "method.teacher[0].when"),
        (teacher("spans = [\"description\"]\nwhen = \"invalid\""), "method.teacher[0].when"),
        (teacher(&format!("{whole}when = \"always\"\nreads = \"span\"")), "method.teacher[0].reads"),
        (
            teacher("spans = [\"description\", \"reasoning_answer\"]\nwhen = \"valid\"\nreads = \"span\""),
            "method.teacher[0].reads",
        ),
        (
            format!("method.student_prefill = \"\"\n{}", teacher(&format!("{whole}when = \"invalid\""))),
            "method.teacher[0].when",
        ),
        (more(&format!("{whole}when = \"invalid\"\nweight = 2")), "method.teacher[1].weight"),
        (more(&format!("{whole}when = \"valid\"")), "method.teacher[1].name"),
        (more(&format!("{whole}when = \"always\"")), "method.teacher[1].name"),
    ] {
        let error = refused(&lines);
        let RecipeError::Conflict { key: found, .. } = &error else { panic!("{lines}: {error:?}") };
        assert_eq!(found, key, "{error}");
    }
}

#[test]
fn text_that_is_no_toml_is_refused_with_line_and_column() {
    let error = Recipe::parse("model.path = 'm'\noptim.lr = = 3\n", "configs/x.toml", &[]).unwrap_err();
    let RecipeError::Syntax { line, column, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*line, *column), (2, 12));
    assert!(error.to_string().starts_with("configs/x.toml:2:12: "), "{error}");
    for text in ["a = 1\na = 2", "[model", "= 3", "x", "model.path = 'é\n'"] {
        let error = Recipe::parse(text, "x", &[]).unwrap_err();
        assert!(matches!(error, RecipeError::Syntax { .. }), "{text}: {error}");
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for open in ["[", "{a="] {
        let error = Recipe::parse(&format!("a = {}", open.repeat(100_000)), "x", &[]).unwrap_err();
        assert!(matches!(error, RecipeError::Syntax { .. }), "{error}");
    }
}

#[test]
fn an_override_that_cannot_be_applied_is_refused() {
    for text in ["optim.lr", "", "=3", " = 3"] {
        assert!(matches!(refused_set(&[text]), RecipeError::Override { .. }), "{text}");
    }
    let unknown = |text: &str| match refused_set(&[text]) {
        RecipeError::UnknownKey { origin, nearest, .. } => (origin, nearest),
        other => panic!("{text}: {other}"),
    };
    assert_eq!(unknown("optim.lrr=3"), ("--set".to_owned(), Some("optim.lr".to_owned())));
    assert_eq!(unknown("lr=3").1.as_deref(), Some("optim.lr"));
    assert_eq!(unknown("optim={lr=1}").1, None);
    let text = refused_set(&["method.teacher.0.weight=3"]).to_string();
    assert!(text.contains("set as a whole"), "{text}");
    let text = refused_set(&["optim.lr=fast"]).to_string();
    assert_eq!(text, "--set: `optim.lr`: found string \"fast\", wanted a number above 0");
    assert!(matches!(refused_set(&["train.batch=1\nsteps=2"]), RecipeError::WrongType { .. }));
    assert!(matches!(refused_set(&["train.batch=0"]), RecipeError::OutOfRange { .. }));
}

/// Text made of the pieces that recipes are made of, in any order.
fn toml_like() -> impl Strategy<Value = String> {
    let keys: Vec<String> = keys(&schema::<Recipe>()).into_iter().map(|key| key.name).collect();
    let piece = prop_oneof![
        prop::sample::select(keys),
        prop::sample::select(vec![
            "[",
            "]",
            "[[method.teacher]]",
            "{",
            "}",
            "=",
            " = ",
            "\n",
            "\n",
            ",",
            "\"",
            "'",
            "#",
            ".",
            "1",
            "-1",
            "0.5",
            "1e400",
            "nan",
            "true",
            "\"image\"",
            "[\"completion\"]",
            "name",
            "context",
            "spans",
            "when",
            "weight",
            "\u{1f4f7}",
            "\u{0}",
            "\r",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A value of any type.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| toml::Value::from(number).to_string()),
        any::<String>().prop_map(|text| toml::Value::from(text).to_string()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        prop::collection::vec(any::<f64>(), 0..3).prop_map(|numbers| toml::Value::from(numbers).to_string()),
        Just("{ a = 1 }".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_text_is_a_recipe_or_a_typed_error(text in toml_like(), more in any::<String>()) {
        for text in [&text, &more, &format!("{LEAST}{text}")] {
            if let Err(error) = Recipe::parse(text, "x", &[]) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn any_override_is_applied_or_refused(text in toml_like(), key in any::<prop::sample::Index>(), value in value()) {
        let keys = keys(&schema::<Recipe>());
        let named = format!("{}={value}", key.get(&keys).name);
        for text in [text, named] {
            match Recipe::parse(LEAST, "x", &[text]) {
                Err(error) => prop_assert!(!error.to_string().is_empty()),
                Ok(recipe) => {
                    let written = recipe.to_toml().unwrap();
                    prop_assert_eq!(Recipe::parse(&written, "x", &[]).unwrap(), recipe);
                }
            }
        }
    }
}
