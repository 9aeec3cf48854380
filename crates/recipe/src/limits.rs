//! Sizes that are fine one by one and too much together, or for a model: refused when a recipe is read, before anything is
//! made of them.

use crate::document::Contradiction;
use crate::layout::DataLayout;
use crate::normalise::Normalise;

/// The most samples of an optimiser step: all of them are in memory at a time.
const STEP_SAMPLES: usize = 65_536;
/// The most tokens of completions that are decoded together.
const DECODED_TOKENS: usize = 1 << 27;

/// Refuses an optimiser step of more samples than any machine holds.
pub(crate) fn step(batch: usize, accumulate: usize) -> Result<(), Contradiction> {
    let samples = batch.saturating_mul(accumulate);
    within(samples <= STEP_SAMPLES, || Contradiction {
        key: "train.accumulate".into(),
        found: format!("{accumulate} micro-batches of train.batch = {batch}, {samples} samples in a step"),
        wanted: format!("at most {STEP_SAMPLES}"),
        hint: String::new(),
    })
}

/// Refuses micro-batches of so many tokens where each weighs the same: how many there are would depend on the lengths of
/// the completions.
pub(crate) fn cut(tokens: Option<usize>, normalise: Normalise) -> Result<(), Contradiction> {
    within(tokens.is_none() || normalise == Normalise::Step, || Contradiction {
        key: "train.tokens_per_micro_batch".into(),
        found: format!("{} with train.normalise = \"micro_batch\"", tokens.unwrap_or_default()),
        wanted: "0, or train.normalise = \"step\"".into(),
        hint: String::new(),
    })
}

/// Refuses a step that the completions of its samples do not fill.
pub(crate) fn completions(batch: usize, accumulate: usize, per_sample: usize) -> Result<(), Contradiction> {
    let step = batch.saturating_mul(accumulate);
    within(step.is_multiple_of(per_sample), || Contradiction {
        key: "rollout.per_sample".into(),
        found: format!(
            "{per_sample}, where a step has train.batch times train.accumulate, {step} completions"
        ),
        wanted: "a divisor of them".into(),
        hint: String::new(),
    })
}

/// Refuses to choose among checkpoints by what they were trained on.
pub(crate) fn held_out(every: usize, patience: usize, is_held_out: bool) -> Result<(), Contradiction> {
    let fault = |key: &str, found: String, wanted: &str| Contradiction {
        key: key.into(),
        found,
        wanted: wanted.into(),
        hint: String::new(),
    };
    within(every == 0 || is_held_out, || {
        let wanted = "eval.path or eval.split too, with rows that are not trained on";
        fault("eval.every", every.to_string(), wanted)
    })?;
    within(patience == 0 || every > 0, || {
        fault("eval.patience", format!("{patience} without eval.every"), "eval.every too, or 0")
    })
}

/// Refuses completions that take more room together than any machine has. `section` has the two keys.
pub(crate) fn decoding(section: &str, batch: usize, max_new_tokens: usize) -> Result<(), Contradiction> {
    let tokens = batch.saturating_mul(max_new_tokens);
    within(tokens <= DECODED_TOKENS, || Contradiction {
        key: format!("{section}.max_new_tokens"),
        found: format!("{max_new_tokens} with {section}.batch = {batch}, {tokens} tokens decoded together"),
        wanted: format!("at most {DECODED_TOKENS}"),
        hint: String::new(),
    })
}

/// The most tokens of a sample where the recipe does not say.
const MOST_TOKENS: usize = 32_768;

/// The most tokens of something that a model reads, where `key` asks for so many and the model's context has `context`.
pub(crate) fn in_context(key: &str, asked: Option<usize>, context: usize) -> Result<usize, Contradiction> {
    let most = asked.unwrap_or(MOST_TOKENS.min(context));
    within(most <= context, || Contradiction {
        key: key.into(),
        found: most.to_string(),
        wanted: format!("at most the {context} of the model's context (max_position_embeddings)"),
        hint: String::new(),
    })?;
    Ok(most)
}

/// Refuses a layout that has fields of its own, and beside it other names for `field`, which that layout does not read.
pub(crate) fn layout(layout: DataLayout, field: &str, is_renamed: bool) -> Result<(), Contradiction> {
    let reads_it = matches!(layout, DataLayout::Auto | DataLayout::Rows);
    within(reads_it || !is_renamed, || Contradiction {
        key: format!("data.fields.{field}"),
        found: format!("a name of its own with data.layout = {:?}", layout.name()),
        wanted: "none, as that layout has names of its own".into(),
        hint: "data.layout = \"rows\" reads the fields that data.fields names".into(),
    })
}

fn within(is: bool, fault: impl FnOnce() -> Contradiction) -> Result<(), Contradiction> {
    if is { Ok(()) } else { Err(fault()) }
}
