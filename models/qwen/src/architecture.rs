//! What a configuration describes, in the terms that all families share.

use crate::config::{Config, TowerStyle};
use crate::layout::parameters;
use crate::names::{HEAD, weight_names};
use vigos_models::Projection;
use vigos_models::architecture::{Architecture, TextShape, VisionShape};
use vigos_models::sites::Site;

/// The architecture of a model of this configuration.
pub(crate) fn architecture(config: &Config) -> Architecture {
    let (text, vision) = (&config.text, &config.vision);
    Architecture {
        model_type: config.family.model_type(),
        text: TextShape {
            vocab_size: text.vocab_size,
            hidden_size: text.hidden_size,
            intermediate_size: text.intermediate_size,
            num_hidden_layers: text.num_hidden_layers,
            num_attention_heads: text.num_attention_heads,
            num_key_value_heads: text.num_key_value_heads,
            head_dim: text.head_dim,
            max_position_embeddings: text.max_position_embeddings,
        },
        vision: VisionShape {
            depth: vision.depth,
            hidden_size: vision.hidden_size,
            intermediate_size: vision.intermediate_size,
            num_heads: vision.num_heads,
            in_channels: vision.in_channels,
            patch_size: vision.patch_size,
            temporal_patch_size: vision.temporal_patch_size,
            spatial_merge_size: vision.spatial_merge_size,
            rows_per_token: 1 + vision.deepstack_visual_indexes.len(),
        },
        image_token_id: config.image_token_id,
        initializer_range: config.initializer_range,
        parameters: parameters(config),
        tied_head: config.tie_word_embeddings.then_some(HEAD),
        sites: sites(config),
        names: weight_names(config),
    }
}

/// The layers that can carry an update, decoder first.
fn sites(config: &Config) -> Vec<Site> {
    let (text, vision) = (&config.text, &config.vision);
    let (d, q) = (text.hidden_size, text.num_attention_heads * text.head_dim);
    let kv = text.num_key_value_heads * text.head_dim;
    let text_shape = |p| match p {
        Projection::Query => (d, q),
        Projection::Key | Projection::Value => (d, kv),
        Projection::Output => (q, d),
        Projection::Gate | Projection::Up => (d, text.intermediate_size),
        Projection::Down => (text.intermediate_size, d),
    };
    let vision_shape = |p| match p {
        Projection::Down => (vision.intermediate_size, vision.hidden_size),
        _ => (vision.hidden_size, vision.intermediate_size),
    };
    let mut sites = Vec::new();
    for block in 0..text.num_hidden_layers {
        for projection in Projection::ALL {
            let (input, output) = text_shape(projection);
            let path = format!("model.language_model.layers.{block}.{}", projection.path());
            sites.push(Site { vision: false, block, projection, path, input, output });
        }
    }
    // A plain tower has none of these layers.
    let adapted_blocks = if vision.style == TowerStyle::Gated { vision.depth } else { 0 };
    for block in 0..adapted_blocks {
        for projection in Projection::ALL.into_iter().filter(|p| p.is_mlp()) {
            let (input, output) = vision_shape(projection);
            let path = format!("model.visual.blocks.{block}.{}", projection.path());
            sites.push(Site { vision: true, block, projection, path, input, output });
        }
    }
    sites
}
