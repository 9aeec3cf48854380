//! The layers of a model that can carry a low-rank update, and the modules that cannot.
//!
//! Names are those of Transformers' module tree, which is what PEFT's patterns are matched with.

use crate::config::Config;
use crate::family::TowerStyle;
use crate::layout::{module_path, parameters};
use std::collections::BTreeSet;

/// A linear layer that can carry an update, by the name that it has wherever it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Projection {
    /// `self_attn.q_proj`
    Query,
    /// `self_attn.k_proj`
    Key,
    /// `self_attn.v_proj`
    Value,
    /// `self_attn.o_proj`
    Output,
    /// `mlp.gate_proj`
    Gate,
    /// `mlp.up_proj`
    Up,
    /// `mlp.down_proj`
    Down,
}

impl Projection {
    /// All seven.
    pub const ALL: [Self; 7] =
        [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];

    /// The last part of the module's name, as in PEFT's `target_modules`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "q_proj",
            Self::Key => "k_proj",
            Self::Value => "v_proj",
            Self::Output => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// The projection of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    fn is_mlp(self) -> bool {
        matches!(self, Self::Gate | Self::Up | Self::Down)
    }

    fn parent(self) -> &'static str {
        if self.is_mlp() { "mlp" } else { "self_attn" }
    }
}

/// An adapted layer of a model: its PEFT module name and its (in, out) widths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Whether it lies in the vision tower.
    pub vision: bool,
    /// Its block or layer.
    pub block: usize,
    /// Which of the block's layers it is.
    pub projection: Projection,
    /// Input width.
    pub input: usize,
    /// Output width.
    pub output: usize,
}

impl Site {
    /// The layer's path in Transformers' module tree.
    pub fn path(&self) -> String {
        path(self.vision, self.block, self.projection)
    }

    /// The layer's name inside a PEFT file, without `.lora_A.weight`.
    pub fn module(&self) -> String {
        format!("{PEFT_PREFIX}{}", self.path())
    }
}

/// What PEFT puts before a module's path.
pub const PEFT_PREFIX: &str = "base_model.model.";

/// The path of one layer in Transformers' module tree.
pub fn path(vision: bool, block: usize, projection: Projection) -> String {
    let tower = if vision { "visual.blocks" } else { "language_model.layers" };
    format!("model.{tower}.{block}.{}.{}", projection.parent(), projection.name())
}

/// The layers of `model` that `targets` name, decoder first.
pub fn sites(model: &Config, targets: &[Projection]) -> Vec<Site> {
    let (text, vision) = (&model.text, &model.vision);
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
    let mut targets = targets.to_vec();
    targets.sort();
    targets.dedup();
    let mut sites = Vec::new();
    for block in 0..text.num_hidden_layers {
        for &projection in &targets {
            let (input, output) = text_shape(projection);
            sites.push(Site { vision: false, block, projection, input, output });
        }
    }
    // A plain tower has none of these layers.
    let adapted_blocks = if vision.style == TowerStyle::Gated { vision.depth } else { 0 };
    for block in 0..adapted_blocks {
        for &projection in targets.iter().filter(|p| p.is_mlp()) {
            let (input, output) = vision_shape(projection);
            sites.push(Site { vision: true, block, projection, input, output });
        }
    }
    sites
}

/// The paths of all modules of `model` that cannot carry an update: other layers, and what holds layers.
pub fn other_modules(model: &Config) -> BTreeSet<String> {
    let mut paths: BTreeSet<String> = BTreeSet::from(["lm_head".to_owned()]);
    for parameter in parameters(model) {
        let path = module_path(&parameter.name);
        for (end, _) in path.match_indices('.') {
            paths.insert(path[..end].to_owned());
        }
    }
    for site in sites(model, &Projection::ALL) {
        paths.remove(&site.path());
    }
    paths
}
