//! The names of tensors.
//!
//! The canonical ones are those of the published Qwen2.5-VL files. Qwen3-VL's files, and whatever newer tools write,
//! say `model.visual.` and `model.language_model.` where these say `visual.` and `model.`. A model that was saved without
//! its head says `language_model.`.

use crate::config::{Config, QwenFamily};
use vigos_models::architecture::WeightNames;

/// Name of the token embeddings; where they are tied, of the head as well.
pub(crate) const EMBEDDINGS: &str = "model.embed_tokens.weight";
/// Name of the head where it is not tied.
pub(crate) const HEAD: &str = "lm_head.weight";

/// How the names of a model of this configuration are spelt.
pub(crate) fn weight_names(config: &Config) -> WeightNames {
    WeightNames {
        canonical,
        module_path,
        published: match config.family {
            QwenFamily::Qwen2_5Vl => str::to_owned,
            QwenFamily::Qwen3Vl => module_path,
        },
        head: if config.tie_word_embeddings { EMBEDDINGS } else { HEAD },
        layers: "model.layers.",
    }
}

/// What other spellings begin with, and the canonical one of each.
const SPELLINGS: [(&str, &str); 3] =
    [("model.visual.", "visual."), ("model.language_model.", "model."), ("language_model.", "model.")];

/// The canonical spelling of a tensor's name.
fn canonical(name: &str) -> String {
    let respelt = |(other, own): &(&str, &str)| Some(format!("{own}{}", name.strip_prefix(other)?));
    SPELLINGS.iter().find_map(respelt).unwrap_or_else(|| name.to_owned())
}

/// The newer spelling of a canonical name: its path in Transformers' module tree.
fn module_path(name: &str) -> String {
    match name.split_once('.') {
        Some(("visual", rest)) => format!("model.visual.{rest}"),
        Some(("model", rest)) => format!("model.language_model.{rest}"),
        _ => name.to_owned(),
    }
}
