//! The text and image side of a model that starts from nothing: a tokenizer trained on given texts, and the small
//! files that make a folder a Qwen-VL model's.
//!
//! The tokenizer cuts texts as Qwen's does, and then merges letters until every word of the texts is a token, or
//! the vocabulary is full. Every byte stays a token, so any text can be written. The tags of the output format
//! are single tokens, not special ones: they are text, and are found in completions as such.

use serde_json::{Map, Value, json};
use tokenizers::AddedToken;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::BpeTrainer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

/// What a chat template and an image need, in the order of their ids.
const SPECIAL: [&str; 8] = [
    PAD,
    "<|im_start|>",
    EOS,
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
];
const PAD: &str = "<|endoftext|>";
const EOS: &str = "<|im_end|>";
/// Delimiters of the output format.
const TAGS: [&str; 5] = ["<description>", "</description>", "<think>", "</think>", r"\boxed{"];
/// What the chat template writes besides special tokens.
const TEMPLATE_WORDS: [&str; 3] = ["system\n", "user\n", "assistant\n"];
/// A word of the texts becomes a token of its own if it is there this often.
const LEAST: u64 = 2;

const CHAT_TEMPLATE: &str = r"{% for message in messages %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}";

/// How Qwen2.5 cuts a text before letters are merged.
const CUTS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Why there is no tokenizer, or no folder around it.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The library refuses.
    #[error("the tokenizer cannot be trained: {0}")]
    Train(String),
    /// No text was given.
    #[error("there is no text to train a tokenizer on")]
    NoText,
    /// The vocabulary does not even hold every byte.
    #[error("a vocabulary of {found} tokens is too small, wanted {least} at least: every byte and every tag")]
    TooSmall {
        /// The size asked for.
        found: usize,
        /// The smallest that works.
        least: usize,
    },
    /// The model's configuration is not a JSON object.
    #[error("the model's configuration cannot be understood: {0}")]
    Config(String),
}

/// A tokenizer trained on texts.
#[derive(Debug, Clone)]
pub struct TrainedTokenizer {
    json: String,
    tokens: Vec<(String, u32)>,
    size: usize,
}

impl TrainedTokenizer {
    /// Trains a tokenizer with at most `size` tokens. The order of the texts does not matter.
    ///
    /// # Errors
    /// [`TrainingError`] for no text at all and for a vocabulary that is too small.
    pub fn train<S: AsRef<str>>(
        texts: impl IntoIterator<Item = S>,
        size: usize,
    ) -> Result<Self, TrainingError> {
        let failed = |error: tokenizers::Error| TrainingError::Train(error.to_string());
        let added = SPECIAL.len() + TAGS.len();
        let least = 256 + added;
        if size < least {
            return Err(TrainingError::TooSmall { found: size, least });
        }
        let trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(size - added)
            .min_frequency(LEAST)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let mut trainer = TrainerWrapper::BpeTrainer(trainer);
        let mut tokenizer =
            tokenizers::Tokenizer::from_bytes(skeleton().to_string().as_bytes()).map_err(failed)?;
        let mut any = false;
        let pieces: Vec<String> =
            texts.into_iter().inspect(|_| any = true).flat_map(|text| without_tags(text.as_ref())).collect();
        if !any {
            return Err(TrainingError::NoText);
        }
        // Often enough to count as words of the texts.
        let words = TEMPLATE_WORDS.into_iter().flat_map(|word| vec![word.to_owned(); LEAST as usize]);
        tokenizer.train(&mut trainer, pieces.into_iter().chain(words)).map_err(failed)?;
        let special = SPECIAL.map(|token| AddedToken::from(token, true).normalized(false));
        let tags = TAGS.map(|token| AddedToken::from(token, false).normalized(false));
        tokenizer.add_special_tokens(special).map_err(failed)?;
        tokenizer.add_tokens(tags).map_err(failed)?;
        let ids = SPECIAL.into_iter().chain(TAGS).map(|token| {
            let id = tokenizer.token_to_id(token);
            Ok((token.to_owned(), id.ok_or_else(|| TrainingError::Train(format!("{token} has no id")))?))
        });
        let tokens = ids.collect::<Result<_, _>>()?;
        let size = tokenizer.get_vocab_size(true);
        Ok(Self { json: tokenizer.to_string(true).map_err(failed)? + "\n", tokens, size })
    }

    /// Tokens of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.size
    }

    /// The content of `tokenizer.json`.
    pub fn tokenizer_json(&self) -> &str {
        &self.json
    }

    /// Every file of the model's folder but the weights, by name. `config` is the text of a `config.json`; its
    /// vocabulary and token ids become those of this tokenizer, everything else stays.
    ///
    /// # Errors
    /// [`TrainingError::Config`] if it is not a JSON object.
    pub fn files(&self, config: &str) -> Result<Vec<(&'static str, String)>, TrainingError> {
        let pretty = |value: &Value| format!("{value:#}\n");
        Ok(vec![
            ("tokenizer.json", self.json.clone()),
            ("tokenizer_config.json", pretty(&self.tokenizer_config())),
            ("chat_template.jinja", CHAT_TEMPLATE.to_owned()),
            ("preprocessor_config.json", pretty(&preprocessor_config())),
            (
                "generation_config.json",
                pretty(&json!({
                    "eos_token_id": [self.id(EOS), self.id(PAD)],
                    "pad_token_id": self.id(PAD),
                })),
            ),
            ("config.json", pretty(&self.fitted(config)?)),
        ])
    }

    fn id(&self, token: &str) -> Option<u32> {
        self.tokens.iter().find(|(name, _)| name == token).map(|(_, id)| *id)
    }

    /// The configuration with this tokenizer's numbers.
    fn fitted(&self, config: &str) -> Result<Value, TrainingError> {
        let malformed = |reason: String| TrainingError::Config(reason);
        let mut config: Value = serde_json::from_str(config).map_err(|e| malformed(e.to_string()))?;
        let root = config.as_object_mut().ok_or_else(|| malformed("it is no JSON object".into()))?;
        let numbers = [
            ("eos_token_id", self.id(EOS)),
            ("pad_token_id", self.id(PAD)),
            ("image_token_id", self.id("<|image_pad|>")),
            ("video_token_id", self.id("<|video_pad|>")),
            ("vision_start_token_id", self.id("<|vision_start|>")),
            ("vision_end_token_id", self.id("<|vision_end|>")),
        ];
        root.extend(numbers.map(|(key, id)| (key.to_owned(), json!(id))));
        // The older form keeps the language model's numbers at the top.
        let text = match root.contains_key("text_config") {
            true => root.get_mut("text_config").and_then(Value::as_object_mut),
            false => Some(root),
        };
        let text = text.ok_or_else(|| malformed("`text_config` is no JSON object".into()))?;
        text.insert("vocab_size".into(), json!(self.size));
        // What transformers would take instead are numbers beyond this vocabulary. A text begins as Qwen's do.
        for (key, token) in [("bos_token_id", PAD), ("eos_token_id", EOS), ("pad_token_id", PAD)] {
            text.insert(key.into(), json!(self.id(token)));
        }
        Ok(config)
    }

    fn tokenizer_config(&self) -> Value {
        let decoder: Map<String, Value> = self
            .tokens
            .iter()
            .map(|(token, id)| {
                let entry = json!({
                    "content": token,
                    "lstrip": false,
                    "normalized": false,
                    "rstrip": false,
                    "single_word": false,
                    "special": SPECIAL.contains(&token.as_str()),
                });
                (id.to_string(), entry)
            })
            .collect();
        json!({
            "add_prefix_space": false,
            "added_tokens_decoder": decoder,
            "bos_token": null,
            "clean_up_tokenization_spaces": false,
            "eos_token": EOS,
            "errors": "replace",
            "model_max_length": 2048,
            "pad_token": PAD,
            "processor_class": "Qwen2_5_VLProcessor",
            "split_special_tokens": false,
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": null,
        })
    }
}

/// The stretches of a text between tags and special tokens, which are tokens whatever surrounds them.
fn without_tags(text: &str) -> Vec<String> {
    let mut pieces = vec![text.to_owned()];
    for tag in SPECIAL.into_iter().chain(TAGS) {
        pieces = pieces.iter().flat_map(|piece| piece.split(tag).map(str::to_owned)).collect();
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// A byte-level BPE tokenizer without a vocabulary, its parts as in Qwen2.5.
fn skeleton() -> Value {
    let byte_level = |add_prefix_space: bool, use_regex: bool| {
        json!({
            "type": "ByteLevel",
            "add_prefix_space": add_prefix_space,
            "trim_offsets": false,
            "use_regex": use_regex,
        })
    };
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": { "type": "NFC" },
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                { "type": "Split", "pattern": { "Regex": CUTS }, "behavior": "Isolated", "invert": false },
                byte_level(false, false),
            ],
        },
        "post_processor": byte_level(false, false),
        "decoder": byte_level(false, false),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": {},
            "merges": [],
        },
    })
}

/// Images as the published models take them, but few pixels: up to a hundred tokens.
fn preprocessor_config() -> Value {
    json!({
        "do_convert_rgb": true,
        "do_normalize": true,
        "do_rescale": true,
        "do_resize": true,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "max_pixels": 78400,
        "merge_size": 2,
        "min_pixels": 3136,
        "patch_size": 14,
        "processor_class": "Qwen2_5_VLProcessor",
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "size": { "longest_edge": 78400, "shortest_edge": 3136 },
        "temporal_patch_size": 2,
    })
}
