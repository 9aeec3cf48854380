//! The published method, its baselines and its ablations: recipes in TOML that a recipe's `method.preset` names, and
//! that stand below what the recipe says itself.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::teacher::Teacher;

/// Where the paper and the authors' released code differ, which of them to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// The paper. The reasoning and answer span is what lies between the think tags, and what lies inside the box;
    /// neither may be empty.
    #[default]
    Paper,
    /// The code. It is one span from after `<think>` through the brace that closes the box.
    Released,
}

/// A method by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name in recipes.
    pub name: &'static str,
    paper: &'static str,
    released: &'static str,
}

/// A preset of one file, or of two where the paper and the released code differ.
macro_rules! preset {
    ($name:literal) => {
        preset!($name, $name)
    };
    ($name:literal, $released:literal) => {
        Preset {
            name: $name,
            paper: include_str!(concat!("../presets/", $name, ".toml")),
            released: include_str!(concat!("../presets/", $released, ".toml")),
        }
    };
}

impl Preset {
    /// Every preset, in the order of the documentation.
    pub const ALL: &[Self] = &[
        preset!("vigos", "vigos.released"),
        preset!("opsd"),
        preset!("opsd-same-prompt"),
        preset!("vigos-no-perception", "vigos-no-perception.released"),
        preset!("vigos-no-reasoning", "vigos-no-reasoning.released"),
        preset!("vigos-forward-reference", "vigos-forward-reference.released"),
        preset!("vigos-no-reference", "vigos-no-reference.released"),
    ];

    /// The preset of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|preset| preset.name == name)
    }

    /// What it stands for, as TOML.
    pub fn text(&self, fidelity: Fidelity) -> &'static str {
        match fidelity {
            Fidelity::Paper => self.paper,
            Fidelity::Released => self.released,
        }
    }

    /// The same as a recipe can begin: with its own name, and the fidelity, which says more than the table.
    pub fn recipe(&self, fidelity: Fidelity) -> String {
        let name = format!("[method]\npreset = \"{}\"", self.name);
        let names = match fidelity {
            Fidelity::Paper => name,
            Fidelity::Released => format!("{name}\nfidelity = \"released\""),
        };
        self.text(fidelity).replacen("[method]", &names, 1)
    }

    /// What it decides.
    pub(crate) fn expansion(&self, fidelity: Fidelity) -> Expansion {
        Expansion::of(self.text(fidelity))
    }

    /// What it is: the comment that its file begins with.
    pub fn about(&self) -> String {
        let lines = self.paper.lines().map_while(|line| line.strip_prefix('#'));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    }
}

/// What every preset decides of a method.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Expansion {
    pub(crate) student_prompt: String,
    pub(crate) student_prefill: String,
    #[serde(rename = "teacher")]
    pub(crate) teachers: Vec<Teacher>,
}

impl Expansion {
    /// That of the preset which holds where a recipe names none.
    pub(crate) fn standard() -> Self {
        Preset::ALL.first().map_or_else(Self::default, |preset| Self::of(preset.paper))
    }

    fn of(text: &str) -> Self {
        #[derive(Default, Deserialize)]
        struct File {
            method: Expansion,
        }
        // A preset is part of the program; the tests read every one.
        toml::from_str::<File>(text).unwrap_or_default().method
    }
}

/// The schema of `method.preset`.
pub(crate) fn names(_: &mut SchemaGenerator) -> Schema {
    let names = Preset::ALL
        .iter()
        .map(|preset| json_schema!({ "const": preset.name, "description": preset.about() }));
    json_schema!({ "type": "string", "oneOf": names.collect::<Vec<_>>() })
}
