//! Every preset at both fidelities, as a literal table.

use vigos_recipe::{Context, Fidelity, Method, Preset, Recipe, Teacher};

use crate::LEAST;

/// One teacher as a line: name, context, prompt, prefill, reads, spans, when, divergence, weight.
fn line(teacher: &Teacher) -> String {
    let context: Vec<&str> = teacher.context.iter().map(Context::name).collect();
    format!(
        "{} [{}] {} {:?} {:?} {:?} {:?} {:?} {}",
        teacher.name,
        context.join(", "),
        teacher.prompt,
        teacher.prefill,
        teacher.reads,
        teacher.spans,
        teacher.when,
        teacher.divergence,
        teacher.weight
    )
}

fn recipe(preset: &str, fidelity: &str) -> Recipe {
    let text = format!("{LEAST}method.preset = \"{preset}\"\nmethod.fidelity = \"{fidelity}\"\n");
    Recipe::parse(&text, "test.toml", &[]).unwrap()
}

fn assert_table(preset: &str, fidelity: &str, student: (&str, &str), lines: &[&str]) {
    let method = recipe(preset, fidelity).method;
    let table: Vec<String> = method.teachers.iter().map(line).collect();
    assert_eq!(table, lines, "{preset}, {fidelity}");
    assert_eq!((method.student_prompt.as_str(), method.student_prefill.as_str()), student, "{preset}");
}

const STUDENT: (&str, &str) = ("student", "<description>");

const PERCEPTION: &str =
    "perception [image] perception \"<description>\" Completion [Description] Valid Forward 1";
const REASONING: &str = "reasoning [image, problem, reference] reasoning \"<description>\" Completion \
                         [ReasoningAnswer] Valid Forward 1";
const PERCEPTION_RELEASED: &str =
    "perception [image] perception \"\" Completion [Description] Valid Forward 1";
const REASONING_RELEASED: &str = "reasoning [image, problem, reference] reasoning \"<think>\" Span \
                                  [ReasoningAnswer] Valid Forward 1";
const REFERENCE: &str = "reference [image, problem, reference] reference \"<description>\" Completion \
                         [Completion] Invalid Reverse 2";

#[test]
fn vigos_has_a_teacher_for_each_segment_and_one_for_broken_rollouts() {
    assert_table("vigos", "paper", STUDENT, &[PERCEPTION, REASONING, REFERENCE]);
    assert_table("vigos", "released", STUDENT, &[PERCEPTION_RELEASED, REASONING_RELEASED, REFERENCE]);
}

#[test]
fn opsd_has_a_plain_student_and_one_privileged_teacher_over_everything() {
    let teacher = "reference [image, problem, reference] plain_reference \"\" Completion [Completion] Always \
                   Forward 1";
    for fidelity in ["paper", "released"] {
        assert_table("opsd", fidelity, ("plain", ""), &[teacher]);
    }
}

#[test]
fn opsd_with_the_same_prompt_has_the_prompts_of_vigos() {
    let teacher = "reference [image, problem, reference] reference \"<description>\" Completion [Completion] \
                   Always Forward 1";
    for fidelity in ["paper", "released"] {
        assert_table("opsd-same-prompt", fidelity, STUDENT, &[teacher]);
    }
}

#[test]
fn a_loss_that_is_left_out_has_weight_zero_and_its_teacher_is_not_run() {
    let off = |line: &str| format!("{}0", line.strip_suffix('1').unwrap());
    for (fidelity, perception, reasoning) in
        [("paper", PERCEPTION, REASONING), ("released", PERCEPTION_RELEASED, REASONING_RELEASED)]
    {
        let without = [&off(perception), reasoning, REFERENCE];
        assert_table("vigos-no-perception", fidelity, STUDENT, &without);
        let without = [perception, &off(reasoning), REFERENCE];
        assert_table("vigos-no-reasoning", fidelity, STUDENT, &without);
    }
    let teachers = recipe("vigos-no-perception", "paper").method.teachers;
    assert_eq!(teachers.iter().map(Teacher::runs).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn the_fallback_divergence_can_be_forward() {
    let forward = REFERENCE.replace("Reverse", "Forward");
    assert_table("vigos-forward-reference", "paper", STUDENT, &[PERCEPTION, REASONING, &forward]);
    let released = [PERCEPTION_RELEASED, REASONING_RELEASED, &forward];
    assert_table("vigos-forward-reference", "released", STUDENT, &released);
}

#[test]
fn without_the_reference_teacher_the_other_two_supervise_all_of_an_invalid_rollout() {
    let reasoning_fallback = "reasoning [image, problem, reference] reasoning \"<description>\" Completion \
                              [Completion] Invalid Forward 1";
    let fallback =
        "perception [image] perception \"<description>\" Completion [Completion] Invalid Forward 1";
    let table = [PERCEPTION, REASONING, fallback, reasoning_fallback];
    assert_table("vigos-no-reference", "paper", STUDENT, &table);
    let fallback = "perception [image] perception \"\" Completion [Completion] Invalid Forward 1";
    let table = [PERCEPTION_RELEASED, REASONING_RELEASED, fallback, reasoning_fallback];
    assert_table("vigos-no-reference", "released", STUDENT, &table);
}

#[test]
fn every_preset_survives_being_written_out_and_read_again() {
    for preset in Preset::ALL {
        for fidelity in ["paper", "released"] {
            let before = recipe(preset.name, fidelity);
            assert_eq!(before.method.preset, preset.name);
            let text = before.to_toml().unwrap();
            let after = Recipe::parse(&text, "config.toml", &[]).unwrap();
            assert_eq!(before, after, "{text}");
            assert_eq!(text, after.to_toml().unwrap());
        }
    }
}

#[test]
fn a_preset_is_part_of_a_recipe_and_says_what_it_is() {
    for preset in Preset::ALL {
        assert!(preset.about().ends_with('.'), "{}", preset.name);
        for (fidelity, name) in [(Fidelity::Paper, "paper"), (Fidelity::Released, "released")] {
            // A preset written out at the end of a recipe is the method that its name stands for.
            let text = format!("{LEAST}{}", preset.text(fidelity))
                .replace("[method]", &format!("[method]\nfidelity = \"{name}\""));
            let written_out = Recipe::parse(&text, preset.name, &[]).unwrap();
            let named = recipe(preset.name, name);
            assert_eq!(written_out.method.teachers, named.method.teachers, "{}", preset.name);
            assert_eq!(written_out.method.student_prompt, named.method.student_prompt);
            assert_eq!(Method::of(preset, fidelity), named.method);
        }
    }
}

#[test]
fn a_written_out_table_replaces_the_preset_s() {
    let text = format!(
        "{LEAST}method.preset = \"vigos\"\n[[method.teacher]]\nname = \"blind\"\ncontext = [\"problem\"]\n\
         prompt = \"text_only\"\nspans = [\"completion\"]\nwhen = \"always\"\n"
    );
    let recipe = Recipe::parse(&text, "test.toml", &[]).unwrap();
    let lines: Vec<String> = recipe.method.teachers.iter().map(line).collect();
    let blind = "blind [problem] text_only \"<description>\" Completion [Completion] Always Forward 1";
    assert_eq!(lines, [blind]);
    assert_eq!(recipe.method.student_prompt, "student");
}
