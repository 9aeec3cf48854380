//! Arguments of `vigos data`.

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// What to make.
    #[command(subcommand)]
    pub(crate) what: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Look at a data set before a run: layout, rows, images, answers, prompts, the first rows that cannot be used.
    #[command(after_help = "Examples:\n  \
        vigos data check rows.jsonl\n  \
        vigos data check llava.json --image-root images --turns each\n  \
        vigos data check configs/shapes.toml --set data.limit=1000\n  \
        vigos data check rows.parquet --json\n\n\
        A file that ends with .toml is a recipe, of vigos train or vigos sft: then prompts are measured with its \
        model, and steps and tokens are estimated. Nothing is written. The exit code is 0 if the data set can be \
        opened and a row can be used. docs/data.md has the layouts and formats.")]
    Check(CheckArgs),
    /// Write a data set anew, as JSON Lines with image files beside it or as Parquet with the images inside.
    #[command(after_help = "Examples:\n  \
        vigos data convert llava.json --image-root images --out rows.jsonl\n  \
        vigos data convert shards/ --out rows.parquet\n  \
        vigos data convert talks.jsonl --turns each --out rows.jsonl\n\n\
        Rows have id, image or images, problem and answer; a row with a history has messages in the place of problem. \
        Images below the folder of the new file stay where they are, all others are written to NAME-images beside it.")]
    Convert(ConvertArgs),
    /// Draw the world of shapes: images, questions, answers, and what is expected before looking.
    #[command(after_help = "Examples:\n  \
        vigos data shapes --out shapes\n  \
        vigos data shapes --out careless --seed 7 --set train.prior_references=0.9\n  \
        vigos data shapes --out small --format both --set splits.train=200\n\n\
        The folder gets warmup.jsonl, train.jsonl, test.jsonl, prior.jsonl, images/, sheet.png (a look at the \
        first pictures) and world.toml: every dial with its value, and what --config takes. docs/world.md \
        explains the dials. The same seed and dials give the same bytes on every machine.")]
    Shapes(ShapesArgs),
    /// Train a tokenizer on the texts of a data set, for a model that starts from nothing.
    #[command(after_help = "Example:\n  \
        vigos data tokenizer shapes/warmup.jsonl --out shapes-start \\\n      \
        --config configs/models/shapes/config.json\n  \
        vigos init shapes-start/config.json --out shapes-model --seed 1\n\n\
        Read are the texts under problem, answer, prompt and completion. The folder gets tokenizer.json, \
        tokenizer_config.json, chat_template.jinja, preprocessor_config.json, generation_config.json, and the \
        configuration with this tokenizer's vocabulary and token ids.")]
    Tokenizer(TokenizerArgs),
}

/// How a data set that no recipe names is read.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// Where rows say what: auto, rows, llava, messages, sharegpt, trl, vqa or instruction.
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) layout: Option<String>,
    /// What becomes of conversations of several questions: refuse, last or each.
    #[arg(long, value_name = "TURNS")]
    pub(crate) turns: Option<String>,
    /// Folder that image paths are relative to, instead of the data set's own.
    #[arg(long, value_name = "DIR")]
    pub(crate) image_root: Option<PathBuf>,
    /// Split to read from a folder.
    #[arg(long, value_name = "SPLIT")]
    pub(crate) split: Option<String>,
    /// Set one key of a recipe's [data], such as data.fields.problem=question. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The data set, whatever data.path may name, or a recipe.
    #[arg(value_name = "FILE|RECIPE")]
    pub(crate) input: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Write one JSON object to stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// The data set, whatever data.path may name, or a recipe.
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// The new file; it ends with .jsonl or .parquet.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Share of the rows that may be unusable and is left out.
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pub(crate) max_bad_share: f64,
}

#[derive(Debug, Args)]
pub(crate) struct ShapesArgs {
    /// Folder to make.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Seed of everything that is drawn; the same as --set seed=S.
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Dials that differ from the defaults, a TOML file such as another world's world.toml.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Override one dial, such as train.conflict=0.5. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t = RowFormat::Jsonl)]
    pub(crate) format: RowFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RowFormat {
    /// JSON Lines, and PNG files in images/.
    Jsonl,
    /// Parquet files with the images inside, in parquet/, as on the hub.
    Parquet,
    /// Both of them.
    Both,
}

#[derive(Debug, Args)]
pub(crate) struct TokenizerArgs {
    /// Data sets to read, JSON Lines.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// The model's configuration, a config.json.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Folder to make.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Most tokens; merging ends earlier when every word is one.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = vocabularies())]
    pub(crate) vocab_size: usize,
}

/// Sizes of vocabularies: memory is set aside for all of it.
fn vocabularies() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=2_000_000)
}
