//! What an adapter updates, and how strongly: as a recipe asks for it, and in all the forms that PEFT has.
//!
//! A PEFT configuration chooses layers by name or by a regular expression, and may give some of them a rank or
//! an α of their own. [`AdapterConfig::placements`] works that out for a model, with PEFT's rules (0.17.1).

use crate::architecture::Architecture;
use crate::patterns::{Pattern, PatternError, Patterns};
use crate::sites::{Projection, Site};
use vigos_core::text::one_line;

/// A plain adapter: one rank and one α for all layers of some names.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
    /// Rank r of every update.
    pub rank: usize,
    /// α: the update is scaled by α/r.
    pub alpha: f64,
    /// Probability of dropping an input value in training.
    pub dropout: f64,
    /// Which layers carry an update; a name found in the vision tower counts there as well.
    pub targets: Vec<Projection>,
}

impl LoraConfig {
    /// α/r
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }
}

/// A choice among a model's modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those whose path is one of these names, or ends in a dot and one of them.
    Names(Vec<String>),
    /// Those whose whole path the regular expression matches.
    Pattern(String),
}

/// An adapter as `adapter_config.json` describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    /// Rank of the updates that no pattern gives another.
    pub rank: usize,
    /// α of the updates that no pattern gives another.
    pub alpha: f64,
    /// Probability of dropping an input value in training.
    pub dropout: f64,
    /// Which layers carry an update.
    pub targets: Selection,
    /// Which of those do not after all.
    pub exclude: Option<Selection>,
    /// Ranks of some layers: the first pattern that matches the end of a layer's path counts.
    pub rank_pattern: Vec<(String, usize)>,
    /// The same for α.
    pub alpha_pattern: Vec<(String, f64)>,
    /// Whether an update is scaled by α/√r (rsLoRA, arXiv 2312.03732) rather than by α/r.
    pub rslora: bool,
}

/// A layer that carries an update.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// The layer.
    pub site: Site,
    /// Rank of its update.
    pub rank: usize,
    /// Factor of its update.
    pub scale: f64,
}

/// Why a configuration does not say which layers of a model carry an update, or says what cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: found {found}, wanted {wanted}")]
pub struct SelectionError {
    /// The key of `adapter_config.json`.
    pub key: &'static str,
    /// What it says.
    pub found: String,
    /// What it may say.
    pub wanted: String,
}

impl From<&LoraConfig> for AdapterConfig {
    fn from(plain: &LoraConfig) -> Self {
        Self {
            rank: plain.rank,
            alpha: plain.alpha,
            dropout: plain.dropout,
            targets: Selection::Names(plain.targets.iter().map(|p| p.name().to_owned()).collect()),
            exclude: None,
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            rslora: false,
        }
    }
}

impl AdapterConfig {
    /// The layers of `model` that carry an update, decoder first.
    ///
    /// # Errors
    /// If a pattern cannot be understood or costs too much to match, or the configuration chooses nothing, or a
    /// module that cannot carry an update.
    pub fn placements(&self, model: &Architecture) -> Result<Vec<Placement>, SelectionError> {
        let mut patterns = Patterns::default();
        let targets = ModuleFilter::new("target_modules", &self.targets, &mut patterns)?;
        let exclude = self.exclude.as_ref();
        let exclude = exclude.map(|e| ModuleFilter::new("exclude_modules", e, &mut patterns)).transpose()?;
        let chosen = |path: &str| match &exclude {
            Some(exclude) if exclude.takes(path)? => Ok(false),
            _ => targets.takes(path),
        };

        let mut misplaced = Vec::new();
        for path in model.other_modules() {
            if chosen(&path)? {
                misplaced.push(path);
            }
        }
        if let Some(first) = misplaced.first() {
            return Err(targets.error(
                match misplaced.len() {
                    1 => format!("a choice that includes `{first}`"),
                    n => format!("a choice that includes `{first}` and {} others", n - 1),
                },
                format!("only layers that can carry an update here: {}", supported(model)),
            ));
        }
        let mut placements = Vec::new();
        for site in &model.sites {
            if chosen(&site.path)? {
                placements.push(Placement { site: site.clone(), rank: self.rank, scale: self.alpha });
            }
        }
        if placements.is_empty() {
            let wanted = format!("a choice of at least one layer of the model, such as {}", supported(model));
            return Err(targets.error("nothing that the model has".into(), wanted));
        }
        // `scale` holds α until the ranks are known.
        override_by("rank_pattern", &self.rank_pattern, &mut placements, &mut patterns, |p, rank| {
            p.rank = rank;
        })?;
        override_by("alpha_pattern", &self.alpha_pattern, &mut placements, &mut patterns, |p, alpha| {
            p.scale = alpha;
        })?;
        for placement in &mut placements {
            let rank = placement.rank as f64;
            placement.scale /= if self.rslora { rank.sqrt() } else { rank };
        }
        Ok(placements)
    }
}

/// Gives each placement the value of the first pattern that matches it. Patterns are compiled one at a time:
/// there may be as many as layers.
fn override_by<T: Copy>(
    key: &'static str,
    table: &[(String, T)],
    placements: &mut [Placement],
    patterns: &mut Patterns,
    set: impl Fn(&mut Placement, T),
) -> Result<(), SelectionError> {
    let mut open: Vec<&mut Placement> = placements.iter_mut().collect();
    for (text, value) in table {
        let fault = |error: PatternError| refused(key, text, &error);
        let pattern = patterns.ending(text).map_err(fault)?;
        let mut rest = Vec::with_capacity(open.len());
        for placement in open {
            match pattern.matches(&placement.site.path).map_err(fault)? {
                true => set(placement, *value),
                false => rest.push(placement),
            }
        }
        open = rest;
    }
    Ok(())
}

fn refused(key: &'static str, text: &str, error: &PatternError) -> SelectionError {
    let found = format!("`{}`: {error}", one_line(text, 120));
    SelectionError { key, found, wanted: "a regular expression".into() }
}

/// What a user may name instead.
fn supported(model: &Architecture) -> String {
    let names = Projection::ALL.map(Projection::name).join(", ");
    match model.sites.iter().any(|site| site.vision) {
        true => format!("{names} of the language model, and the last three of the vision tower"),
        false => format!("{names} of the language model"),
    }
}

/// A selection, ready to be asked.
struct ModuleFilter<'a> {
    key: &'static str,
    selection: &'a Selection,
    pattern: Option<Pattern>,
}

impl<'a> ModuleFilter<'a> {
    fn new(
        key: &'static str,
        selection: &'a Selection,
        patterns: &mut Patterns,
    ) -> Result<Self, SelectionError> {
        let pattern = match selection {
            Selection::Names(_) => None,
            Selection::Pattern(text) => {
                Some(patterns.whole(text).map_err(|error| refused(key, text, &error))?)
            }
        };
        Ok(Self { key, selection, pattern })
    }

    fn takes(&self, path: &str) -> Result<bool, SelectionError> {
        match (self.selection, &self.pattern) {
            (Selection::Names(names), _) => Ok(names.iter().any(|name| is_end_of(name, path))),
            (Selection::Pattern(text), Some(pattern)) => {
                pattern.matches(path).map_err(|error| refused(self.key, text, &error))
            }
            (Selection::Pattern(_), None) => Ok(false),
        }
    }

    fn error(&self, found: String, wanted: String) -> SelectionError {
        SelectionError { key: self.key, found, wanted }
    }
}

/// Whether `path` is `name`, or ends in a dot and `name`.
fn is_end_of(name: &str, path: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
