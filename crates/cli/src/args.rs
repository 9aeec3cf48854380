//! The command line: every command, its arguments and what `--help` says.

mod bench;
mod data;
mod experiment;
mod hub;
mod installed;
mod model;
mod recipe;
mod report;
mod serve;
mod train;
mod watch;

pub(crate) use bench::{
    BenchArgs, BenchDecodeArgs, BenchDirection, BenchKernelsArgs, BenchLossArgs, BenchModelArgs,
    BenchPrecision, BenchStepArgs,
};
pub(crate) use data::{
    CheckArgs, ConvertArgs, DataArgs, DataCommand, ReadArgs, RowFormat, ShapesArgs, TokenizerArgs,
};
pub(crate) use experiment::ExperimentArgs;
pub(crate) use hub::{HubArgs, HubCommand, PushArgs};
pub(crate) use installed::{CompletionsArgs, ExampleArgs, ManArgs};
pub(crate) use model::{ModelArgs, Precision};
pub(crate) use recipe::{PresetsArgs, SchemaArgs};
pub(crate) use report::{CompareArgs, ReportArgs};
pub(crate) use serve::ServeArgs;
pub(crate) use train::{DistilArgs, Overrides, TrainArgs};
pub(crate) use watch::{TopArgs, WatchArgs};

use crate::device::Choice;
use clap::{Args, Parser, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Trains vision-language models to look before they reason: visually grounded on-policy self-distillation.
#[derive(Debug, Parser)]
#[command(name = "vigos", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 success, 1 run-time failure, 2 bad usage or bad input, 130 and 143 \
    after SIGINT and SIGTERM (what was done is saved), 75 when the time of --save-by is up.\n\n\
    Example:\n  vigos train configs/shapes.toml")]
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
    /// Write when each phase of the work ran (data, image, prefill, decode, teachers, student, loss, backward,
    /// optimiser) to a file that trace viewers open, such as ui.perfetto.dev.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train an adapter by a recipe.
    #[command(after_help = "Examples:\n  \
        vigos train configs/shapes.toml\n  \
        vigos train configs/vigos-3b.toml --device cuda:0 --run-dir runs/a \\\n      \
        --set optim.lr=1e-5\n  \
        vigos train configs/vigos-3b.toml --run-dir runs/a --resume\n  \
        vigos train configs/shapes.toml --dry-run\n\n\
        Ctrl-C saves the last whole step and ends (exit code 130); --resume goes on from there.")]
    Train(DistilArgs),
    /// Train on given completions: all weights of a model, or an adapter.
    #[command(after_help = "Examples:\n  \
        vigos sft configs/first-lessons.toml\n  \
        vigos sft configs/first-lessons.toml --run-dir runs/adapter \\\n      \
        --set train.weights=adapter\n  \
        vigos sft configs/first-lessons.toml --resume\n\n\
        A data row:\n  \
        {\"image\": \"a.png\", \"prompt\": \"What is it?\", \"completion\": \"A cat.\"}\n\n\
        What is learnt is the completion and the token that ends it. The run's folder gets model/ or adapter/, \
        which every other command reads. Ctrl-C saves the last whole step and ends (exit code 130); --resume \
        goes on from there.")]
    Sft(TrainArgs),
    /// Complete a prompt about one or more images.
    #[command(after_help = "Example:\n  \
        vigos generate --model assets/tiny-qwen2_5-vl \\\n      \
        --image tests/fixtures/images/wide.png \\\n      \
        --prompt 'What is in the image?' --max-new-tokens 32 --json\n\n\
        --json writes one object: prompt_token_ids, token_ids, logprobs (of token_ids, under the unmodified \
        softmax), text, finish_reason (stop or length).")]
    Generate(GenerateArgs),
    /// Score given completions: log-probability, entropy and most probable token of every token.
    #[command(after_help = "Example:\n  \
        vigos score --model assets/tiny-qwen2_5-vl \\\n      \
        --input rows.jsonl --output scores.jsonl\n\n\
        An input line:\n  \
        {\"id\": 1, \"image\": \"a.png\", \"prompt\": \"What?\", \"completion\": \"A cat.\"}\n  \
        image   a path below the input's folder; images, a list, for several\n  \
        prompt  the user's text, may be empty; prefill is optional\n  \
        completion, a text whose special tokens count, or completion_token_ids\n\n\
        An output line: id, token_ids, logprobs, entropy (in nats) and top1, a value for each token. \
        Every row is checked before the first is scored.")]
    Score(ScoreArgs),
    /// Run one optimiser step on recorded completions and write down all that it computes.
    #[command(after_help = "Example:\n  \
        vigos replay configs/first-light.toml --rollouts runs/a.jsonl --out replay\n\n\
        The output folder gets step.json, grads.safetensors (before clipping by norm) and adapter/.")]
    Replay(ReplayArgs),
    /// Ask the student of a recipe questions, grade its answers and sum them up.
    #[command(after_help = "Examples:\n  \
        vigos eval configs/first-light.toml --set eval.limit=20\n  \
        vigos eval configs/vigos-3b.toml --data test.jsonl \\\n      \
        --adapter runs/a/checkpoints/step-000050\n  \
        vigos eval configs/vigos-3b.toml --data hf:ViLP/ViLP@train \\\n      \
        --set eval.layout=vilp-f --set eval.samples=1\n\n\
        The section [eval] says what is asked and how answers are sampled. The report goes to stdout; the run's \
        folder gets it as report.md and report.json, and every answer in samples.jsonl. Ctrl-C stops, --resume \
        goes on.")]
    Eval(EvaluateArgs),
    /// Tell how much of what the teachers of a recipe teach hangs on the reference answer alone (PALR).
    #[command(after_help = "Examples:\n  \
        vigos palr configs/first-light.toml --set data.limit=8\n  \
        vigos palr configs/vigos-3b.toml --set data.limit=200 \\\n      \
        --adapter runs/a/checkpoints/step-000050\n  \
        vigos palr configs/vigos-3b.toml --run-dir runs/palr-opsd \\\n      \
        --set method.preset=opsd-same-prompt\n\n\
        Rollouts are sampled as [rollout] says, or read from --rollouts. The report goes to stdout; the run's folder \
        gets it as report.md and report.json, and every token's values in tokens.jsonl. Ctrl-C stops, --resume \
        goes on.")]
    Palr(PalrArgs),
    /// Run methods by seeds, and make tables and plots of what they come to.
    #[command(after_help = "Examples:\n  \
        vigos experiment configs/experiment.toml\n  \
        vigos experiment configs/experiment.toml --print-plan\n  \
        vigos experiment configs/experiment.toml --report-only\n\n\
        Every run is trained, evaluated at each checkpoint that it keeps, and diagnosed if the file \
        says so; runs that are done are not done again. Ctrl-C stops after the last whole step, the \
        same command goes on. The tables go to stdout; the results' folder gets them as results.md, \
        every number as results.json, and the plots as SVG and PNG. docs/experiment.md explains the file.")]
    Experiment(ExperimentArgs),
    /// Make one page of runs: what ran, curves, rollouts token by token, evaluations.
    #[command(after_help = "Examples:\n  \
        vigos report runs/shapes --out shapes.html\n  \
        vigos report runs/shapes runs/shapes-opsd --out both.html\n  \
        vigos report runs/shapes-eval runs/shapes-palr --out answers.html\n\n\
        The page is one file below 10 MB that loads nothing: open it in a browser, send it to someone. It shows what \
        the folders have; what is not there is left out and said so. A run writes its own as report.html in its \
        folder when it ends, and every report.every steps. docs/report.md explains it.")]
    Report(ReportArgs),
    /// Set runs side by side: recipes, metrics, answers to the same questions.
    #[command(after_help = "Examples:\n  \
        vigos compare runs/shapes runs/shapes-opsd\n  \
        vigos compare runs/before-eval runs/after-eval --json\n\n\
        Keys of the recipes that differ, what the metrics came to, accuracy with a paired bootstrap interval over the \
        items of both, and the questions that they answer differently. The answers are a run's own, or those of the \
        last checkpoint that it evaluated.")]
    Compare(CompareArgs),
    /// Serve a model and its adapters as OpenAI's API does.
    #[command(after_help = "Examples:\n  \
        vigos serve --model assets/shapes-qwen2_5-vl\n  \
        vigos serve --model Qwen2.5-VL-3B-Instruct \\\n      \
        --adapter mine=runs/a/checkpoints/step-000050 \\\n      \
        --media-root images --api-key-env VIGOS_KEY\n\n\
        /v1/chat/completions, /v1/completions, /v1/models and /health. An adapter's name is a model's. Ctrl-C lets \
        requests under way end, then ends it (exit code 130). docs/serve.md has the rest.")]
    Serve(Box<ServeArgs>),
    /// Serve the page of a run while it goes, to this machine alone.
    #[command(after_help = "Examples:\n  \
        vigos watch runs/shapes\n  \
        vigos watch runs --listen 127.0.0.1:9000\n\n\
        Of a folder with several runs a list comes first. The page is that of `vigos report`; it loads anew when the \
        run has written something, at most every 3 seconds. Over ssh: ssh -L 7878:127.0.0.1:7878 HOST. Ctrl-C ends it.")]
    Watch(WatchArgs),
    /// Show a run in the terminal while it goes: curves, where its time goes, the last rollouts.
    #[command(after_help = "Example:\n  \
        vigos top runs/shapes\n\n\
        Keys: up and down choose a curve, left and right a rollout, PgUp and PgDn scroll its text, q quits.")]
    Top(TopArgs),
    /// Make a model folder with random weights, for tests and benchmarks.
    #[command(after_help = "Example:\n  \
        vigos init assets/tiny-qwen2_5-vl/config.json --out tiny --seed 1\n\n\
        Tokenizer, processor and template files beside the configuration are copied.")]
    Init(InitArgs),
    /// Look at data, convert it, or make some: the drawn world of shapes, a tokenizer for its language.
    #[command(after_help = "Examples:\n  \
        vigos data shapes --out shapes\n  \
        vigos data tokenizer shapes/warmup.jsonl --out shapes-start \\\n      \
        --config configs/models/shapes/config.json")]
    Data(DataArgs),
    /// Merge an adapter into its base: a model folder that needs no adapter.
    #[command(after_help = "Example:\n  \
        vigos merge --model Qwen2.5-VL-3B-Instruct --out merged --check \\\n      \
        --adapter runs/a/checkpoints/step-000050\n\n\
        The arithmetic is f32; files, dtypes and everything beside the weights stay as in the base. \
        --check scores a prompt with base and adapter and with the merged model, and fails if they differ by \
        more than the rounding of the stored weights explains.")]
    Merge(MergeArgs),
    /// Send results to the Hugging Face hub.
    #[command(after_help = "Example:\n  vigos hub push runs/shapes me/shapes-adapter")]
    Hub(HubArgs),
    /// Measure this build on a device against named baselines.
    #[command(subcommand)]
    #[command(after_help = "Example:\n  vigos bench loss --rows 64 --vocab 32000 --hidden 256 --json")]
    Bench(BenchArgs),
    /// Show what the student and every teacher read of one row of the data.
    #[command(after_help = "Example:\n  \
        vigos prompts configs/first-light.toml --row 3\n\n\
        Each prompt is shown as rendered, with the number of its tokens and the places of its images' tokens; a \
        single image token stands for all of its image's. No weights are read. To change a prompt, copy \
        configs/prompts/vigos, edit the copy and name it: --set method.prompts=FOLDER.\n\n\
        --json writes one object: row, id, origin, problem, answer, reference, images, prompts, skipped.")]
    Prompts(PromptsArgs),
    /// Write the JSON Schema of a recipe, with which an editor completes one.
    #[command(after_help = "Example:\n  \
        vigos schema train > train.json\n\n\
        Taplo and what is made with it read the first line of a recipe: #:schema train.json")]
    Schema(SchemaArgs),
    /// List the methods that a recipe can name, or write one out to change it.
    #[command(after_help = "Examples:\n  \
        vigos presets\n  \
        vigos presets vigos --released\n\n\
        What is written is the section [method] of a recipe; a table there replaces the preset's.")]
    Presets(PresetsArgs),
    /// Write the first job, which comes with this program, into a folder: recipe, prompts, a small model.
    #[command(after_help = "Example:\n  \
        vigos example --out first-run\n  \
        cd first-run\n  \
        vigos train configs/shapes.toml\n\n\
        Nothing is fetched. A checkout of the project has the same files already.")]
    Example(ExampleArgs),
    /// Write the completions of a shell to stdout.
    #[command(after_help = "Examples:\n  \
        vigos completions bash > ~/.local/share/bash-completion/completions/vigos\n  \
        vigos completions zsh > \"${fpath[1]}/_vigos\"\n  \
        vigos completions fish > ~/.config/fish/completions/vigos.fish")]
    Completions(CompletionsArgs),
    /// Write the manual: the first page to stdout, or a page for each command into a folder.
    #[command(after_help = "Examples:\n  \
        vigos man | man -l -\n  \
        vigos man --out ~/.local/share/man/man1")]
    Man(ManArgs),
    /// List compiled-in backends and devices, and test each device; or estimate the memory of a recipe.
    #[command(after_help = "Examples:\n  \
        vigos doctor --json\n  \
        vigos doctor --config configs/vigos-3b.toml --memory 80\n\n\
        With --config nothing is loaded or tested: the recipe and the model's config.json are enough. Without \
        --memory the estimate is held against what is available, where the device computes in the machine's memory or \
        its driver tells. docs/memory.md explains the lines.")]
    Doctor(DoctorArgs),
    /// Test whether a device computes what it should: operators against f64, a step against recorded numbers.
    #[command(after_help = "Examples:\n  \
        vigos selftest --device cuda:0\n  \
        vigos selftest --device vulkan:0 --json\n\n\
        A run on a GPU begins with it, once for each device, driver and program. Exit code 1: something differs; the \
        message says by how much and what avoids it. docs/backends.md has the rest.")]
    Selftest(SelftestArgs),
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
    /// Where the scores go, JSON Lines; a file of this name is replaced. `-` is stdout.
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
pub(crate) struct EvaluateArgs {
    /// The recipe, a TOML file.
    #[arg(value_name = "CONFIG")]
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// The student's adapter, a PEFT folder such as a checkpoint of a run; model.adapter of the recipe unless given.
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// Ask this data set instead of those that the recipe names.
    #[arg(long, value_name = "DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Folder for the results; runs/ and the recipe's name with -eval or -palr unless given.
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// Go on in that folder.
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PalrArgs {
    #[command(flatten)]
    pub(crate) evaluate: EvaluateArgs,
    /// Diagnose these completions instead of sampling, JSON Lines: id, completion_token_ids. A run's snapshots of
    /// rollouts are such files.
    #[arg(long, value_name = "FILE")]
    pub(crate) rollouts: Option<PathBuf>,
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
    /// Model folder in Hugging Face layout, or hf:ORG/NAME, with @REVISION if wanted.
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Adapter folder in PEFT layout, or hf:ORG/NAME, with @REVISION if wanted.
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
pub(crate) struct PromptsArgs {
    /// The recipe, a TOML file.
    #[arg(value_name = "CONFIG")]
    pub(crate) config: PathBuf,
    /// Which row of the data set, counted from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) row: usize,
    /// Write one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
}

#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    /// Let products in TF32 or f16 pass where f32 is asked for, as train.fast_math does for a run.
    #[arg(long)]
    pub(crate) fast_math: bool,
    /// Write one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Estimate the memory that training by this recipe takes, instead of testing devices.
    #[arg(long, value_name = "CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Tokens of the longest prompt to plan for, images' included, and never more than train.max_prompt_tokens;
    /// unless given that of the first rows of the recipe's data, or 2048 where they are not at hand.
    #[arg(long, value_name = "N", requires = "config")]
    pub(crate) prompt_tokens: Option<usize>,
    /// Memory of the device to plan for, in GB (10^9 bytes).
    #[arg(long, value_name = "GB", requires = "config", allow_negative_numbers = true)]
    pub(crate) memory: Option<f64>,
    /// Ranks of one machine, each with a base of its own: where they compute in its memory they share it.
    #[arg(long, value_name = "N", requires = "config", default_value = "1")]
    pub(crate) ranks: NonZeroUsize,
    /// A table in place of one model: those in configs/models, in bf16, int8 and int4, on cards of 8 to 80 GB.
    #[arg(long, requires = "config", conflicts_with = "memory")]
    pub(crate) cards: bool,
    /// Override one key of the recipe, such as train.batch=1. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    pub(crate) set: Vec<String>,
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
            has_example(sub, &format!("vigos {}", sub.get_name()));
            for below in sub.get_subcommands().filter(|below| below.get_name() != "help") {
                has_example(below, &format!("vigos {} {}", sub.get_name(), below.get_name()));
            }
        }
    }
    fn has_example(command: &clap::Command, call: &str) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains(call), "{call}");
        // What may be pasted must not be wrapped.
        let long = help.lines().find(|line| line.starts_with("  ") && line.len() > 78);
        assert_eq!(long, None, "{call}");
    }
}
