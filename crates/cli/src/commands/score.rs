//! `vigos score`: how probable given completions are.
//!
//! The input is gone over twice: every row is checked before the first is scored, so that a fault in the
//! last row does not cost the work on those before it.

use crate::args::ScoreArgs;
use crate::device::Choice;
use crate::error::CliError;
use crate::inference::{Loaded, Opened};
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use vigos_data::given::{Given, GivenError, given};
use vigos_kernels::LOGITS_BUDGET;
use vigos_models::Target;
use vigos_models::scoring::{TokenScore, score_tokens};
use vigos_processor::{Grid, ImagePatches, RgbImage, Sequence};
use vigos_terminal::Sink;
use vigos_terminal::progress::Counter;

/// An output line.
#[derive(Serialize)]
struct Output<'a> {
    id: &'a Value,
    token_ids: &'a [u32],
    logprobs: Vec<f64>,
    entropy: Vec<f64>,
    top1: Vec<u32>,
}

/// A row, checked.
struct Row {
    id: Value,
    images: Vec<(PathBuf, RgbImage)>,
    prompt: Sequence,
    completion: Vec<u32>,
}

/// Runs the command.
///
/// # Errors
/// If the input is wrong, of which nothing is written, or the device or the disk fails.
pub(crate) fn run(args: &ScoreArgs, device: &Choice) -> Result<(), CliError> {
    let device = device.open()?;
    let opened = Opened::open(&args.model)?;
    let rows = Rows { path: &args.input, opened: &opened };
    if same_file(&args.input, &args.output) {
        let found = format!("{}: found the input file, wanted another", args.output.display());
        return Err(CliError::input("--output", found, ""));
    }
    let mut count = 0;
    rows.each(|_| {
        count += 1;
        Ok(())
    })?;
    if count == 0 {
        return Err(CliError::input(
            args.input.display().to_string(),
            "found no row, wanted one at least",
            "",
        ));
    }
    let mut output = Sink::open(&args.output)?;
    let loaded = opened.load(&device)?;
    let mut progress = Counter::new("rows", count);
    let mut done = 0;
    rows.each(|row| {
        let scores = score(&opened, &loaded, &row)?;
        output.write(&Output {
            id: &row.id,
            token_ids: &row.completion,
            logprobs: scores.iter().map(|s| s.logprob).collect(),
            entropy: scores.iter().map(|s| s.entropy).collect(),
            top1: scores.iter().map(|s| s.top1).collect(),
        })?;
        done += 1;
        progress.set(done);
        Ok(())
    })?;
    output.finish()?;
    progress.finish();
    Ok(())
}

/// Scores the completion of one row.
fn score(opened: &Opened, loaded: &Loaded, row: &Row) -> Result<Vec<TokenScore>, CliError> {
    let model = loaded.model.as_ref();
    let patches: Vec<ImagePatches> = row
        .images
        .iter()
        .map(|(path, image)| opened.patches("image", path, image))
        .collect::<Result<_, _>>()?;
    let sequence = row.prompt.followed_by(&row.completion);
    let features = model.encode_images(&patches.iter().collect::<Vec<_>>(), loaded.adapter());
    let packed = model.pack(&[&sequence])?;
    let hidden = model.forward(&packed, &features, loaded.adapter(), &mut ());
    let targets: Vec<Target> = packed.targets(0, row.prompt.ids.len()..packed.rows()).collect();
    let chunk = (LOGITS_BUDGET / (4 * size_of::<f32>() * model.architecture().text.vocab_size)).max(1);
    let scores = score_tokens(model, &hidden, &targets, chunk)?;
    match scores.iter().position(|score| !(score.logprob.is_finite() && score.entropy.is_finite())) {
        None => Ok(scores),
        Some(token) => Err(CliError::Failed(format!(
            "row {}, token {token} of its completion: the logits are not finite (NaN or infinite); the weights are \
             damaged, or overflow in this precision",
            row.id
        ))),
    }
}

/// Whether both names lead to one file that exists.
fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The rows of the input file.
struct Rows<'a> {
    path: &'a Path,
    opened: &'a Opened<'a>,
}

impl Rows<'_> {
    /// Hands every row to `take`, one at a time.
    fn each(&self, mut take: impl FnMut(Row) -> Result<(), CliError>) -> Result<(), CliError> {
        for line in given(self.path).map_err(input)? {
            take(self.row(line.map_err(input)?)?)?;
        }
        Ok(())
    }

    /// A row with its images and its prompt as the model reads them.
    fn row(&self, line: Given) -> Result<Row, CliError> {
        let opened = self.opened;
        let tokenizer = opened.processor.tokenizer();
        let completion = line.tokens(opened.architecture().text.vocab_size, |text| tokenizer.encode(text));
        let completion = completion.map_err(input)?;
        let (mut images, mut grids): (Vec<(PathBuf, RgbImage)>, Vec<Grid>) = Default::default();
        for path in &line.images {
            let (image, grid) = opened.image(&line.at_images(), path)?;
            images.push((path.clone(), image));
            grids.push(grid);
        }
        let at = line.at("prompt");
        let prompt = opened.prompt(&at, &grids, &line.prompt, &line.prefill, completion.len())?;
        Ok(Row { id: line.id, images, prompt, completion })
    }
}

fn input(error: GivenError) -> CliError {
    match error {
        GivenError::Lines(error) => error.into(),
        GivenError::Field { at, message } => {
            CliError::input(at, message, "`vigos score --help` describes an input line")
        }
    }
}
