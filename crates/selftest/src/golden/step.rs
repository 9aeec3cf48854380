//! One step on recorded rollouts.

use super::files::Family;
use burn::tensor::Device;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use vigos_recipe::Recipe;
use vigos_rollout::Kit;
use vigos_train::replay::replay;

/// Which of the recorded steps.
const FIDELITY: &str = "paper";
const CLIP: f64 = 0.5;
const CONFIGURATION: &str = "clip0.5";

/// Largest errors of a step.
pub(super) struct Found {
    /// Of the loss and of every token's divergence, relative to the largest.
    pub(super) loss: f64,
    /// Length of the gradients' difference over that of the gradients.
    pub(super) gradient: f64,
}

/// Runs the step below `folder`, which has the family's files.
///
/// # Errors
/// If it cannot be computed, or something is missing.
pub(super) fn run(family: &Family, folder: &Path, kit: &Kit, device: &Device) -> Result<Found, String> {
    let recorded: Value = serde_json::from_slice(family.result).map_err(said)?;
    let rollouts = folder.join("rollouts.jsonl");
    std::fs::write(&rollouts, lines(&recorded)?).map_err(said)?;
    let out = folder.join("step");
    replay(&recipe(folder)?, &rollouts, &out, kit, device, &mut |_: &str, _, _| {}).map_err(said)?;

    let found: Value = serde_json::from_slice(&read(&out.join("step.json"))?).map_err(said)?;
    let wanted = &recorded["fidelity"][FIDELITY]["configs"][CONFIGURATION];
    let loss = loss_error(&found, wanted)?;
    let gradient =
        gradient_error(&tensors(&read(&out.join("grads.safetensors"))?)?, &tensors(family.gradient)?);
    Ok(Found { loss, gradient })
}

fn said(error: impl Display) -> String {
    error.to_string()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The recorded completions as `vigos replay` reads them.
fn lines(recorded: &Value) -> Result<String, String> {
    let rows = recorded["rows"].as_array().ok_or("the recording has no rows")?;
    let line = |row: &Value| {
        let image = format!("images/{}", row["image"].as_str().unwrap_or_default());
        let line = json!({
            "id": row["name"], "image": image, "problem": row["problem"], "answer": row["answer"],
            "completion_token_ids": row["completion_ids"], "prompts": row["prompts"],
        });
        format!("{line}\n")
    };
    Ok(rows.iter().map(line).collect())
}

fn recipe(folder: &Path) -> Result<Recipe, String> {
    let text = format!(
        "[model]\npath = {:?}\nadapter = {:?}\n[data]\npath = \"unused.jsonl\"\n[method]\nfidelity = {FIDELITY:?}\n\
         clip = {CLIP:?}\n[lora]\nrank = 4\nalpha = 8\ndropout = 0.0\n[optim]\nlr = 1e-3\nschedule = \"constant\"\n\
         [train]\nsteps = 1\nprecision = \"f32\"\n",
        folder.join("model"),
        folder.join("adapter"),
    );
    Recipe::parse(&text, "the self-test", &[]).map_err(said)
}

/// Of the loss relative to itself, and of the divergence of each token relative to the largest.
fn loss_error(found: &Value, wanted: &Value) -> Result<f64, String> {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let total = number(&wanted["total"]);
    let mut worst = (number(&found["loss"]) - total).abs() / total;
    let rows = found["rows"].as_array().ok_or("the step has no rows")?;
    let wanted = wanted["token_kl"].as_array().ok_or("the recording has no divergences")?;
    let (mut pairs, mut largest) = (Vec::new(), f64::MIN_POSITIVE);
    for (row, wanted) in rows.iter().zip(wanted) {
        let mut of_teacher: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for token in row["tokens"].as_array().into_iter().flatten() {
            let teacher = token["teacher"].as_str().unwrap_or_default();
            of_teacher.entry(teacher).or_default().push(number(&token["kl"]));
        }
        for (teacher, values) in wanted.as_object().into_iter().flatten() {
            let found = of_teacher.remove(teacher.as_str()).unwrap_or_default();
            let values: Vec<f64> = values.as_array().into_iter().flatten().map(number).collect();
            if found.len() != values.len() {
                return Err(format!("{} tokens of {teacher}, wanted {}", found.len(), values.len()));
            }
            largest = values.iter().fold(largest, |largest, value| largest.max(*value));
            pairs.extend(found.into_iter().zip(values));
        }
    }
    if rows.len() != wanted.len() || pairs.is_empty() {
        return Err(format!("{} rows, wanted {}", rows.len(), wanted.len()));
    }
    // `max` would pass over what is not a number.
    for (found, wanted) in pairs {
        let error = (found - wanted).abs() / largest;
        worst = if error.is_finite() { worst.max(error) } else { f64::INFINITY };
    }
    Ok(worst)
}

/// The tensors of a file, which are f32.
fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Vec<f64>>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(said)?;
    let values = |data: &[u8]| {
        data.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    };
    Ok(file.iter().map(|(name, view)| (name.to_owned(), values(view.data()))).collect())
}

/// Length of the difference over that of what is wanted; not finite if a tensor is missing.
fn gradient_error(found: &BTreeMap<String, Vec<f64>>, wanted: &BTreeMap<String, Vec<f64>>) -> f64 {
    let same = |(a, b): (&Vec<f64>, &Vec<f64>)| a.len() == b.len();
    if !found.keys().eq(wanted.keys()) || !found.values().zip(wanted.values()).all(same) {
        return f64::INFINITY;
    }
    let pairs = || found.values().flatten().zip(wanted.values().flatten());
    let difference: f64 = pairs().map(|(f, w)| (f - w) * (f - w)).sum();
    (difference / pairs().map(|(_, w)| w * w).sum::<f64>()).sqrt()
}
