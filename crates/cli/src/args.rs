//! The command line: every command, its arguments and what `--help` says.

use crate::device::Choice;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Trains vision-language models to look before they reason: visually grounded on-policy self-distillation.
#[derive(Debug, Parser)]
#[command(name = "vigos", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 success, 1 run-time failure, 2 bad usage or bad input.\n\n\
    Example:\n  vigos train configs/first-light.toml")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// Arguments of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Global {
    /// Where to compute: auto, or a backend and the number of its device, such as flex, cuda:0, vulkan:1.
    /// `vigos doctor` lists them.
    #[arg(long, global = true, value_name = "DEVICE", default_value_t = Choice::Auto)]
    pub(crate) device: Choice,
    /// Say more on stderr; twice for details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train an adapter by a recipe.
    #[command(after_help = "Examples:\n  \
        vigos train configs/first-light.toml\n  \
        vigos train configs/vigos-3b.toml --device cuda:0 --set optim.lr=1e-5 --run-dir runs/a\n  \
        vigos train configs/vigos-3b.toml --run-dir runs/a --resume\n\n\
        Ctrl-C saves the last whole step and ends; --resume goes on from there.")]
    Train(TrainArgs),
    /// Train on given completions: all weights of a model, or an adapter.
    #[command(after_help = "Examples:\n  \
        vigos sft configs/first-lessons.toml\n  \
        vigos sft configs/first-lessons.toml --set train.weights=adapter --run-dir runs/adapter\n  \
        vigos sft configs/first-lessons.toml --resume\n\n\
        A data row: {\"id\": \"1\", \"image\": \"a.png\", \"prompt\": \"What is it?\", \"prefill\": \"\", \
        \"completion\": \"A cat.\"}\n\
        What is learnt is the completion and the token that ends it. The run's folder gets model/ or adapter/,\n\
        which every other command reads. Ctrl-C saves the last whole step and ends; --resume goes on from there.")]
    Sft(TrainArgs),
    /// Complete a prompt about one or more images.
    #[command(after_help = "Example:\n  \
        vigos generate --model assets/tiny-qwen2_5-vl --image tests/fixtures/images/wide.png \\\n      \
        --prompt 'What is in the image?' --max-new-tokens 32 --json\n\n\
        --json writes one object: prompt_token_ids, token_ids, logprobs (of token_ids, under the unmodified\n\
        softmax), text, finish_reason (stop or length).")]
    Generate(GenerateArgs),
    /// Score given completions: log-probability, entropy and most probable token of every token.
    #[command(after_help = "Example:\n  \
        vigos score --model assets/tiny-qwen2_5-vl --input rows.jsonl --output scores.jsonl\n\n\
        An input line: {\"id\": \"1\", \"image\": \"a.png\", \"prompt\": \"What is it?\", \"prefill\": \"\", \
        \"completion\": \"A cat.\"}\n\
        \x20 image   a path below the input's folder; images, a list, for several\n\
        \x20 prompt  the user's text, may be empty; prefill is optional\n\
        \x20 completion, a text in which special tokens count as such, or completion_token_ids\n\
        An output line: id, token_ids, logprobs, entropy (in nats) and top1, a value for each token.\n\
        Every row is checked before the first is scored.")]
    Score(ScoreArgs),
    /// Run one optimiser step on recorded completions and write down all that it computes.
    #[command(after_help = "Example:\n  \
        vigos replay configs/first-light.toml --rollouts rollouts.jsonl --out replay\n\n\
        The output folder gets step.json, grads.safetensors (before clipping by norm) and adapter/.")]
    Replay(ReplayArgs),
    /// Make a model folder with random weights, for tests and benchmarks.
    #[command(after_help = "Example:\n  \
        vigos init assets/tiny-qwen2_5-vl/config.json --out tiny --seed 1\n\n\
        Tokenizer, processor and template files beside the configuration are copied.")]
    Init(InitArgs),
    /// Merge an adapter into its base: a model folder that needs no adapter.
    #[command(after_help = "Example:\n  \
        vigos merge --model Qwen2.5-VL-3B-Instruct --adapter runs/a/checkpoints/step-000050 --out merged --check\n\n\
        The arithmetic is f32; files, dtypes and everything beside the weights stay as in the base.\n\
        --check scores a prompt with base and adapter and with the merged model, and fails if they differ by\n\
        more than the rounding of the stored weights explains.")]
    Merge(MergeArgs),
    /// List compiled-in backends and devices, and test each device against the host.
    #[command(after_help = "Example:\n  vigos doctor --json")]
    Doctor(DoctorArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The recipe, a TOML file.
    #[arg(value_name = "CONFIG")]
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Folder of the run; runs/ and the recipe's name unless given.
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// Go on with the run in that folder.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Write the effective recipe to stdout, and do nothing else.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) print_config: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Overrides {
    /// Override one key of the recipe, such as optim.lr=1e-5. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// The model to compute with.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// Model folder in Hugging Face layout, or hf:ORG/NAME, with @REVISION if wanted.
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Adapter folder in PEFT layout, such as a checkpoint of a run.
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// Number format of weights and activations.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Precision {
    /// 32-bit floats.
    F32,
    /// 16-bit brain floats: half the memory, about three digits.
    Bf16,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Image files, in order.
    #[arg(long = "image", value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) images: Vec<PathBuf>,
    /// The user's text, after the images.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: String,
    /// How the answer begins; it is not part of the completion.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) prefill: String,
    /// Most tokens to generate.
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) max_new_tokens: usize,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// Write one JSON object with ids and log-probabilities instead of the text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Greedy unless a temperature is given, whatever generation_config.json says.
#[derive(Debug, Args)]
pub(crate) struct SamplingArgs {
    /// Divides the logits; 0 takes the most probable token every time (greedy), and the other settings have
    /// no effect.
    #[arg(long, value_name = "T", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) temperature: f64,
    /// Sample among the K most probable tokens; 0 is off.
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) top_k: usize,
    /// Sample among the fewest tokens whose probabilities add up to P; 1 is off.
    #[arg(long, value_name = "P", default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) top_p: f64,
    /// Leave out tokens less probable than this share of the most probable one; 0 is off.
    #[arg(long, value_name = "P", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) min_p: f64,
    /// Seed of the draws.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Rows to score, JSON Lines.
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Where the scores go, JSON Lines; a file of this name is replaced.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The recipe, a TOML file.
    #[arg(value_name = "CONFIG")]
    pub(crate) config: PathBuf,
    /// Recorded completions, JSON Lines: id, image, problem, answer, completion_token_ids.
    #[arg(long, value_name = "FILE")]
    pub(crate) rollouts: PathBuf,
    /// Folder for the results.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The configuration, a config.json.
    #[arg(value_name = "CONFIG")]
    pub(crate) config: PathBuf,
    /// Folder to make.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Seed of the weights.
    #[arg(long, value_name = "S")]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Model folder in Hugging Face layout.
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Adapter folder in PEFT layout.
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: PathBuf,
    /// Folder to make.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Score a prompt before and after.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Write one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_every_command_has_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("vigos {}", sub.get_name())), "{}", sub.get_name());
        }
    }
}
