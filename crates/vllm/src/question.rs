//! A completion to ask for.

use crate::answer::Expected;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use serde_json::{Value, json};
use std::sync::Arc;
use vigos_core::random::{Key, Purpose, draws};
use vigos_processor::patches::unpatched;
use vigos_processor::{ImagePatches, Processor, Sequence};
use vigos_recipe::sample::Sample;
use vigos_rollout::base::Base;
use vigos_rollout::student::GenerationSettings;

/// A prompt as the server reads it.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    /// Its tokens here.
    own: Vec<u32>,
    /// The same with one token for each image: the server puts as many in its place as the image takes.
    sent: Vec<u32>,
    /// Its images, as data URLs.
    images: Vec<String>,
}

impl Prompt {
    /// That of a sample's student; nothing if an image of it is none of this model's.
    pub(crate) fn of(sample: &Sample, processor: &Processor) -> Option<Self> {
        let images = sample.images.iter().map(|image| data_url(image, processor));
        Some(Self {
            own: sample.student.ids.clone(),
            sent: one_token_an_image(&sample.student, processor),
            images: images.collect::<Option<_>>()?,
        })
    }
}

fn one_token_an_image(prompt: &Sequence, processor: &Processor) -> Vec<u32> {
    let merge = processor.image_config().merge_size as usize;
    let (mut ids, mut next) = (Vec::new(), 0);
    for slot in &prompt.images {
        ids.extend_from_slice(prompt.ids.get(next..slot.start).unwrap_or_default());
        ids.push(processor.image_token());
        next = slot.start + slot.grid.tokens(merge);
    }
    ids.extend_from_slice(prompt.ids.get(next..).unwrap_or_default());
    ids
}

/// The image as the vision tower sees it: already of a size that the server has nothing to scale.
fn data_url(image: &ImagePatches, processor: &Processor) -> Option<String> {
    let image = unpatched(image, processor.image_config())?;
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
        .write_image(&image, image.width(), image.height(), ExtendedColorType::Rgb8)
        .ok()?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(png)))
}

/// One completion of a prompt.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    prompt: Arc<Prompt>,
    /// How the server is to draw; its model is named when it is asked.
    sampling: Value,
    vocabulary: usize,
    stops: Vec<u32>,
    most: usize,
}

impl Question {
    /// The completion of the sample of this number in step `step`, drawn as `generation` says.
    pub(crate) fn new(
        prompt: Arc<Prompt>,
        base: &Base,
        generation: &GenerationSettings,
        step: u64,
        sample: u64,
    ) -> Self {
        let text = &base.model.architecture().text;
        let room = text.max_position_embeddings.saturating_sub(prompt.own.len());
        let most = room.min(generation.max_new_tokens).max(1);
        let key = Key { seed: generation.seed, step, sample, position: 0 };
        // A whole number of 63 bits is one for whoever reads it.
        let seed = draws(Purpose::Sampling, key).bits() >> 1;
        let draw = generation.sampling;
        let sampling = json!({
            "n": 1,
            "seed": seed,
            "temperature": draw.temperature,
            "top_k": if draw.top_k == 0 { -1 } else { i64::try_from(draw.top_k).unwrap_or(-1) },
            "top_p": draw.top_p,
            "min_p": draw.min_p,
            "repetition_penalty": draw.repetition_penalty,
            "presence_penalty": draw.presence_penalty,
            "frequency_penalty": draw.frequency_penalty,
            "max_tokens": most,
            "stop_token_ids": base.files.stops,
            // That of the token itself and of no other.
            "logprobs": 0,
            "skip_special_tokens": false,
        });
        Self { prompt, sampling, vocabulary: text.vocab_size, stops: base.files.stops.clone(), most }
    }

    /// The same, of the one token that is the most probable.
    pub(crate) fn first_token(mut self) -> Self {
        self.most = 1;
        self.sampling["max_tokens"] = json!(1);
        self.sampling["temperature"] = json!(0.0);
        self
    }

    /// Its text, to the model of this name.
    pub(crate) fn body(&self, adapter: &str) -> Vec<u8> {
        let parts: Vec<Value> =
            self.prompt.images.iter().map(|url| json!({"type": "image_url", "url": url})).collect();
        let mut body = json!({
            "model": adapter,
            "token_ids": self.prompt.sent,
            "sampling_params": self.sampling,
            // The prompt as it was read, to be held against ours.
            "return_token_ids": true,
        });
        if !parts.is_empty() {
            body["content_parts"] = json!(parts);
        }
        body.to_string().into_bytes()
    }

    /// What its answer has to be.
    pub(crate) fn expected<'a>(&'a self, adapter: &'a str) -> Expected<'a> {
        Expected {
            adapter,
            prompt: &self.prompt.own,
            vocabulary: self.vocabulary,
            stops: &self.stops,
            most: self.most,
        }
    }

    /// Most bytes of its answer: a number for each token of the prompt, and some hundred for each of the completion.
    pub(crate) fn longest_answer(&self) -> u64 {
        (1 << 16) + 32 * self.prompt.own.len() as u64 + 1024 * self.most as u64
    }
}
