//! The layers of a model that can carry a low-rank update.
//!
//! Names are those of Transformers' module tree, which is what PEFT's patterns are matched with.

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

    /// Whether it belongs to the MLP of its block, rather than to its attention.
    pub fn is_mlp(self) -> bool {
        matches!(self, Self::Gate | Self::Up | Self::Down)
    }

    /// The module that holds it, and itself: `self_attn.q_proj`.
    pub fn path(self) -> String {
        format!("{}.{}", if self.is_mlp() { "mlp" } else { "self_attn" }, self.name())
    }
}

/// A layer of a model that can carry an update: where it is, and its widths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Whether it lies in the vision tower.
    pub vision: bool,
    /// Its block or layer.
    pub block: usize,
    /// Which of the block's layers it is.
    pub projection: Projection,
    /// Its path in Transformers' module tree.
    pub path: String,
    /// Input width.
    pub input: usize,
    /// Output width.
    pub output: usize,
}

impl Site {
    /// The layer's name inside a PEFT file, without `.lora_A.weight`.
    pub fn module(&self) -> String {
        format!("{PEFT_PREFIX}{}", self.path)
    }
}

/// What PEFT puts before a module's path.
pub const PEFT_PREFIX: &str = "base_model.model.";

/// The names of the two tensors of the layer at `path` inside a PEFT file, A and B.
pub fn tensor_names(path: &str) -> [String; 2] {
    ["lora_A", "lora_B"].map(|part| format!("{PEFT_PREFIX}{path}.{part}.weight"))
}
