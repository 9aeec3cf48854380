//! Which settings to change so that a run fits.

use super::plan::Plan;
use burn::tensor::DType;
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

/// A setting that can be turned down, one notch at a time.
struct Knob {
    /// The plan with the setting a notch lower, or nothing at its end.
    lower: fn(&Plan) -> Option<Plan>,
    /// The keys that say so.
    changes: fn(&Plan) -> Vec<Change>,
}

/// The knobs, those first that change what is learnt least.
const KNOBS: [Knob; 4] = [
    Knob {
        lower: |plan| {
            let rows = plan.rollout_batch.min(plan.batch.saturating_mul(plan.accumulate));
            (rows > 1).then(|| Plan { rollout_batch: rows / 2, ..plan.clone() })
        },
        changes: |plan| vec![change("rollout.batch", plan.rollout_batch)],
    },
    Knob {
        // The same samples a step, in smaller parts.
        lower: |plan| {
            let halves = plan.batch.is_multiple_of(2);
            let accumulate = plan.accumulate.checked_mul(2)?;
            halves.then(|| Plan { batch: plan.batch / 2, accumulate, ..plan.clone() })
        },
        changes: |plan| vec![change("train.batch", plan.batch), change("train.accumulate", plan.accumulate)],
    },
    Knob {
        lower: |plan| (plan.dtype != DType::BF16).then(|| Plan { dtype: DType::BF16, ..plan.clone() }),
        changes: |_| vec![change("train.precision", "bf16")],
    },
    Knob {
        lower: |plan| {
            let tokens = plan.max_new_tokens / 2;
            (tokens >= FEWEST_TOKENS).then(|| Plan { max_new_tokens: tokens, ..plan.clone() })
        },
        changes: |plan| vec![change("rollout.max_new_tokens", plan.max_new_tokens)],
    },
];

/// A description, a reasoning and an answer hardly fit into fewer.
const FEWEST_TOKENS: usize = 256;

fn change(key: &'static str, value: impl ToString) -> Change {
    Change { key, value: value.to_string() }
}

/// What to change so that training by `plan` takes at most `available` bytes: one setting if one will do, else
/// several; none if it fits as it is, and `None` if nothing helps.
pub fn changes(plan: &Plan, model: &Architecture, available: u64) -> Option<Vec<Change>> {
    let fits = |plan: &Plan| plan.estimate(model).peak() <= available;
    if fits(plan) {
        return Some(Vec::new());
    }
    for knob in &KNOBS {
        if let (lowered, true) = lowered(plan, knob, &fits) {
            return Some((knob.changes)(&lowered));
        }
    }
    let (mut plan, mut all) = (plan.clone(), Vec::new());
    for knob in &KNOBS {
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

/// The plan with a knob turned down until it fits, or to its end; and whether it fits then.
fn lowered(plan: &Plan, knob: &Knob, fits: &impl Fn(&Plan) -> bool) -> (Plan, bool) {
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
pub(crate) fn longest_alone(
    plan: &Plan,
    model: &Architecture,
    available: Option<u64>,
    most: usize,
) -> Option<usize> {
    let alone = Plan { rollout_batch: 1, batch: 1, accumulate: 1, ..plan.clone() };
    longest_prompt(&alone, model, available?, most).filter(|longest| *longest < most)
}

/// The longest prompt, of up to `most` tokens, with which training by `plan` takes at most `available` bytes; `None`
/// if no prompt fits.
pub fn longest_prompt(plan: &Plan, model: &Architecture, available: u64, most: usize) -> Option<usize> {
    let fits = |tokens| plan.with_prompts(tokens).estimate(model).peak() <= available;
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
