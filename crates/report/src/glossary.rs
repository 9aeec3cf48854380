//! What every metric is, and what good and bad look like. The page `docs/metrics.md` is made from here.

use crate::names::fits;

/// The page of the documentation that has the entries.
pub const PAGE: &str = "docs/metrics.md";

/// A metric of `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, parts joined by `/`; a part that is a name of the recipe is `*`.
    pub name: &'static str,
    /// What a value is in.
    pub unit: &'static str,
    /// What it is.
    pub what: &'static str,
    /// What it looks like when all is well.
    pub good: &'static str,
    /// What should make one look closer.
    pub bad: &'static str,
}

/// The entry of a metric.
///
/// ```
/// use vigos_report::glossary::entry;
///
/// assert_eq!(entry("terms/perception/kl").map(|entry| entry.unit), Some("nats a token"));
/// assert!(entry("no/such/metric").is_none());
/// ```
pub fn entry(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| fits(entry.name, name))
}

/// The entries as a Markdown table.
pub fn table() -> String {
    let mut text =
        "| metric | unit | what it is | good | bad |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for Entry { name, unit, what, good, bad } in ENTRIES {
        text += &format!("| `{name}` | {unit} | {what} | {good} | {bad} |\n");
    }
    text
}

/// An entry in one line.
macro_rules! entries {
    ($($name:literal, $unit:literal, $what:literal, $good:literal, $bad:literal;)*) => {
        /// Every metric.
        pub const ENTRIES: &[Entry] = &[$(Entry { name: $name, unit: $unit, what: $what, good: $good, bad: $bad }),*];
    };
}

entries! {
    "step", "steps",
    "The optimiser step, counted from 1.",
    "Every step is there, one after another.", "A gap: the step was lost to numbers that are not finite.";
    "epoch", "passes",
    "Passes over the data set begun so far, as a fraction.",
    "Below 1 or a few.", "Many passes over few rows: the student may learn them by heart.";
    "loss", "nats a token",
    "What is minimised: the sum of the teachers' losses by their weights; in supervised training the mean cross entropy.",
    "Falls, quickly at first, and settles. Its height says little: it depends on the clip and on how much teachers know.",
    "Rises for long, is zero from the start, or jumps to several times its usual value.";
    "terms/*/loss", "nats a token",
    "A teacher's loss: the mean of its divergences, each counted up to the clip.",
    "Falls, and stays below the clip.", "At the clip: every token is clipped and nothing is learnt.";
    "terms/*/kl", "nats a token",
    "A teacher's mean divergence from the student, without the clip.",
    "Falls or stays small: student and teacher agree more and more.",
    "Grows: the student drifts from its teacher. Much larger than the loss: most of it lies above the clip.";
    "terms/*/tokens", "tokens a step",
    "Tokens that the teacher supervises.",
    "About as many in every step.", "0 for long: no rollout has the part that the teacher supervises.";
    "terms/*/clipped", "tokens a step",
    "Supervised tokens whose divergence is above its clip. They count, and have no gradient.",
    "A small share of `tokens`; large in the first steps.", "All of `tokens`.";
    "terms/*/clipped_share", "share",
    "`clipped` over `tokens`; the report works it out, no file has it.",
    "Below a third after the first steps.", "Near 1: `method.clip` is too low for this model.";
    "accuracy", "share of rollouts",
    "Rollouts whose last box agrees with the reference answer of their row.",
    "Rises slowly, with noise: every step asks other questions, at the temperature of `[rollout]`.",
    "0 for long. Flat is no failure where references are wrong on purpose, as in the drawn world: the evaluation \
     before and after is what counts.";
    "fallback_rate", "share of rollouts",
    "Rollouts that do not keep the output format; teachers of invalid rollouts take them.",
    "Falls to a few percent within some dozens of steps.", "Stays near 1: the student does not know the format; `vigos sft` teaches it.";
    "valid_rate", "share of rollouts",
    "Rollouts that keep the output format: 1 − `fallback_rate`; the report works it out, no file has it.",
    "Near 1.", "Falls while the loss falls too: the student learns to avoid the format.";
    "description_rate", "share of rollouts",
    "Rollouts whose description a teacher supervises.",
    "As high as the share of valid rollouts.", "0: no teacher of the table has the description.";
    "reasoning_rate", "share of rollouts",
    "Rollouts whose reasoning and answer a teacher supervises.",
    "As high as the share of valid rollouts.", "0: no teacher of the table has them.";
    "no_tag_rate", "share of rollouts",
    "Rollouts without any tag of the format.",
    "0.", "Near 1: the prompt does not ask for the format, or the student does not understand it.";
    "span_share/description", "share of tokens",
    "Completion tokens that lie in a description.",
    "Steady.", "Shrinks to almost nothing: the student describes less and less.";
    "span_share/reasoning_answer", "share of tokens",
    "Completion tokens that lie in reasoning or answer.",
    "Steady.", "Shrinks to almost nothing.";
    "span_share/other", "share of tokens",
    "Completion tokens that lie in neither: tags, text between the parts, all of invalid rollouts.",
    "Small.", "Near 1: most rollouts are invalid.";
    "lengths/mean", "tokens",
    "Mean length of a completion, its stop token included.",
    "Steady, or moves slowly.", "Grows towards `rollout.max_new_tokens`, or falls to a few tokens.";
    "lengths/max", "tokens",
    "The longest completion of the step.",
    "Below `rollout.max_new_tokens`.", "At it in every step.";
    "lengths/truncated", "share of rollouts",
    "Completions that met `rollout.max_new_tokens` and were cut off, which usually makes them invalid.",
    "0, or a few percent.", "A third and more: raise `rollout.max_new_tokens`, or the student has begun to repeat itself.";
    "mismatch/logprob", "nats a token",
    "Completions of a server (`rollout.engine`) or drawn ahead (`rollout.ahead`): mean difference, without its sign, of a token's log-probability there and here.",
    "Below 0.02, and steady.", "Above 0.05: the server has another base, precision or adapter than the student; ahead: updates are large.";
    "mismatch/beyond", "share of tokens",
    "Of the same completions: tokens whose two log-probabilities differ by more than 0.2.",
    "Below a percent.", "A tenth and more.";
    "mismatch/effective", "share of tokens",
    "Of the same completions: the effective sample size of their tokens by importance weights, over their number.",
    "Near 1.", "Below 0.9: few tokens count for most; `rollout.max_weight` bounds what one counts for.";
    "stale", "updates",
    "Updates between drawing the completions of the step and learning from them, where `rollout.ahead` is set.",
    "1, but for the first step.", "0 more often: a step was lost, and the next one draws for itself.";
    "grad_norm", "norm",
    "Norm of the gradient over all trained tensors together, before it is clipped to `optim.max_grad_norm`.",
    "Of one size, with noise; clipping is usual.", "0 for long: nothing is learnt. A hundred times its usual size: look at the step's rollouts.";
    "lr", "",
    "Learning rate of the step.",
    "What the schedule says.", "0 before the last step.";
    "skipped/*", "samples",
    "Samples left out so far, by reason, such as `long_prompt`, `small_image`, `bad_row`, `lost_step`.",
    "None, or a few that are known.", "Grows with every step; `quarantine.jsonl` has the rows.";
    "seconds/rollout", "seconds",
    "Time of the step in which the student wrote its completions; with `rollout.ahead` that for which the step had to wait for them, and read them once more.",
    "Steady.", "Grows with the lengths.";
    "seconds/scoring", "seconds",
    "Time in which the teachers read them.",
    "A fraction of the update.", "More than the update: prompts are long beside completions.";
    "seconds/update", "seconds",
    "Time of the student's forward, its backward and the optimiser.",
    "Steady.", "Grows with the lengths.";
    "seconds", "seconds",
    "Time of a step of supervised training.",
    "Steady.", "Grows.";
    "tokens_per_second/rollout", "tokens a second",
    "Tokens drawn in the step, with `rollout.ahead` those of the next one, over the time of drawing; 0 where nothing was drawn, as in the last step then.",
    "Steady; higher with a larger `rollout.batch`.", "Falls: completions differ much in length, so few decode together.";
    "tokens_per_second/scoring", "tokens a second",
    "Tokens that the teachers read, prompts included, over the time of the scoring.",
    "Several times that of the rollout.", "As slow as the rollout.";
    "tokens_per_second/update", "tokens a second",
    "Tokens of the student's training forward, prompts included, over the time of the update.",
    "About a third of the scoring.", "Falls: memory is short, or blocks run again (`train.recompute`).";
    "waited", "seconds",
    "Runs of several ranks: time of the step that each of them waited for the others.",
    "Small beside the step.", "One never waits: its device is slower, or its completions are longer.";
    "token_accuracy", "share of tokens",
    "Supervised training: tokens to learn that the model holds for the most probable.",
    "Rises towards 1.", "Flat near its start: the learning rate is too small, or the data are noise.";
    "tokens", "tokens a step",
    "Supervised training: tokens to learn of the step.",
    "About as many in every step.", "Far fewer than usual: samples are left out.";
    "samples_per_second", "samples a second",
    "Supervised training: samples over the time of the step.",
    "Steady.", "Falls.";
}
