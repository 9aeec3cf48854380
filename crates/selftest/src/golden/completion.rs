//! A greedy completion: prompt and image in, tokens out by the cache.

use super::files::Family;
use burn::tensor::{DType, Device};
use safetensors::SafeTensors;
use serde_json::Value;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::Path;
use vigos_models::source::Kept;
use vigos_processor::{DecodeLimits, Message, Part, Processor, decode};
use vigos_rollout::Kit;
use vigos_rollout::engine::{Engine, Request};
use vigos_rollout::sampler::Sampling;

/// Largest difference of a log-probability. Where a token is another one, what it had and what it should have had are both
/// the largest of their row: they are compared, and nothing behind them.
///
/// # Errors
/// If it cannot be computed, or something is missing.
pub(super) fn run(family: &Family, folder: &Path, kit: &Kit, device: &Device) -> Result<f64, String> {
    let recorded = SafeTensors::deserialize(family.completion).map_err(said)?;
    let column = |name: &str| recorded.tensor(name).map_err(said);
    let (ids, logprobs) = (column("greedy_ids")?, column("greedy_logprobs")?);
    let ids = ids.data().as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
    let logprobs =
        logprobs.data().as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
    let wanted: Vec<(i64, f64)> = ids.zip(logprobs).collect();

    let prompts: Value = serde_json::from_slice(family.prompts).map_err(said)?;
    let prompt = &prompts["rows"][0];
    let text = |key: &str| prompt[key].as_str().ok_or("the recording has no prompt");
    let model_folder = folder.join("model");
    let processor = Processor::from_dir(&model_folder).map_err(said)?;
    let image = folder.join("images").join(text("image")?);
    let image = decode::open(&image, &DecodeLimits::default()).map_err(said)?;
    let images = [processor.patches(&image).map_err(said)?];
    let message = Message::user(vec![Part::Image, Part::Text(text("text")?.to_owned())]);
    let prompt = processor.prompt(&[message], "", &[images[0].grid]).map_err(said)?.sequence;

    let model = kit.families.load(&model_folder, device, Kept::from(DType::F32)).map_err(said)?;
    let engine = Engine {
        model: model.as_ref(),
        adapter: None,
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        stops: &[],
        max_new_tokens: wanted.len(),
        rows: 1,
        seed: 0,
        step: 0,
    };
    let request = Request { prompt: &prompt, images: &images, sample: 0 };
    let found = engine.run(&[request], &mut |_| ControlFlow::Continue(())).map_err(said)?;
    let found = found.first().ok_or("no completion")?;
    if found.tokens.len() != wanted.len() || found.logprobs.len() != wanted.len() {
        return Err(format!("{} tokens, wanted {}", found.tokens.len(), wanted.len()));
    }
    let mut worst = 0.0f64;
    for ((token, logprob), (id, wanted)) in found.tokens.iter().zip(&found.logprobs).zip(wanted) {
        let error = (logprob - wanted).abs();
        worst = if error.is_finite() { worst.max(error) } else { f64::INFINITY };
        if i64::from(*token) != id {
            break;
        }
    }
    Ok(worst)
}

fn said(error: impl Display) -> String {
    error.to_string()
}
