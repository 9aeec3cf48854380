//! Which settings to change so that a run fits.

use crate::Planned;
use serde::Serialize;
use vigos_models::Architecture;

/// A key of the recipe and its new value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The key.
    pub key: &'static str,
    /// The value, as `--set` takes it.
    pub value: String,
}

/// A setting of a plan that can be turned down, one notch at a time.
pub struct Knob<P> {
    /// The plan with the setting a notch lower, or nothing at its end.
    pub(crate) lower: fn(&P) -> Option<P>,
    /// The keys that say so.
    pub(crate) changes: fn(&P) -> Vec<Change>,
}

/// A plan that can be made to fit.
pub trait Tunable: Planned + Clone + PartialEq + 'static {
    /// Its settings that take memory, those first that change what is learnt least.
    fn knobs() -> &'static [Knob<Self>];

    /// The same plan with prompts of `tokens` tokens, the text in them as long as it was.
    #[must_use]
    fn with_prompts(&self, tokens: usize) -> Self;

    /// The same plan with a single sample at a time: no setting takes less for it.
    #[must_use]
    fn alone(&self) -> Self;
}

/// A plan held against the memory that there is.
pub trait Forecast: Planned {
    /// What to change so that training takes at most `available` bytes: one setting if one will do, else several; none
    /// if it fits as it is, and `None` if nothing helps.
    fn changes(&self, model: &Architecture, available: u64) -> Option<Vec<Change>>;

    /// The longest prompt, of up to `most` tokens, with which training takes at most `available` bytes; `None` if no
    /// prompt fits.
    fn longest_prompt(&self, model: &Architecture, available: u64, most: usize) -> Option<usize>;
}

/// A description, a reasoning and an answer hardly fit into fewer tokens.
pub(crate) const FEWEST_TOKENS: usize = 256;

pub(crate) fn change(key: &'static str, value: impl ToString) -> Change {
    Change { key, value: value.to_string() }
}

impl<P: Tunable> Forecast for P {
    fn changes(&self, model: &Architecture, available: u64) -> Option<Vec<Change>> {
        let fits = |plan: &P| plan.estimate(model).peak() <= available;
        if fits(self) {
            return Some(Vec::new());
        }
        for knob in P::knobs() {
            if let (lowered, true) = lowered(self, knob, &fits) {
                return Some((knob.changes)(&lowered));
            }
        }
        let (mut plan, mut all) = (self.clone(), Vec::new());
        for knob in P::knobs() {
            let (lowered, enough) = lowered(&plan, knob, &fits);
            if lowered != plan {
                all.extend((knob.changes)(&lowered));
            }
            if enough {
                return Some(all);
            }
            plan = lowered;
        }
        None
    }

    fn longest_prompt(&self, model: &Architecture, available: u64, most: usize) -> Option<usize> {
        let fits = |tokens| self.with_prompts(tokens).estimate(model).peak() <= available;
        let (mut low, mut high) = (1, most.max(1));
        if !fits(low) {
            return None;
        }
        // Invariant: `low` fits, and what is above `high` does not or is not asked for.
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if fits(middle) { low = middle } else { high = middle - 1 }
        }
        Some(low)
    }
}

/// The plan with a knob turned down until it fits, or to its end; and whether it fits then.
fn lowered<P: Clone>(plan: &P, knob: &Knob<P>, fits: &impl Fn(&P) -> bool) -> (P, bool) {
    let mut plan = plan.clone();
    while let Some(next) = (knob.lower)(&plan) {
        plan = next;
        if fits(&plan) {
            return (plan, true);
        }
    }
    (plan, false)
}

/// The longest prompt that can be trained on by itself in `available` bytes, if there is one so long and a longer one that
/// cannot: no setting makes room for more than that.
pub fn longest_alone(
    plan: &impl Tunable,
    model: &Architecture,
    available: Option<u64>,
    most: usize,
) -> Option<usize> {
    plan.alone().longest_prompt(model, available?, most).filter(|longest| *longest < most)
}
