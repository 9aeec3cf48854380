//! `config.json` of a checkpoint, in both forms that the hub has.
//!
//! The nested form keeps the language model under `text_config`; the older flat form of Qwen2.5-VL has the
//! same keys at the top level. Everything is checked here.

use crate::config::{Config, QwenFamily, TextConfig, VisionConfig};
use serde_json::Value;
use std::path::Path;
use vigos_models::{ConfigFile, ModelError};

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
        let bad = |key: &str, found: String, wanted: &str| file.fault(key, found, wanted);
        let root = file.json();
        let nested = root.get("text_config").filter(|v| v.is_object());
        let text_value = nested.unwrap_or(root);
        let vision_value = root.get("vision_config").unwrap_or(&Value::Null);
        let mut text: TextConfig = serde_json::from_value(text_value.clone())
            .map_err(|e| bad("text_config", e.to_string(), "the language model's shape"))?;
        if let Some(key) =
            family.vision_keys().iter().find(|key| vision_value.get(*key).is_none_or(Value::is_null))
        {
            return Err(bad(&format!("vision_config.{key}"), "nothing".into(), "the vision tower's shape"));
        }
        let mut vision: VisionConfig = serde_json::from_value(vision_value.clone())
            .map_err(|e| bad("vision_config", e.to_string(), "the vision tower's shape"))?;
        family.complete(&mut text, &mut vision);

        // Rotary settings moved between releases: beside `rope_theta`, or in one of two nested objects.
        let rope = ["rope_scaling", "rope_parameters"].iter().find_map(|key| {
            let found = text_value.get(*key).or_else(|| root.get(*key));
            // Null and nothing are as good as absent.
            found.filter(|value| value.as_object().is_some_and(|settings| !settings.is_empty()))
        });
        let rope = rope.unwrap_or(&Value::Null);
        if text.head_dim == 0 && text.num_attention_heads > 0 {
            text.head_dim = text.hidden_size / text.num_attention_heads;
        }
        // The newer place counts.
        if let Some(theta) = rope.get("rope_theta").and_then(Value::as_f64) {
            text.rope_theta = theta;
        } else if text.rope_theta == 0.0 {
            text.rope_theta = family.rope_theta();
        }
        let section = rope.get("mrope_section").filter(|section| !section.is_null());
        let sections = "three numbers, here or under rope_parameters";
        let section = section.ok_or_else(|| bad("rope_scaling.mrope_section", "nothing".into(), sections))?;
        text.mrope_section = serde_json::from_value(section.clone())
            .map_err(|e| bad("rope_scaling.mrope_section", e.to_string(), sections))?;

        let shared = |key: &str| root.get(key).or_else(|| text_value.get(key));
        for (key, wanted) in family.fixed() {
            let found = match key.split_once('.') {
                Some(("rope_scaling", key)) => rope.get(key),
                Some((_, key)) => vision_value.get(key),
                None => text_value.get(key),
            };
            if let Some(found) = found.filter(|found| **found != wanted) {
                return Err(bad(key, found.to_string(), &format!("{wanted}: nothing else is supported")));
            }
        }
        if shared("use_sliding_window").and_then(Value::as_bool) == Some(true) {
            return Err(bad("use_sliding_window", "true".into(), "false: sliding windows are not supported"));
        }
        let kind = rope.get("rope_type").or_else(|| rope.get("type")).and_then(Value::as_str);
        if let Some(kind) = kind.filter(|k| !["default", "mrope"].contains(k)) {
            return Err(bad("rope_scaling.type", kind.to_owned(), "default or mrope"));
        }
        let image_token_id = shared("image_token_id").and_then(Value::as_u64).unwrap_or(u64::MAX);

        let config = Self {
            family,
            tie_word_embeddings: shared("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false),
            image_token_id: u32::try_from(image_token_id)
                .map_err(|_| bad("image_token_id", "nothing usable".into(), "a token id"))?,
            initializer_range: shared("initializer_range").and_then(Value::as_f64).unwrap_or(0.02),
            text,
            vision,
        };
        match config.fault() {
            Some((key, found, wanted)) => Err(bad(key, found, &wanted)),
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
        let rules: [(bool, &'static str, String, &'static str); 9] = [
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
                format!("{:?}", v.window_size),
                "at least patch_size times spatial_merge_size",
            ),
            (
                v.num_position_embeddings.is_none_or(|n| n.isqrt().pow(2) == n),
                "vision_config.num_position_embeddings",
                format!("{:?}", v.num_position_embeddings),
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
                t.rope_theta.is_finite() && t.rope_theta > 1.0,
                "rope_theta",
                t.rope_theta.to_string(),
                "a number above 1",
            ),
        ];
        rules.into_iter().find(|r| !r.0).map(|(_, key, found, wanted)| (key, found, wanted.to_owned()))
    }
}
