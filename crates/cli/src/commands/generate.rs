//! `vigos generate`: completes one prompt.

use crate::args::{GenerateArgs, SamplingArgs};
use crate::device::{Choice, available_memory};
use crate::error::CliError;
use crate::inference::Opened;
use serde::Serialize;
use std::ops::ControlFlow;
use vigos_models::generation::stop_tokens;
use vigos_processor::ImagePatches;
use vigos_rollout::engine::{Engine, Finish, Request};
use vigos_rollout::sampler::{Sampling, SamplingError};
use vigos_terminal::memory::Outlook;
use vigos_terminal::output;
use vigos_terminal::progress::Counter;

/// What `--json` writes.
#[derive(Serialize)]
struct Output<'a> {
    prompt_token_ids: &'a [u32],
    token_ids: &'a [u32],
    logprobs: &'a [f64],
    text: String,
    finish_reason: Finish,
}

/// Runs the command. Images and prompt are checked before any weight is read.
///
/// # Errors
/// If the input is wrong or the device fails.
pub(crate) fn run(args: &GenerateArgs, device: &Choice) -> Result<(), CliError> {
    let sampling = sampling(&args.sampling)?;
    let device = device.open()?;
    let opened = Opened::open(&args.model)?;
    let stops = stop_tokens(opened.folder())?;
    let mut images = Vec::with_capacity(args.images.len());
    for path in &args.images {
        images.push(opened.image("--image", path)?);
    }
    let grids: Vec<_> = images.iter().map(|(_, grid)| *grid).collect();
    // There must be room for one token at least.
    let prompt = opened.prompt("--prompt", &grids, &args.prompt, &args.prefill, 1)?;
    let room = opened.architecture().text.max_position_embeddings - prompt.ids.len();
    let limit = args.max_new_tokens.min(room);
    if limit < args.max_new_tokens {
        tracing::warn!("the model has room for {room} tokens after the prompt, no more are generated");
    }

    let merge = opened.architecture().vision.spatial_merge_size;
    let patches: Vec<ImagePatches> = images
        .iter()
        .zip(&args.images)
        .map(|((image, _), path)| opened.patches("--image", path, image))
        .collect::<Result<_, _>>()?;
    let image_tokens = prompt.images.iter().map(|slot| slot.grid.tokens(merge)).sum();
    let estimate = opened.memory([prompt.ids.len(), image_tokens, limit], &device);
    let outlook = Outlook::new(estimate, available_memory(&device));
    tracing::info!("{}", outlook.summary());
    if outlook.fits == Some(false) {
        let way_out = "--precision bf16 halves the weights, a smaller image or --max-new-tokens the rest";
        tracing::warn!("this may take more memory than there is: {}; {way_out}", outlook.total());
    }
    let loaded = opened.load(&device)?;
    let engine = Engine {
        model: loaded.model.as_ref(),
        adapter: loaded.adapter(),
        sampling,
        stops: &stops,
        max_new_tokens: limit,
        rows: 1,
        seed: args.sampling.seed,
        step: 0,
    };
    let mut progress = Counter::new("tokens", limit);
    let completions =
        engine.run(&[Request { prompt: &prompt, images: &patches, sample: 0 }], &mut |drawn| {
            progress.set(drawn);
            ControlFlow::Continue(())
        })?;
    progress.finish();

    for completion in &completions {
        let text = opened.processor.tokenizer().decode(&completion.tokens, true);
        if !args.json {
            output::data(&text)?;
            continue;
        }
        let object = Output {
            prompt_token_ids: &prompt.ids,
            token_ids: &completion.tokens,
            logprobs: &completion.logprobs,
            text,
            finish_reason: completion.finish,
        };
        output::json(&object)?;
    }
    Ok(())
}

/// The settings, each in its range.
fn sampling(args: &SamplingArgs) -> Result<Sampling, CliError> {
    let sampling = Sampling {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        min_p: args.min_p,
        repetition_penalty: 1.0,
        presence_penalty: 0.0,
        frequency_penalty: 0.0,
    };
    match sampling.check() {
        Ok(()) => Ok(sampling),
        Err(SamplingError::Setting { key, found, wanted }) => {
            let flag = format!("--{}", key.replace('_', "-"));
            Err(CliError::input(flag, format!("found {found}, wanted {wanted}"), ""))
        }
        Err(other) => Err(CliError::input("sampling", other.to_string(), "")),
    }
}
