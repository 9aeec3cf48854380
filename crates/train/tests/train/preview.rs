//! The prompts of a row as `vigos prompts` shows them, against those that training uses.

use crate::support;

use std::fs;
use std::path::Path;
use support::{FAMILIES, folder_of, kit, root};
use vigos_data::{Dataset, Fields};
use vigos_processor::Processor;
use vigos_recipe::Recipe;
use vigos_recipe::prompts::Prompts;
use vigos_recipe::sample::{SampleMaker, UserTexts};
use vigos_rollout::RunError;
use vigos_rollout::preview::{Preview, preview};

fn recipe(family: &str, data: &Path, overrides: &[&str]) -> Recipe {
    let text = format!(
        "[model]\npath = {:?}\n[data]\npath = {:?}\n[train]\nsteps = 1\n",
        folder_of(family),
        data.display().to_string()
    );
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    Recipe::parse(&text, "test", &overrides).unwrap()
}

fn show(recipe: &Recipe, row: usize) -> Result<Preview, RunError> {
    preview(recipe, row, &kit(), &mut |_, _, _| {})
}

/// Two rows, the second with two images and an answer to be normalised.
fn data(folder: &Path) -> std::path::PathBuf {
    for name in ["wide.png", "tall.png"] {
        fs::copy(root().join("tests/fixtures/images").join(name), folder.join(name)).unwrap();
    }
    fs::write(folder.join("broken.png"), b"no image at all").unwrap();
    let path = folder.join("set.jsonl");
    let lines = [
        r#"{"id": "one", "image": "wide.png", "problem": "How many?", "answer": "3"}"#,
        r#"{"id": "two", "images": ["wide.png", "tall.png"], "problem": "Say {reference}.", "answer": "\\boxed{teal}"}"#,
        r#"{"id": "bad", "image": "broken.png", "problem": "What?", "answer": "no"}"#,
    ];
    fs::write(&path, lines.join("\n")).unwrap();
    path
}

#[test]
fn the_prompts_are_those_that_training_reads() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    for family in FAMILIES {
        let recipe = recipe(family, &data, &[]);
        let processor = Processor::from_dir(&folder_of(family)).unwrap();
        let prompts = Prompts::for_method(&recipe.method).unwrap();
        let maker = SampleMaker {
            processor: &processor,
            prompts: &prompts,
            method: &recipe.method,
            max_prompt_tokens: 4096,
            min_image_side: 0,
            max_image_pixels: u64::MAX,
        };
        let set = Dataset::open(&data, &Fields::default(), None).unwrap();
        for row in 0..2 {
            let sample =
                maker.make(row as u64, &set.load(row).unwrap().unwrap(), &UserTexts::new()).unwrap().unwrap();
            let shown = show(&recipe, row).unwrap();
            assert_eq!(shown.reference, sample.reference, "{family}");
            let names: Vec<&str> = shown.prompts.iter().map(|p| p.role.as_str()).collect();
            assert_eq!(names, ["student", "perception", "reasoning", "reference"], "{family}");
            let trained = std::iter::once(&sample.student).chain(&sample.teachers);
            for (shown, trained) in shown.prompts.iter().zip(trained) {
                assert_eq!(shown.tokens, trained.ids.len(), "{family} {}", shown.role);
                assert_eq!(shown.images.len(), row + 1, "{family} {}", shown.role);
                for (slot, trained) in shown.images.iter().zip(&trained.images) {
                    assert_eq!(slot.start, trained.start);
                    let image = processor.tokenizer().id("<|image_pad|>").unwrap();
                    assert!(sample.student.ids.contains(&image));
                }
            }
        }
    }
}

#[test]
fn each_reader_is_shown_what_its_context_lists_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let shown = show(&recipe(FAMILIES[0], &data, &[]), 1).unwrap();
    assert_eq!((shown.id.as_str(), shown.answer.as_str()), ("two", "\\boxed{teal}"));
    assert_eq!(shown.reference, "teal");
    assert!(shown.origin.ends_with("set.jsonl:2"), "{}", shown.origin);
    for prompt in &shown.prompts {
        let sees = |part: &str| prompt.text.contains(part);
        let (problem, reference) = match prompt.role.as_str() {
            "student" => (true, false),
            "perception" => (false, false),
            _ => (true, true),
        };
        assert_eq!(sees("Say {reference}."), problem, "{}: {}", prompt.role, prompt.text);
        assert_eq!(sees("teal"), reference, "{}: {}", prompt.role, prompt.text);
        assert!(prompt.text.ends_with("<description>"), "{}: {}", prompt.role, prompt.text);
        assert_eq!(prompt.text.matches("<|image_pad|>").count(), 2, "{}: {}", prompt.role, prompt.text);
        let tokens: usize = prompt.images.iter().map(|slot| slot.tokens).sum();
        assert_eq!(tokens, shown.images.iter().map(|image| image.tokens).sum::<usize>());
        assert!(prompt.tokens > tokens);
    }
}

#[test]
fn the_table_of_the_recipe_and_the_folder_of_the_user_decide() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let opsd = show(&recipe(FAMILIES[0], &data, &["method.preset=opsd"]), 0).unwrap();
    assert_eq!(opsd.prompts.len(), 2);
    assert_eq!((opsd.prompts[0].template.as_str(), opsd.prompts[0].when), ("plain", None));
    assert!(opsd.prompts[1].when.is_some());

    let own = folder.path().join("prompts");
    fs::create_dir(&own).unwrap();
    for name in ["student", "perception", "reasoning", "reference"] {
        let text = root().join(format!("configs/prompts/vigos/{name}.txt"));
        fs::copy(text, own.join(format!("{name}.txt"))).unwrap();
    }
    fs::write(own.join("student.txt"), "Look well: {problem}").unwrap();
    let set = format!("method.prompts={}", own.display());
    let mine = show(&recipe(FAMILIES[0], &data, &[&set]), 0).unwrap();
    assert!(mine.prompts[0].text.contains("Look well: How many?"), "{}", mine.prompts[0].text);

    fs::write(own.join("student.txt"), "{problem} It is {reference}.").unwrap();
    let error = show(&recipe(FAMILIES[0], &data, &[&set]), 0).unwrap_err().to_string();
    for part in ["student.txt", "`{reference}`", "the student"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn rows_that_training_leaves_out_are_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let recipe = |overrides: &[&str]| recipe(FAMILIES[0], &data, overrides);
    let error = show(&recipe(&[]), 2).unwrap_err();
    for part in ["set.jsonl:3", "`bad`", "broken.png"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(error.is_input());
    let error = show(&recipe(&["data.min_image_side=10000"]), 0).unwrap_err().to_string();
    assert!(error.contains("image side"), "{error}");
    let error = show(&recipe(&[]), 3).unwrap_err().to_string();
    assert!(error.contains("has 3 rows"), "{error}");
    let long = show(&recipe(&["train.max_prompt_tokens=20"]), 0).unwrap();
    assert!(long.skipped.unwrap().contains("the student prompt has"));
}
