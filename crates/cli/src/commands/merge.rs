//! `vigos merge`: an adapter merged into its base.

use crate::args::{MergeArgs, ModelArgs, Precision};
use crate::device::Choice;
use crate::error::CliError;
use crate::inference::{Opened, adapter_folder, base_folder};
use crate::unclaimed::unclaimed;
use burn::tensor::Device;
use std::path::Path;
use vigos::kit;
use vigos_models::Target;
use vigos_models::merge::merge;
use vigos_models::scoring::score_tokens;
use vigos_models::weights::Weights;
use vigos_processor::{ImagePatches, RgbImage};
use vigos_terminal::output::note;

/// What is scored before and after. The picture makes the vision tower take part.
const PROMPT: &str = "What is in the image? Describe it, then count from one to ten.";
const SIDE: u32 = 112;
const CHUNK: usize = 64;

/// Runs the command.
///
/// # Errors
/// If model and adapter do not belong together, the folder is taken or cannot be written, or the check fails.
pub(crate) fn run(args: &MergeArgs, device: &Choice) -> Result<(), CliError> {
    let device = device.open()?;
    unclaimed(&args.out)?;
    let (model, adapter) = (base_folder(&args.model)?, adapter_folder(&args.adapter)?);
    let config = kit().families.read(&model)?;
    let merged = merge(config.architecture(), &model, &adapter, &args.out, &device)?;
    note(&format!(
        "{} of {} tensors updated, model saved to {}",
        merged.updated,
        merged.tensors,
        args.out.display()
    ));
    if args.check { check(&model, &adapter, &args.out, &device) } else { Ok(()) }
}

/// Scores the prompt with base and adapter, and with the merged model in `out`.
fn check(model: &Path, adapter: &Path, out: &Path, device: &Device) -> Result<(), CliError> {
    let before = logprobs(model, Some(adapter), device)?;
    let after = logprobs(out, None, device)?;
    let difference = before.iter().zip(&after).map(|(b, a)| (b - a).abs()).fold(0.0, largest);
    let half = Weights::open(out)?.by_file().into_values().flatten().any(|t| t.bytes_per_value() < 4);
    // Weights stored in 16 bits are rounded once more by the merge.
    let bound = if half { 0.25 } else { 1e-3 };
    let found = format!(
        "check: log-probabilities of {} tokens differ by at most {difference:.1e} (bound {bound:.0e})",
        after.len()
    );
    // Not `>`: a NaN fails as well.
    if difference <= bound {
        note(&found);
        return Ok(());
    }
    Err(CliError::Failed(format!("{found}: the merged model is not base and adapter; do not use it")))
}

/// The larger of two; a NaN stays one.
fn largest(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// Log-probability of every token of the prompt but the first.
fn logprobs(model: &Path, adapter: Option<&Path>, device: &Device) -> Result<Vec<f64>, CliError> {
    let args = ModelArgs {
        model: model.to_owned(),
        adapter: adapter.map(Path::to_owned),
        precision: Precision::F32,
    };
    let opened = Opened::open(&args)?;
    let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let shade = |v: u32| u8::try_from(v * 2).unwrap_or(u8::MAX);
        [shade(x), shade(y), shade((x + y) / 2)].into()
    });
    let patches: ImagePatches = opened.patches("--check", Path::new("built-in picture"), &picture)?;
    let prompt = opened.prompt("--check", &[patches.grid], PROMPT, "", 0)?;
    let loaded = opened.load(device)?;
    let features = loaded.model.encode_images(&[&patches], loaded.adapter());
    let packed = loaded.model.pack(&[&prompt])?;
    let hidden = loaded.model.forward(&packed, &features, loaded.adapter(), &mut ());
    let targets: Vec<Target> = packed.targets(0, 1..prompt.ids.len()).collect();
    let scores = score_tokens(loaded.model.as_ref(), &hidden, &targets, CHUNK)?;
    Ok(scores.into_iter().map(|score| score.logprob).collect())
}
