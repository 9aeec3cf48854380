//! `vigos data`: the drawn world, and a tokenizer for a model that starts from nothing.

use super::data_check;
use crate::args::{DataArgs, DataCommand, RowFormat, ShapesArgs, TokenizerArgs};
use crate::error::CliError;
use crate::recipe;
use crate::unclaimed::unclaimed;
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;
use vigos_core::files::{FileError, write_atomic_bytes};
use vigos_core::jsonl::{LastLine, ReadOptions, read_lines};
use vigos_processor::tokenizer_training::TrainedTokenizer;
use vigos_recipe::prompts::{PromptError, Prompts};
use vigos_terminal::output::note;
use vigos_terminal::progress::Counter;
use vigos_world::{Format, Warmup, World, WorldError, Writer};

/// The fields of a row that hold language.
const TEXTS: [&str; 4] = ["problem", "answer", "prompt", "completion"];

/// Runs the command.
///
/// # Errors
/// If the input is wrong, or the folder is taken or cannot be written.
pub(crate) fn run(args: &DataArgs) -> Result<(), CliError> {
    match &args.what {
        DataCommand::Check(args) => data_check::check(args),
        DataCommand::Convert(args) => data_check::convert(args),
        DataCommand::Shapes(args) => shapes(args),
        DataCommand::Tokenizer(args) => tokenizer(args),
    }
}

fn shapes(args: &ShapesArgs) -> Result<(), CliError> {
    let seed = args.seed.map(|seed| format!("seed={seed}"));
    let overrides: Vec<String> = args.set.iter().cloned().chain(seed).collect();
    let world = World::new(recipe::world(args.config.as_deref(), &overrides)?)?;
    let prompts = Prompts::load(Some(&world.config().prompts)).map_err(|error| prompts_fault(&error))?;
    let format = match args.format {
        RowFormat::Jsonl => Format::JsonLines,
        RowFormat::Parquet => Format::Parquet,
        RowFormat::Both => Format::Both,
    };
    let render = |warmup: &Warmup| prompts.render(warmup.form.word(), &warmup.problem(), warmup.reference());
    let mut counter = None;
    Writer { world: &world, format, render }.write(&args.out, |done, total| {
        let [done, total] = [done, total].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        counter.get_or_insert_with(|| Counter::new("samples", total)).set(done);
    })?;
    if let Some(counter) = &counter {
        counter.finish();
    }
    note(&format!(
        "the world is in {}; look at {}",
        args.out.display(),
        args.out.join("sheet.png").display()
    ));
    Ok(())
}

fn prompts_fault(error: &PromptError) -> CliError {
    let hint =
        "name the folder of the templates with --set prompts=DIR; the project has configs/prompts/shapes";
    CliError::input("prompts", error.to_string(), hint)
}

fn tokenizer(args: &TokenizerArgs) -> Result<(), CliError> {
    unclaimed(&args.out)?;
    let config = fs::read_to_string(&args.config)
        .map_err(|e| CliError::input("--config", format!("{}: {e}", args.config.display()), ""))?;
    let mut texts = Vec::new();
    for input in &args.inputs {
        let options = ReadOptions { last_line: LastLine::Taken, ..ReadOptions::default() };
        for line in read_lines::<Map<String, Value>>(input, options)? {
            let (_, mut row) = line?;
            let found = TEXTS.into_iter().filter_map(|field| match row.remove(field) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            });
            texts.extend(found);
        }
    }
    let wrong = |error: &dyn std::fmt::Display| CliError::input("data tokenizer", error.to_string(), "");
    let tokenizer = TrainedTokenizer::train(texts, args.vocab_size).map_err(|e| wrong(&e))?;
    let files = tokenizer.files(&config).map_err(|e| wrong(&e))?;
    let failed = |error: FileError| CliError::World(WorldError::File(error));
    fs::create_dir_all(&args.out).map_err(|e| failed(FileError::io("create", &args.out, e)))?;
    for (name, content) in files {
        write_atomic_bytes(&args.out.join(name), content.as_bytes()).map_err(failed)?;
    }
    note(&saved(&tokenizer, &args.out));
    Ok(())
}

fn saved(tokenizer: &TrainedTokenizer, out: &Path) -> String {
    let next = out.join("config.json");
    format!(
        "a tokenizer of {} tokens saved to {}; next: vigos init {} --out MODEL --seed 1",
        tokenizer.vocab_size(),
        out.display(),
        next.display()
    )
}
