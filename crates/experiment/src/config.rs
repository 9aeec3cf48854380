//! What an experiment's file says: methods, seeds, perhaps a sweep, and where everything goes.

use crate::error::ExperimentError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::{Table, Value};
use vigos_core::files::read_limited;
use vigos_recipe::{RecipeError, nearest, syntax};

/// Stands for the value in the override of a sweep.
pub const PLACE: &str = "{value}";
/// A page of text; anything much larger is another file named by mistake.
const LARGEST_FILE: u64 = 1 << 20;
/// Beginning of the folders of a sweep's runs.
pub(crate) const SWEEP: &str = "sweep-";

const TOP: &[&str] = &["title", "recipe", "runs", "results", "seeds", "set", "method", "sweep", "palr"];
const METHOD: &[&str] = &["name", "set", "train"];
const SWEPT: &[&str] = &["title", "methods", "set", "values", "also"];
const PALR: &[&str] = &["set"];

/// An experiment. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What it is about: the heading of the results.
    pub title: String,
    /// The recipe that every run starts from.
    pub recipe: PathBuf,
    /// Folder of the runs.
    pub runs: PathBuf,
    /// Folder of tables and plots.
    pub results: PathBuf,
    /// `train.seed` of each run of a method.
    pub seeds: Vec<u64>,
    /// Overrides of every run, each `key=value`.
    #[serde(default)]
    pub set: Vec<String>,
    /// The rows of the table.
    #[serde(rename = "method")]
    pub methods: Vec<Method>,
    /// The sweep.
    pub sweep: Option<Sweep>,
    /// The leakage diagnostic of every run's last adapter.
    pub palr: Option<Diagnosis>,
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Its name in tables and plots.
    pub name: String,
    /// Overrides of its runs.
    #[serde(default)]
    pub set: Vec<String>,
    /// Whether it is trained; otherwise it is the recipe's own student, evaluated once.
    #[serde(default = "trained")]
    pub train: bool,
}

/// One dial, several values: some methods with all seeds at each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// What the dial is: the title of the plot's axis.
    pub title: String,
    /// Names of methods.
    pub methods: Vec<String>,
    /// The override, with `{value}` in the place of the value.
    pub set: String,
    /// The values.
    pub values: Vec<Dial>,
    /// More overrides of the sweep's runs.
    #[serde(default)]
    pub also: Vec<String>,
}

/// How leakage is diagnosed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
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

impl Config {
    /// Reads an experiment's file.
    ///
    /// # Errors
    /// For a file that cannot be read or is not TOML, an unknown key, and a value that its key does not take.
    pub fn load(path: &Path) -> Result<Self, ExperimentError> {
        let origin = path.display().to_string();
        let bytes = read_limited(path, LARGEST_FILE)?;
        let text = String::from_utf8(bytes).map_err(|error| RecipeError::Read {
            origin: origin.clone(),
            reason: format!("{origin} is not text: {error}"),
        })?;
        Self::parse(&text, &origin)
    }

    /// The same from text; `origin` stands for the file's name in errors.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, ExperimentError> {
        let not_toml = |error: toml::de::Error| syntax(&error, text, origin);
        let table: Table = toml::from_str(text).map_err(not_toml)?;
        known(&table, "", TOP, origin)?;
        let inner = |key: &str| table.get(key).and_then(Value::as_table);
        if let Some(sweep) = inner("sweep") {
            known(sweep, "sweep.", SWEPT, origin)?;
        }
        if let Some(palr) = inner("palr") {
            known(palr, "palr.", PALR, origin)?;
        }
        for (index, method) in table.get("method").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            if let Some(method) = method.as_table() {
                known(method, &format!("method[{index}]."), METHOD, origin)?;
            }
        }
        let config: Self = toml::from_str(text).map_err(not_toml)?;
        config.check(origin)?;
        Ok(config)
    }

    /// Refuses what its keys do not take.
    fn check(&self, origin: &str) -> Result<(), ExperimentError> {
        let fault = |key: String, found: String, wanted: &str| {
            let (origin, wanted) = (origin.to_owned(), wanted.to_owned());
            RecipeError::OutOfRange { origin, key, found, wanted, hint: String::new() }.into()
        };
        if self.title.trim().is_empty() {
            return Err(fault("title".into(), "an empty text".into(), "a heading"));
        }
        for (key, path) in [("runs", &self.runs), ("results", &self.results)] {
            if path.as_os_str().is_empty() {
                return Err(fault(key.into(), "an empty text".into(), "a folder"));
            }
        }
        if self.seeds.is_empty() {
            return Err(fault("seeds".into(), "an empty list".into(), "at least one seed"));
        }
        if let Some(seed) = twice(self.seeds.iter()) {
            return Err(fault("seeds".into(), format!("{seed} twice"), "every seed once"));
        }
        if self.methods.is_empty() {
            return Err(fault("method".into(), "an empty list".into(), "at least one [[method]]"));
        }
        let mut slugs: BTreeMap<String, &str> = BTreeMap::new();
        for (index, method) in self.methods.iter().enumerate() {
            let (key, name) = (format!("method[{index}].name"), &method.name);
            let slug = slug(name);
            if slug.is_empty() || slug.len() > 100 || slug.starts_with(SWEEP) {
                let wanted = "up to 100 characters, a letter from a to z or a digit among them, not beginning with `sweep-`";
                return Err(fault(key, format!("{name:?}"), wanted));
            }
            if let Some(other) = slugs.insert(slug.clone(), name) {
                let found = format!("{name:?}, whose folder `{slug}` is that of {other:?}");
                return Err(fault(key, found, "names that differ in letters or digits"));
            }
        }
        self.sweep.as_ref().map_or(Ok(()), |sweep| self.check_sweep(sweep, origin, &fault))
    }

    fn check_sweep(
        &self,
        sweep: &Sweep,
        origin: &str,
        fault: &dyn Fn(String, String, &str) -> ExperimentError,
    ) -> Result<(), ExperimentError> {
        let trained = || self.methods.iter().filter(|m| m.train).map(|m| m.name.as_str());
        for name in &sweep.methods {
            if !trained().any(|other| other == name) {
                let hint =
                    nearest(trained(), name).map_or(String::new(), |near| format!("did you mean {near:?}?"));
                return Err(RecipeError::OutOfRange {
                    origin: origin.to_owned(),
                    key: "sweep.methods".into(),
                    found: format!("{name:?}"),
                    wanted: "the name of a method that is trained".into(),
                    hint,
                }
                .into());
            }
        }
        if sweep.methods.is_empty() {
            return Err(fault("sweep.methods".into(), "an empty list".into(), "at least one method"));
        }
        if let Some(name) = twice(sweep.methods.iter()) {
            return Err(fault("sweep.methods".into(), format!("{name:?} twice"), "every method once"));
        }
        if !sweep.set.contains(PLACE) {
            return Err(fault(
                "sweep.set".into(),
                format!("{:?}", sweep.set),
                "an override with {value} in it",
            ));
        }
        if sweep.values.is_empty() || sweep.values.iter().any(|value| !value.number().is_finite()) {
            let values = sweep.values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(fault("sweep.values".into(), format!("[{values}]"), "a list of finite numbers"));
        }
        if let Some(value) = twice(sweep.values.iter().map(|value| value.to_string())) {
            return Err(fault("sweep.values".into(), format!("{value} twice"), "every value once"));
        }
        Ok(())
    }
}

/// A method's name as a folder's: small letters and digits, everything else a hyphen.
pub(crate) fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = name.chars().map(plain).collect();
    text.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Refuses a key that is not one of `keys`.
fn known(table: &Table, section: &str, keys: &[&str], origin: &str) -> Result<(), ExperimentError> {
    let Some(key) = table.keys().find(|key| !keys.contains(&key.as_str())) else { return Ok(()) };
    let nearest = nearest(keys.iter().copied(), key).map(str::to_owned);
    let hint = match &nearest {
        Some(near) => format!("did you mean `{section}{near}`?"),
        None => format!(
            "known here are {}",
            keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    let (origin, key) = (origin.to_owned(), format!("{section}{key}"));
    Err(RecipeError::UnknownKey { origin, key, nearest, hint }.into())
}

/// What is there twice.
fn twice<T: PartialEq>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = Vec::new();
    for item in items {
        if seen.contains(&item) {
            return Some(item);
        }
        seen.push(item);
    }
    None
}
