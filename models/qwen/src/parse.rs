//! `config.json` of a checkpoint, in both forms that the hub has.
//!
//! The nested form keeps the language model under `text_config`; the older flat form of Qwen2.5-VL has the
//! same keys at the top level. Everything is checked here.

use crate::config::{Config, MropeLayout, QwenFamily, TextConfig, TowerStyle, VisionConfig};
use serde_json::Value;
use std::path::Path;
use vigos_core::keys::{KeyError, Keys};
use vigos_models::{ConfigFile, ModelError};

/// The id that both families have for the image placeholder where a file does not say.
const IMAGE_TOKEN: u64 = 151_655;
/// Names of the rotary settings, the one that counts first.
const ROPE: [&str; 2] = ["rope_scaling", "rope_parameters"];
const ROPE_TYPES: [&str; 2] = ["default", "mrope"];
const SECTIONS: &str = "three numbers, here or under rope_parameters";

/// The parts of the file. Rotary settings moved between releases: beside `rope_theta`, or in one of two objects.
struct Parts<'a> {
    root: Keys<'a>,
    /// The same as `root` in the older form.
    text: Keys<'a>,
    vision: Keys<'a>,
    rope: Keys<'a>,
}

impl Config {
    /// Reads and checks `config.json` in `folder`.
    ///
    /// # Errors
    /// If the file is missing, is not JSON, lacks a key, names an unsupported family or activation, or holds
    /// numbers that no model can have.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        Self::parse(&ConfigFile::of_folder(folder)?)
    }

    /// Checks and understands a `config.json`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(file: &ConfigFile) -> Result<Self, ModelError> {
        match QwenFamily::named(file.model_type()) {
            Some(family) => Self::of_family(family, file),
            None => Err(file.unknown_family(QwenFamily::ALL.map(QwenFamily::model_type))),
        }
    }

    /// The same, whatever family the file names.
    pub(crate) fn of_family(family: QwenFamily, file: &ConfigFile) -> Result<Self, ModelError> {
        let parts = Parts::of(file.keys()?)?;
        parts.are_supported(family)?;
        let mut config = Self {
            family,
            text: parts.text(family)?,
            vision: parts.vision()?,
            tie_word_embeddings: parts.is_tied()?,
            image_token_id: parts.image_token()?,
            initializer_range: parts.initializer_range()?,
        };
        family.complete(&mut config.text, &mut config.vision);
        match config.fault() {
            Some((key, found, wanted)) => Err(parts.fault(key, &found, wanted).into()),
            None => Ok(config),
        }
    }

    /// The first number that no model can have: (key, found, wanted).
    fn fault(&self) -> Option<(&'static str, String, String)> {
        let (t, v) = (&self.text, &self.vision);
        // Far above any published model, and low enough that no shape below can overflow.
        let sizes = [
            ("vocab_size", t.vocab_size, 1 << 24),
            ("hidden_size", t.hidden_size, 1 << 20),
            ("intermediate_size", t.intermediate_size, 1 << 22),
            ("num_hidden_layers", t.num_hidden_layers, 1000),
            ("num_attention_heads", t.num_attention_heads, 1 << 12),
            ("num_key_value_heads", t.num_key_value_heads, 1 << 12),
            ("head_dim", t.head_dim, 1 << 12),
            ("max_position_embeddings", t.max_position_embeddings, 1 << 30),
            ("vision_config.depth", v.depth, 1000),
            ("vision_config.hidden_size", v.hidden_size, 1 << 20),
            ("vision_config.intermediate_size", v.intermediate_size, 1 << 22),
            ("vision_config.num_heads", v.num_heads, 1 << 12),
            ("vision_config.in_channels", v.in_channels, 1 << 6),
            ("vision_config.patch_size", v.patch_size, 1 << 10),
            ("vision_config.temporal_patch_size", v.temporal_patch_size, 1 << 6),
            ("vision_config.spatial_merge_size", v.spatial_merge_size, 1 << 4),
        ];
        let optional = [
            ("vision_config.window_size", v.window_size, 1 << 20),
            ("vision_config.num_position_embeddings", v.num_position_embeddings, 1 << 20),
        ];
        let optional = optional.into_iter().filter_map(|(key, n, most)| Some((key, n?, most)));
        if let Some((key, n, most)) =
            sizes.into_iter().chain(optional).find(|(_, n, most)| !(1..=*most).contains(n))
        {
            return Some((key, n.to_string(), format!("a number from 1 to {most}")));
        }
        let rules: [(bool, &'static str, String, &'static str); 10] = [
            (
                t.num_attention_heads.is_multiple_of(t.num_key_value_heads),
                "num_key_value_heads",
                t.num_key_value_heads.to_string(),
                "a divisor of num_attention_heads",
            ),
            (
                t.mrope_section.iter().map(|n| n.saturating_mul(2)).fold(0, usize::saturating_add)
                    == t.head_dim,
                "rope_scaling.mrope_section",
                format!("{:?}", t.mrope_section),
                "three numbers whose sum is half of head_dim",
            ),
            (
                v.hidden_size.is_multiple_of(4 * v.num_heads),
                "vision_config.num_heads",
                v.num_heads.to_string(),
                "a quarter of hidden_size divides by it",
            ),
            (
                v.out_hidden_size == t.hidden_size,
                "vision_config.out_hidden_size",
                v.out_hidden_size.to_string(),
                "the language model's hidden_size",
            ),
            (
                v.window_size.is_none_or(|n| n >= v.patch_size * v.spatial_merge_size),
                "vision_config.window_size",
                v.window_size.unwrap_or_default().to_string(),
                "at least patch_size times spatial_merge_size",
            ),
            (
                v.num_position_embeddings.is_none_or(|n| n.isqrt().pow(2) == n),
                "vision_config.num_position_embeddings",
                v.num_position_embeddings.unwrap_or_default().to_string(),
                "the square of a grid's side",
            ),
            (
                v.deepstack_visual_indexes.is_sorted_by(|a, b| a < b)
                    && v.deepstack_visual_indexes.last().is_none_or(|last| *last < v.depth)
                    && v.deepstack_visual_indexes.len() <= t.num_hidden_layers,
                "vision_config.deepstack_visual_indexes",
                format!("{:?}", v.deepstack_visual_indexes),
                "ascending numbers of vision blocks, at most one for each decoder layer",
            ),
            (
                t.rms_norm_eps.is_finite() && t.rms_norm_eps > 0.0,
                "rms_norm_eps",
                t.rms_norm_eps.to_string(),
                "a small positive number",
            ),
            (
                (t.rope_theta as f32).is_finite() && t.rope_theta > 1.0,
                "rope_theta",
                t.rope_theta.to_string(),
                "a number above 1 that f32 has",
            ),
            (
                v.fullatt_block_indexes.iter().all(|block| *block < v.depth),
                "vision_config.fullatt_block_indexes",
                format!("{:?}", v.fullatt_block_indexes),
                "numbers of vision blocks, below its depth",
            ),
        ];
        rules.into_iter().find(|r| !r.0).map(|(_, key, found, wanted)| (key, found, wanted.to_owned()))
    }
}

impl<'a> Parts<'a> {
    fn of(root: Keys<'a>) -> Result<Self, KeyError> {
        let text = root.section("text_config")?.unwrap_or_else(|| root.clone());
        let missing = || root.fault("vision_config", "the vision tower's shape");
        let vision = root.section("vision_config")?.ok_or_else(missing)?;
        let rope = rotary(&text, &root)?;
        Ok(Self { root, text, vision, rope })
    }

    /// Refuses a setting that asks for what is not computed here.
    fn are_supported(&self, family: QwenFamily) -> Result<(), KeyError> {
        for key in family.vision_keys() {
            if self.vision.get(key).is_none() {
                return Err(self.vision.fault(key, "the vision tower's shape"));
            }
        }
        for (name, wanted) in family.fixed() {
            let (keys, key) = self.place(name);
            if keys.get(key).is_some_and(|found| *found != wanted) {
                return Err(keys.fault(key, format!("{wanted}: nothing else is supported")));
            }
        }
        for key in ["rope_type", "type"] {
            if self.rope.text(key)?.is_some_and(|kind| !ROPE_TYPES.contains(&kind)) {
                return Err(self.rope.fault(key, "default or mrope: nothing else is supported"));
            }
        }
        for keys in [&self.text, &self.root] {
            if keys.flag("use_sliding_window")? == Some(true) {
                return Err(keys.fault("use_sliding_window", "false: sliding windows are not supported"));
            }
        }
        let is_full = |kinds: &Vec<Value>| kinds.iter().all(|kind| kind == "full_attention");
        match self.text.get("layer_types") {
            Some(kinds) if !kinds.as_array().is_some_and(is_full) => Err(self
                .text
                .fault("layer_types", "full_attention for every layer: nothing else is supported")),
            _ => Ok(()),
        }
    }

    fn text(&self, family: QwenFamily) -> Result<TextConfig, KeyError> {
        let keys = &self.text;
        let [hidden_size, num_attention_heads] =
            [size(keys, "hidden_size")?, size(keys, "num_attention_heads")?];
        let head_dim = match optional(keys, "head_dim")? {
            Some(width) => width,
            // A null asks for the quotient; a class may have a default of its own.
            None => match family.head_dim().filter(|_| !keys.is_null("head_dim")) {
                Some(width) => width,
                None => hidden_size.checked_div(num_attention_heads).unwrap_or(0),
            },
        };
        let theta = "rope_theta";
        let theta = match (self.rope.number(theta)?, keys.number(theta)?, self.root.number(theta)?) {
            // The newer place counts.
            (Some(theta), ..) | (_, Some(theta), _) | (.., Some(theta)) => theta,
            _ => family.rope_theta(),
        };
        let section = self.rope.wholes("mrope_section")?;
        let section = section.and_then(|section| <[u64; 3]>::try_from(section).ok());
        let section = section.ok_or_else(|| self.rope.fault("mrope_section", SECTIONS))?;
        Ok(TextConfig {
            vocab_size: size(keys, "vocab_size")?,
            hidden_size,
            intermediate_size: size(keys, "intermediate_size")?,
            num_hidden_layers: size(keys, "num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: optional(keys, "num_key_value_heads")?.unwrap_or(num_attention_heads),
            head_dim,
            rms_norm_eps: keys
                .number("rms_norm_eps")?
                .ok_or_else(|| keys.fault("rms_norm_eps", "a number"))?,
            rope_theta: theta,
            mrope_section: section.map(saturated),
            mrope_layout: MropeLayout::default(),
            qkv_bias: false,
            qk_norm: false,
            max_position_embeddings: optional(keys, "max_position_embeddings")?.unwrap_or(family.positions()),
        })
    }

    fn vision(&self) -> Result<VisionConfig, KeyError> {
        let keys = &self.vision;
        let blocks = |key| {
            let blocks = keys.wholes(key)?.unwrap_or_default();
            Ok::<_, KeyError>(blocks.into_iter().map(saturated).collect())
        };
        // A file that was saved again may have the older name beside the newer one.
        let channels = optional(keys, "in_channels")?.or(optional(keys, "in_chans")?);
        Ok(VisionConfig {
            depth: size(keys, "depth")?,
            hidden_size: size(keys, "hidden_size")?,
            intermediate_size: size(keys, "intermediate_size")?,
            num_heads: size(keys, "num_heads")?,
            in_channels: channels.unwrap_or(3),
            out_hidden_size: size(keys, "out_hidden_size")?,
            patch_size: size(keys, "patch_size")?,
            temporal_patch_size: size(keys, "temporal_patch_size")?,
            spatial_merge_size: size(keys, "spatial_merge_size")?,
            window_size: optional(keys, "window_size")?,
            fullatt_block_indexes: blocks("fullatt_block_indexes")?,
            num_position_embeddings: optional(keys, "num_position_embeddings")?,
            deepstack_visual_indexes: blocks("deepstack_visual_indexes")?,
            style: TowerStyle::default(),
        })
    }

    /// Releases differ in the place that they ask. Where a file says both, a head of its own beside the weights tells:
    /// it is refused unless it equals the embeddings.
    fn is_tied(&self) -> Result<bool, KeyError> {
        let key = "tie_word_embeddings";
        Ok([self.text.flag(key)?, self.root.flag(key)?].contains(&Some(true)))
    }

    fn image_token(&self) -> Result<u32, KeyError> {
        let key = "image_token_id";
        let (keys, id) = match self.root.whole(key)? {
            Some(id) => (&self.root, id),
            None => (&self.text, self.text.whole(key)?.unwrap_or(IMAGE_TOKEN)),
        };
        u32::try_from(id).map_err(|_| keys.fault(key, "a token id"))
    }

    fn initializer_range(&self) -> Result<f64, KeyError> {
        let key = "initializer_range";
        for keys in [&self.text, &self.root] {
            match keys.number(key)? {
                Some(deviation) if deviation >= 0.0 && deviation.is_finite() => return Ok(deviation),
                Some(_) => return Err(keys.fault(key, "a number that is not negative")),
                None => {}
            }
        }
        Ok(0.02)
    }

    /// The error that a checked value is not as it should be.
    fn fault(&self, name: &str, found: &str, wanted: String) -> KeyError {
        let (keys, key) = self.place(name);
        keys.saying(key, found, wanted)
    }

    /// The part that a name stands in, and its key there; one without a prefix is the language model's.
    fn place<'k>(&self, name: &'k str) -> (&Keys<'a>, &'k str) {
        match name.split_once('.') {
            Some(("rope_scaling", key)) => (&self.rope, key),
            Some((_, key)) => (&self.vision, key),
            None => (&self.text, name),
        }
    }
}

/// The rotary settings, in the first place that has some.
fn rotary<'a>(text: &Keys<'a>, root: &Keys<'a>) -> Result<Keys<'a>, KeyError> {
    for name in ROPE {
        for keys in [text, root] {
            // Null and empty are as good as absent.
            if let Some(rope) = keys.section(name)?.filter(|rope| !rope.is_empty()) {
                return Ok(rope);
            }
        }
    }
    Err(text.saying("rope_scaling.mrope_section", "nothing", SECTIONS))
}

fn size(keys: &Keys, key: &str) -> Result<usize, KeyError> {
    optional(keys, key)?.ok_or_else(|| keys.fault(key, "a whole number"))
}

fn optional(keys: &Keys, key: &str) -> Result<Option<usize>, KeyError> {
    Ok(keys.whole(key)?.map(saturated))
}

/// What is too large for the machine is too large for every model.
fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
