//! Prompt templates: what they show to whom, and how a wrong one is refused.

use std::fs;

use proptest::prelude::*;
use vigos_recipe::context::{IMAGE, PROBLEM, REFERENCE};
use vigos_recipe::prompts::{PromptError, Prompts};
use vigos_recipe::{Context, Contexts, Preset, Recipe, Row};

use crate::{LEAST, root, set};

const ALL: [&str; 3] = [IMAGE, PROBLEM, REFERENCE];

fn context(names: &[&str]) -> Vec<Context> {
    names.iter().map(|name| Context::named(*name)).collect()
}

/// A folder with these templates.
fn folder(templates: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in templates {
        fs::write(folder.path().join(format!("{name}.txt")), text).unwrap();
    }
    folder
}

fn load(text: &str) -> Result<Prompts, PromptError> {
    Prompts::load(Some(folder(&[("t", text)]).path()))
}

#[test]
fn the_built_in_templates_show_each_reader_what_its_context_lists() {
    for preset in Preset::ALL {
        let preset = format!("method.preset={}", preset.name);
        let recipe = Recipe::parse(LEAST, "x", &set(&[&preset])).unwrap();
        let prompts = Prompts::for_method(&recipe.method).unwrap();
        let student = prompts.render(&recipe.method.student_prompt, "Which colour?", None).unwrap();
        assert!(student.contains("Which colour?") && student.contains("\\boxed{"), "{student}");
        for teacher in &recipe.method.teachers {
            let text = prompts.render(&teacher.prompt, "Which colour?", Some("teal")).unwrap();
            assert_eq!(text.contains("Which colour?"), teacher.sees(PROBLEM), "{text}");
            assert_eq!(text.contains("teal"), teacher.sees(REFERENCE), "{text}");
        }
    }
}

#[test]
fn the_perception_teacher_s_turn_has_no_text() {
    let prompts = Prompts::load(None).unwrap();
    assert_eq!(prompts.render("perception", "Which colour?", Some("teal")).unwrap(), "");
}

#[test]
fn the_prompts_name_the_parts_of_the_output_format() {
    let prompts = Prompts::load(None).unwrap();
    for name in ["student", "reference"] {
        let text = prompts.render(name, "q", Some("a")).unwrap();
        for part in ["<description>", "</description>", "<think>", "</think>", "\\boxed{"] {
            assert!(text.contains(part), "{name} lacks {part}");
        }
    }
    let reasoning = prompts.render("reasoning", "q", Some("a")).unwrap();
    assert!(reasoning.contains("<think>") && !reasoning.contains("description>"));
    assert!(reasoning.contains("=== Reference solution begins ===\na\n=== Reference solution ends ==="));
}

#[test]
fn the_folder_in_the_repository_is_what_is_built_in() {
    let files = Prompts::load(Some(&root().join("configs/prompts/vigos"))).unwrap();
    let built_in = Prompts::load(None).unwrap();
    for name in ["student", "perception", "reasoning", "reference", "plain", "plain_reference"] {
        let text = |prompts: &Prompts| prompts.render(name, "q", Some("a")).unwrap();
        assert_eq!(text(&files), text(&built_in), "{name}");
    }
}

#[test]
fn placeholders_inside_the_question_stay_as_they_are() {
    let prompts = load("Q: {problem} R: {reference}\n").unwrap();
    let text = prompts.render("t", "{reference} {problem} {other}", Some("{problem}")).unwrap();
    assert_eq!(text, "Q: {reference} {problem} {other} R: {problem}");
    let built_in = Prompts::load(None).unwrap();
    let text = built_in.render("student", "What does {reference} say?", Some("secret")).unwrap();
    assert!(text.contains("What does {reference} say?") && !text.contains("secret"));
}

#[test]
fn braces_that_are_no_placeholder_are_text() {
    for text in [
        "\\boxed{} { } {} {A} {a b} {\\frac{1}{2}} }{ {problem",
        "\\boxed{answer} \\text{word}",
        "{x1} {é}",
        "{",
        "",
    ] {
        assert_eq!(load(text).unwrap().render("t", "q", Some("a")).unwrap(), text);
    }
    assert_eq!(load("\\boxed{{problem}}").unwrap().render("t", "q", None).unwrap(), "\\boxed{q}");
}

#[test]
fn one_line_break_at_the_end_of_a_file_is_left_out() {
    for (text, expected) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("\n", ""), ("a ", "a ")] {
        assert_eq!(load(text).unwrap().render("t", "q", None).unwrap(), expected);
    }
}

#[test]
fn an_unknown_placeholder_is_refused_by_file_and_name() {
    let error = load("{problem} {refrence}").unwrap_err();
    assert!(matches!(error, PromptError::UnknownPlaceholder { .. }));
    let text = error.to_string();
    assert!(text.contains("t.txt: unknown placeholder `{refrence}`"), "{text}");
}

#[test]
fn a_placeholder_in_a_latex_command_s_braces_is_refused_as_ambiguous() {
    let error = load("\\boxed{reference}").unwrap_err();
    assert!(matches!(error, PromptError::AmbiguousPlaceholder { .. }));
    assert!(error.to_string().contains("write `{{reference}}`"), "{error}");
}

#[test]
fn a_template_must_name_exactly_what_its_reader_is_shown() {
    let prompts = Prompts::load(None).unwrap();
    prompts.check("x", "perception", &context(&[IMAGE])).unwrap();
    prompts.check("x", "reasoning", &context(&ALL)).unwrap();
    for (template, shown, placeholder) in [
        ("perception", &ALL[..], "{problem}"),
        ("reasoning", &ALL[..2], "{reference}"),
        ("student", &ALL[..], "{reference}"),
        ("student", &ALL[..1], "{problem}"),
    ] {
        let error = prompts.check("the reader", template, &context(shown)).unwrap_err();
        let PromptError::Context { placeholder: found, .. } = &error else { panic!("{error}") };
        assert_eq!(found, placeholder, "{error}");
        assert!(error.to_string().contains("the reader"), "{error}");
    }
}

#[test]
fn a_student_s_template_with_the_reference_in_it_is_refused() {
    let leaking = folder(&[("student", "{problem} {reference}")]);
    let prompts = format!("method.prompts={}", leaking.path().display());
    let recipe = Recipe::parse(LEAST, "x", &set(&[&prompts])).unwrap();
    let text = Prompts::for_method(&recipe.method).unwrap_err().to_string();
    assert!(text.contains("student.txt: found `{reference}` in the template"), "{text}");
    assert!(text.contains("the context of the student is [image, problem]"), "{text}");
}

#[test]
fn a_template_that_is_not_there_is_refused_with_those_that_are() {
    let folder = folder(&[("student", "{problem}"), ("reference", "{problem} {reference}")]);
    let prompts = format!("method.prompts={}", folder.path().display());
    let recipe = Recipe::parse(LEAST, "x", &set(&[&prompts])).unwrap();
    let text = Prompts::for_method(&recipe.method).unwrap_err().to_string();
    assert!(text.contains("no template `perception`, found `reference`, `student`"), "{text}");
}

#[test]
fn a_program_brings_contexts_of_its_own() {
    let folder = folder(&[("student", "{problem}"), ("hinted", "{problem} ({own:hint}) {reference}")]);
    let text = format!(
        "{LEAST}method.prompts = {:?}\n[[method.teacher]]\nname = \"t\"\nprompt = \"hinted\"\nwhen = \"always\"\n\
         context = [\"problem\", \"own:hint\", \"reference\"]\nspans = [\"completion\"]\n",
        folder.path()
    );
    let recipe = Recipe::parse(&text, "x", &[]).unwrap();
    let unknown = Prompts::for_method(&recipe.method).unwrap_err().to_string();
    assert!(unknown.contains("the context of the t teacher: found `own:hint`"), "{unknown}");
    let contexts = Contexts::default().with("hint", |row| format!("begins with {}", &row.answer[..1]));
    let prompts = Prompts::with_contexts(&recipe.method, contexts).unwrap();
    let row = Row {
        id: "1".into(),
        problem: "Which?".into(),
        answer: "teal".into(),
        before: Vec::new(),
        images: Vec::new(),
        origin: "f:1".into(),
        labels: Default::default(),
        demonstration: None,
    };
    assert_eq!(prompts.turn("hinted", &row, "blue").unwrap(), "Which? (begins with t) blue");
    let leaking = prompts.check("x", "hinted", &context(&ALL)).unwrap_err().to_string();
    assert!(leaking.contains("found `{own:hint}` in the template"), "{leaking}");
}

#[test]
fn a_teacher_that_is_not_run_needs_no_template() {
    let folder = folder(&[
        ("student", "{problem}"),
        ("reasoning", "{problem} {reference}"),
        ("reference", "{problem} {reference}"),
    ]);
    let prompts = format!("method.prompts={}", folder.path().display());
    let recipe = Recipe::parse(LEAST, "x", &set(&[&prompts, "method.preset=vigos-no-perception"])).unwrap();
    Prompts::for_method(&recipe.method).unwrap();
}

#[test]
fn a_reference_that_is_not_there_is_an_error_and_not_an_empty_text() {
    let prompts = Prompts::load(None).unwrap();
    assert!(matches!(prompts.render("reasoning", "q", None), Err(PromptError::NoText { .. })));
    assert!(matches!(prompts.render("nobody", "q", None), Err(PromptError::UnknownTemplate { .. })));
}

#[test]
fn a_folder_or_file_that_cannot_be_read_is_refused_by_name() {
    let folder = folder(&[]);
    let error = Prompts::load(Some(&folder.path().join("nowhere"))).unwrap_err();
    assert!(matches!(error, PromptError::Read { .. }) && error.to_string().contains("nowhere"), "{error}");
    fs::write(folder.path().join("t.txt"), [0xff, 0x00]).unwrap();
    let error = Prompts::load(Some(folder.path())).unwrap_err();
    assert!(error.to_string().contains("t.txt is not text"), "{error}");
}

proptest! {
    #[test]
    fn a_question_is_put_in_unchanged(problem in any::<String>(), reference in any::<String>()) {
        let text = load("<{problem}|{reference}>").unwrap().render("t", &problem, Some(&reference)).unwrap();
        prop_assert_eq!(text, format!("<{problem}|{reference}>"));
    }

    #[test]
    fn any_text_is_a_template_or_a_typed_error(text in "(\\{|\\}|\\\\|boxed|problem|reference|[a-z_ é]|\\PC){0,20}") {
        match load(&text) {
            Ok(prompts) => { prompts.render("t", "q", Some("a")).unwrap(); }
            Err(error) => prop_assert!(error.to_string().contains("t.txt")),
        }
    }
}
