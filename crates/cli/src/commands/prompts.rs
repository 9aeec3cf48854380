//! `vigos prompts`: what the student and the teachers read of one row of the data.

use crate::args::PromptsArgs;
use crate::error::CliError;
use crate::recipe;
use std::fmt::Write;
use vigos::kit;
use vigos_recipe::Recipe;
use vigos_recipe::When;
use vigos_rollout::preview::{Preview, PromptPreview, preview};
use vigos_terminal::output;
use vigos_terminal::progress::Transfer;

/// Runs the command. No weights are read.
///
/// # Errors
/// If the recipe, a template or the model's files are wrong, or there is no such row, or it cannot be used.
pub(crate) fn run(args: &PromptsArgs) -> Result<(), CliError> {
    let recipe: Recipe = recipe::load(&args.config, &args.overrides.set)?;
    let mut transfer = Transfer::default();
    let found = preview(&recipe, args.row, &kit(), &mut |file, bytes, size| transfer.set(file, bytes, size))?;
    transfer.finish();
    let written = if args.json { output::json(&found) } else { output::shown(text(&found).trim_end()) };
    Ok(written?)
}

pub(super) fn text(preview: &Preview) -> String {
    let Preview { row, id, origin, problem, answer, reference, images, prompts, skipped } = preview;
    // Writing to a string does not fail.
    let mut text = format!("row {row} (id `{id}`), {origin}\n");
    let _ = writeln!(text, "problem    {problem}");
    let _ = writeln!(text, "answer     {answer}");
    if answer != reference {
        let _ = writeln!(text, "reference  {reference}");
    }
    for (number, image) in images.iter().enumerate() {
        let [frames, rows, columns] = image.grid;
        let patches = match frames {
            1 => format!("{rows} x {columns} patches"),
            _ => format!("{frames} x {rows} x {columns} patches"),
        };
        let _ = writeln!(text, "image {:<4} {patches}, {} tokens", number + 1, image.tokens);
    }
    if let Some(reason) = skipped {
        let _ = writeln!(text, "left out   {reason}");
    }
    for prompt in prompts {
        let _ = writeln!(text, "\n== {}\n{}", heading(prompt), prompt.text);
    }
    text
}

/// Whose prompt it is, how long, and where its images are.
fn heading(prompt: &PromptPreview) -> String {
    let rollouts = match prompt.when {
        None => "",
        Some(When::Valid) => " on valid rollouts",
        Some(When::Invalid) => " on invalid rollouts",
        Some(When::Always) => " on every rollout",
    };
    let slots: Vec<String> =
        prompt.images.iter().map(|slot| format!("{}..{}", slot.start, slot.start + slot.tokens)).collect();
    let images = match slots.len() {
        0 => "no image".to_owned(),
        1 => format!("image at {}", slots.join(", ")),
        _ => format!("images at {}", slots.join(", ")),
    };
    format!("{}{rollouts}: template {}, {} tokens, {images}", prompt.role, prompt.template, prompt.tokens)
}
