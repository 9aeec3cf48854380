//! The recipe of an experiment: methods, seeds, perhaps a sweep, and where everything goes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::nearest;
use crate::document::Contradiction;
use crate::recipe::RunRecipe;
use crate::texts::filled;

/// Stands for the value in the override of a sweep.
pub const PLACE: &str = "{value}";
/// Beginning of the folders of a sweep's runs.
pub const SWEEP: &str = "sweep-";

/// An experiment. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Experiment {
    /// What it is about: the heading of the results.
    #[schemars(schema_with = "filled")]
    pub title: String,
    /// The recipe that every run starts from.
    #[schemars(schema_with = "filled")]
    pub recipe: PathBuf,
    /// Folder of the runs.
    #[schemars(schema_with = "filled")]
    pub runs: PathBuf,
    /// Folder of tables and plots.
    #[schemars(schema_with = "filled")]
    pub results: PathBuf,
    /// `train.seed` of each run of a method.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub seeds: Vec<u64>,
    /// Overrides of every run, each `key=value`.
    #[serde(default)]
    pub set: Vec<String>,
    /// The rows of the table.
    #[serde(rename = "method")]
    pub methods: Vec<Row>,
    /// One dial, several values: some methods with all seeds at each. Leave it out for none.
    pub sweep: Option<Sweep>,
    /// The leakage diagnostic of every run's last adapter. Leave it out for none.
    pub palr: Option<Diagnosis>,
}

/// A row of the table: a method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Its name in tables and plots.
    pub name: String,
    /// Overrides of its runs.
    #[serde(default)]
    pub set: Vec<String>,
    /// Whether it is trained; otherwise it is the recipe's own student, evaluated once.
    #[serde(default = "trained")]
    pub train: bool,
}

/// One dial, several values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sweep {
    /// What the dial is: the title of the plot's axis.
    pub title: String,
    /// Names of methods that are trained.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub methods: Vec<String>,
    /// The override, with `{value}` in the place of the value.
    pub set: String,
    /// The values.
    #[schemars(with = "Vec<f64>", length(min = 1), extend("uniqueItems" = true))]
    pub values: Vec<Dial>,
    /// More overrides of the sweep's runs.
    #[serde(default)]
    pub also: Vec<String>,
}

/// How leakage is diagnosed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// Overrides for it.
    #[serde(default)]
    pub set: Vec<String>,
}

/// A value of a sweep, as it is written: 10 stays 10, 0.0 stays 0.0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dial {
    /// A whole number.
    Whole(i64),
    /// Any other.
    Fraction(f64),
}

fn trained() -> bool {
    true
}

impl Dial {
    /// The number.
    pub fn number(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Fraction(number) => write!(f, "{number:?}"),
        }
    }
}

impl RunRecipe for Experiment {
    fn agrees(&self) -> Result<(), Contradiction> {
        if self.methods.is_empty() {
            return fault("method", "an empty list".into(), "at least one [[method]]", String::new());
        }
        let mut slugs: BTreeMap<String, &str> = BTreeMap::new();
        for (index, Row { name, .. }) in self.methods.iter().enumerate() {
            let key = format!("method[{index}].name");
            let slug = slug(name);
            if slug.is_empty() || slug.len() > 100 || slug.starts_with(SWEEP) {
                let wanted = "up to 100 characters, a letter from a to z or a digit among them, not beginning with `sweep-`";
                return fault(&key, format!("{name:?}"), wanted, String::new());
            }
            if let Some(other) = slugs.insert(slug.clone(), name) {
                let found = format!("{name:?}, whose folder `{slug}` is that of {other:?}");
                return fault(&key, found, "names that differ in letters or digits", String::new());
            }
        }
        let Some(sweep) = &self.sweep else { return Ok(()) };
        let trained = || self.methods.iter().filter(|method| method.train).map(|method| method.name.as_str());
        for name in &sweep.methods {
            if !trained().any(|other| other == name) {
                let near = nearest(trained(), name);
                let hint = near.map_or(String::new(), |near| format!("did you mean {near:?}?"));
                return fault(
                    "sweep.methods",
                    format!("{name:?}"),
                    "the name of a method that is trained",
                    hint,
                );
            }
        }
        if !sweep.set.contains(PLACE) {
            let found = format!("{:?}", sweep.set);
            return fault("sweep.set", found, "an override with {value} in it", String::new());
        }
        Ok(())
    }
}

fn fault(key: &str, found: String, wanted: &str, hint: String) -> Result<(), Contradiction> {
    Err(Contradiction { key: key.to_owned(), found, wanted: wanted.to_owned(), hint })
}

/// A method's name as a folder's: small letters and digits, everything else a hyphen.
pub fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = name.chars().map(plain).collect();
    text.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}
