//! Every key of a recipe: what it takes, what it is when left out, what it means.
//!
//! The one source for checking a file, for filling in defaults and for `docs/config.md`.

use crate::kind::{Bounds, Kind};

/// One key of a recipe.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its name with its section, such as `optim.lr`. Keys of a teacher start with `method.teacher.`.
    pub name: &'static str,
    /// The values it takes.
    pub kind: Kind,
    /// What holds when it is left out.
    pub default: Default,
    /// What it means, in one line.
    pub doc: &'static str,
}

impl Key {
    /// Its section, such as `optim` or `data.fields`.
    pub fn section(&self) -> &'static str {
        self.name.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The last part of its name.
    pub fn field(&self) -> &'static str {
        self.name.rsplit_once('.').map_or(self.name, |(_, field)| field)
    }
}

/// What holds when a key is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Default {
    /// Nothing does: the key has to be there.
    Required,
    /// The preset and the fidelity decide.
    Preset,
    /// The other key has to be there; both at once are refused.
    InsteadOf(&'static str),
    /// A text.
    Text(&'static str),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A switch.
    Flag(bool),
    /// A list of words.
    Words(&'static [&'static str]),
    /// A list of numbers.
    Numbers(&'static [f64]),
}

impl Default {
    /// The value to fill in, when there is a fixed one.
    pub(crate) fn value(self) -> Option<toml::Value> {
        use toml::Value;
        match self {
            Self::Required | Self::Preset | Self::InsteadOf(_) => None,
            Self::Text(text) => Some(Value::from(text)),
            Self::Integer(number) => Some(Value::from(number)),
            Self::Number(number) => Some(Value::from(number)),
            Self::Flag(flag) => Some(Value::from(flag)),
            Self::Words(words) => Some(Value::from(words.to_vec())),
            Self::Numbers(numbers) => Some(Value::from(numbers.to_vec())),
        }
    }
}

impl std::fmt::Display for Default {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Required => write!(out, "required"),
            Self::Preset => write!(out, "from the preset"),
            Self::InsteadOf(other) => write!(out, "give this or `{other}`"),
            // Debug prints a small number as 1e-8 where TOML would print every zero.
            Self::Number(number) => write!(out, "`{number:?}`"),
            _ => match self.value() {
                Some(value) => write!(out, "`{value}`"),
                None => Ok(()),
            },
        }
    }
}

/// The presets by name, as [`crate::Preset`] reads them.
const PRESETS: &[&str] = &[
    "vigos",
    "opsd",
    "opsd-same-prompt",
    "vigos-no-perception",
    "vigos-no-reasoning",
    "vigos-forward-reference",
    "vigos-no-reference",
];

const TARGETS: &[&str] = &["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

pub(crate) const COUNT: Kind = Kind::Integer { min: 0, max: 1_000_000_000 };
pub(crate) const POSITIVE: Kind = Kind::Integer { min: 1, max: 1_000_000_000 };
pub(crate) const ABOVE_ZERO: Kind = Kind::Number(Bounds::above(0.0));
pub(crate) const NOT_NEGATIVE: Kind = Kind::Number(Bounds::at_least(0.0));

pub(crate) const fn key(name: &'static str, kind: Kind, default: Default, doc: &'static str) -> Key {
    Key { name, kind, default, doc }
}

/// Every key outside the teacher table, section by section.
#[rustfmt::skip]
pub static KEYS: &[Key] = &[
    key("model.path", Kind::Filled, Default::Required,
        "Folder of the base model in Hugging Face layout, or `hf:ORG/NAME[@REVISION]`. It is never changed."),
    key("model.adapter", Kind::Text, Default::Text(""),
        "PEFT adapter to start from, a folder or `hf:ORG/NAME[@REVISION]`; `[lora]` must agree with its rank, alpha and \
         names of layers. Empty: a new adapter."),
    key("data.path", Kind::Filled, Default::Required,
        "The data set: a JSON Lines file, a Parquet file, a folder of Parquet files, `hf:ORG/NAME@SPLIT`, or `shapes:SPLIT`, \
         see [world.md](world.md)."),
    key("data.split", Kind::Text, Default::Text(""),
        "Split to read from a folder of Parquet files. Empty: the only one."),
    key("data.limit", COUNT, Default::Integer(0),
        "Use the first so many rows only. 0: all."),
    key("data.min_image_side", COUNT, Default::Integer(0),
        "Leave out rows with an image whose shorter side has fewer pixels. 0: keep all."),
    key("data.max_pixels", COUNT, Default::Integer(0),
        "Scale larger images down to at most so many pixels. 0: the model's own limit."),
    key("data.max_bad_share", Kind::Number(Bounds::at_least(0.0).up_to(1.0)), Default::Number(0.0),
        "Share of the rows read that may be unusable, such as broken images; they are left out and listed in `quarantine.jsonl`. 0: the first one ends the run."),
    key("data.fields.problem", Kind::Filled, Default::Text("problem"),
        "Field of a row that holds the question."),
    key("data.fields.image", Kind::Filled, Default::Text("image"),
        "Field of a row that holds the image or images; the default also reads `images`."),
    key("data.fields.answer", Kind::Filled, Default::Text("answer"),
        "Field of a row that holds the reference answer."),
    key("data.fields.id", Kind::Filled, Default::Text("id"),
        "Field of a row that holds its name; the default also reads the column `problem_id`. Rows without one are numbered."),

    key("method.preset", Kind::Choice(PRESETS), Default::Text("vigos"),
        "The method that the student's prompt and the teacher table start from."),
    key("method.fidelity", Kind::Choice(&["paper", "released"]), Default::Text("paper"),
        "Where the paper and the authors' released code differ, which of them to follow."),
    key("method.student_prompt", Kind::Name, Default::Preset,
        "Template of the student's prompt."),
    key("method.student_prefill", Kind::Text, Default::Preset,
        "Text that the student's answer starts with; it is given, not sampled."),
    key("method.temperature", ABOVE_ZERO, Default::Number(1.0),
        "Divides the logits of student and teacher before the divergence."),
    key("method.clip", NOT_NEGATIVE, Default::Number(0.05),
        "Largest divergence of a token, in nats; above it the gradient is zero. 0: off."),
    key("method.boundary_clip", NOT_NEGATIVE, Default::Number(0.0),
        "The same for the last description token and the first reasoning token. 0: off."),
    key("method.prompts", Kind::Text, Default::Text(""),
        "Folder with the prompt templates, `<name>.txt`. Empty: the built-in ones."),
    key("method.teacher", Kind::Teachers, Default::Preset,
        "The teacher table; writing it out replaces the preset's."),

    key("rollout.temperature", NOT_NEGATIVE, Default::Number(1.1),
        "Sampling temperature. 0: always the most likely token."),
    key("rollout.top_k", COUNT, Default::Integer(20),
        "Sample among the so many most likely tokens. 0: off."),
    key("rollout.top_p", Kind::Number(Bounds::above(0.0).up_to(1.0)), Default::Number(0.95),
        "Sample among the fewest tokens whose probabilities add up to this. 1: off."),
    key("rollout.min_p", Kind::Number(Bounds::at_least(0.0).up_to(1.0)), Default::Number(0.0),
        "Leave out tokens less likely than this share of the most likely one. 0: off."),
    key("rollout.repetition_penalty", ABOVE_ZERO, Default::Number(1.0),
        "Factor against tokens that the prompt or the completion has. 1: off."),
    key("rollout.presence_penalty", Kind::Number(Bounds::at_least(-100.0).up_to(100.0)), Default::Number(0.0),
        "Taken off the logits of tokens that the completion has. 0: off."),
    key("rollout.max_new_tokens", POSITIVE, Default::Integer(4096),
        "Tokens after which a completion is cut off."),
    key("rollout.batch", POSITIVE, Default::Integer(8),
        "Completions that are decoded together."),

    key("lora.rank", POSITIVE, Default::Integer(64),
        "Rank of the adapter's two factors."),
    key("lora.alpha", ABOVE_ZERO, Default::Number(128.0),
        "The adapter's output is scaled by alpha / rank."),
    key("lora.dropout", Kind::Number(Bounds::at_least(0.0).below(1.0)), Default::Number(0.05),
        "Share of the adapter's inputs dropped in the student's training forward."),
    key("lora.targets", Kind::Words, Default::Words(TARGETS),
        "Names of the linear layers that get an adapter, in the vision tower too."),

    key("optim.lr", ABOVE_ZERO, Default::Number(5e-6),
        "Learning rate at its highest."),
    key("optim.betas", Kind::Pair(Bounds::at_least(0.0).below(1.0)), Default::Numbers(&[0.9, 0.999]),
        "AdamW's decay rates of the mean and of the square of the gradient."),
    key("optim.eps", ABOVE_ZERO, Default::Number(1e-8),
        "AdamW's term against division by zero."),
    key("optim.weight_decay", NOT_NEGATIVE, Default::Number(0.0),
        "AdamW's decoupled weight decay."),
    key("optim.schedule", Kind::Choice(&["linear", "constant", "cosine"]), Default::Text("linear"),
        "How the learning rate goes from its highest to the end: linear and cosine fall to 0."),
    key("optim.warmup_steps", COUNT, Default::Integer(0),
        "Steps in which the learning rate rises from 0 to its highest."),
    key("optim.max_grad_norm", NOT_NEGATIVE, Default::Number(0.1),
        "Largest norm of the gradient over all trained tensors together. 0: off."),

    key("train.steps", POSITIVE, Default::InsteadOf("train.epochs"),
        "Optimiser steps to train."),
    key("train.epochs", ABOVE_ZERO, Default::InsteadOf("train.steps"),
        "Passes over the data set to train; may be a fraction."),
    key("train.batch", POSITIVE, Default::Integer(2),
        "Samples in a micro-batch: rolled out, scored and normalised together."),
    key("train.accumulate", POSITIVE, Default::Integer(16),
        "Micro-batches whose gradients are averaged into one optimiser step."),
    key("train.seed", Kind::Integer { min: 0, max: i64::MAX }, Default::Integer(42),
        "Seed of everything that is drawn: order, samples, dropout, the new adapter."),
    key("train.precision", Kind::Choice(&["f32", "bf16"]), Default::Text("f32"),
        "Number format of weights and activations; the divergence and the optimiser are always f32."),
    key("train.max_prompt_tokens", POSITIVE, Default::Integer(32768),
        "A sample with a longer prompt is skipped and counted, never cut."),

    key("checkpoint.every", COUNT, Default::Integer(50),
        "Steps between checkpoints. 0: at the end only."),
    key("checkpoint.keep", COUNT, Default::Integer(3),
        "Newest checkpoints to keep. 0: all."),

    key("log.every", POSITIVE, Default::Integer(1),
        "Steps between lines of metrics."),
    key("log.rollouts_every", COUNT, Default::Integer(10),
        "Steps between snapshots of rollouts. 0: none."),
    key("log.rollouts_max", POSITIVE, Default::Integer(8),
        "Rollouts in a snapshot at most."),
    key("log.tensorboard", Kind::Flag, Default::Flag(true),
        "Also write the metrics for TensorBoard."),

    key("eval.path", Kind::Text, Default::Text(""),
        "The data set that `vigos eval` asks, named like `data.path`. Empty: that one."),
    key("eval.split", Kind::Text, Default::Text(""),
        "Split of it, like `data.split`."),
    key("eval.limit", COUNT, Default::Integer(0),
        "Ask the first so many rows of each data set only. 0: all."),
    key("eval.layout", Kind::Choice(&["rows", "vilp-f", "vilp-p"]), Default::Text("rows"),
        "Layout of its rows: like those of `data.path`, or ViLP's, with or without the sentence that states a fact."),
    key("eval.prior", Kind::Text, Default::Text(""),
        "A prior suite to ask as well, for Score and Prior. Empty: none."),
    key("eval.samples", Kind::Integer { min: 1, max: 10_000 }, Default::Integer(5),
        "Completions sampled for each item."),
    key("eval.k", COUNT, Default::Integer(0),
        "The k of Pass@k, at most `eval.samples`. 0: all of them."),
    key("eval.temperature", NOT_NEGATIVE, Default::Number(1.0),
        "Sampling temperature. 0: always the most likely token."),
    key("eval.top_k", COUNT, Default::Integer(20),
        "Sample among the so many most likely tokens. 0: off."),
    key("eval.top_p", Kind::Number(Bounds::above(0.0).up_to(1.0)), Default::Number(0.9),
        "Sample among the fewest tokens whose probabilities add up to this. 1: off."),
    key("eval.min_p", Kind::Number(Bounds::at_least(0.0).up_to(1.0)), Default::Number(0.0),
        "Leave out tokens less likely than this share of the most likely one. 0: off."),
    key("eval.max_new_tokens", POSITIVE, Default::Integer(4096),
        "Tokens after which a completion is cut off."),
    key("eval.batch", POSITIVE, Default::Integer(8),
        "Completions that are decoded together."),
    key("eval.seed", Kind::Integer { min: 0, max: i64::MAX }, Default::Integer(42),
        "Seed of the draws."),
    key("eval.around", Kind::Flag, Default::Flag(false),
        "Whether `vigos train` ends with an evaluation of the student before and after training, side by side."),

    key("palr.wrong_answers", Kind::Integer { min: 1, max: 64 }, Default::Integer(4),
        "Wrong answers that `vigos palr` sets in the reference's place, at most."),
    key("palr.seed", Kind::Integer { min: 0, max: i64::MAX }, Default::Integer(42),
        "Seed of its rollouts and of the wrong answers."),
];

/// Every key of a `[[method.teacher]]`.
#[rustfmt::skip]
pub static TEACHER_KEYS: &[Key] = &[
    key("method.teacher.name", Kind::Name, Default::Required,
        "Name of its loss in metrics; teachers of one name make up one loss."),
    key("method.teacher.context", Kind::Subset(&["image", "problem", "reference"]), Default::Required,
        "What it is shown."),
    key("method.teacher.prompt", Kind::Name, Default::Required,
        "Template of its prompt; it names exactly what the context lists."),
    key("method.teacher.prefill", Kind::Text, Default::Text("<description>"),
        "Text that its answer starts with, before the student's tokens."),
    key("method.teacher.reads", Kind::Choice(&["completion", "span"]), Default::Text("completion"),
        "What follows the prefill: the completion as sampled, or its supervised span's tokens alone."),
    key("method.teacher.spans", Kind::Subset(&["description", "reasoning_answer", "completion"]), Default::Required,
        "The tokens it supervises."),
    key("method.teacher.when", Kind::Choice(&["valid", "invalid", "always"]), Default::Required,
        "The rollouts it supervises: those that keep the output format, those that do not, all."),
    key("method.teacher.divergence", Kind::Choice(&["forward", "reverse"]), Default::Text("forward"),
        "`forward`: KL(teacher‖student), `reverse`: KL(student‖teacher)."),
    key("method.teacher.weight", NOT_NEGATIVE, Default::Number(1.0),
        "Weight of its loss in the sum. 0: the teacher is not run."),
];

/// All keys of a ViGOS recipe as Markdown tables: the reference part of `docs/config.md`.
pub fn reference() -> String {
    tables(KEYS.iter().chain(TEACHER_KEYS))
}

/// Keys as Markdown tables, one a section.
pub(crate) fn tables<'a>(keys: impl Iterator<Item = &'a Key>) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in keys {
        let head = key.section();
        if head != section {
            section = head;
            let title =
                if head == "method.teacher" { "[[method.teacher]]".into() } else { format!("[{head}]") };
            let gap = if text.is_empty() { "" } else { "\n" };
            text += &format!(
                "{gap}### `{title}`\n\n| key | takes | default | meaning |\n| --- | --- | --- | --- |\n"
            );
        }
        text += &format!("| `{}` | {} | {} | {} |\n", key.name, key.kind, key.default, key.doc);
    }
    text
}
