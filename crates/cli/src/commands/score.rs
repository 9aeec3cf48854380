//! `vigos score`: how probable given completions are.
//!
//! The input is gone over twice: every row is checked before the first is scored, so that a fault in the
//! last row does not cost the work on those before it.

use crate::args::ScoreArgs;
use crate::device::Choice;
use crate::error::CliError;
use crate::inference::{Loaded, Opened};
use crate::output;
use crate::progress::Counter;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use vigos_core::files::folder_of;
use vigos_core::jsonl::{JsonLines, LastLine, ReadOptions, read_lines};
use vigos_core::paths::contained;
use vigos_kernels::LOGITS_BUDGET;
use vigos_models::Target;
use vigos_models::scoring::{TokenScore, score_tokens};
use vigos_processor::{Grid, ImagePatches, RgbImage, Sequence};

/// An output line.
#[derive(Serialize)]
struct Output<'a> {
    id: &'a Value,
    token_ids: &'a [u32],
    logprobs: Vec<f64>,
    entropy: Vec<f64>,
    top1: Vec<u32>,
}

/// Where output lines go.
enum Sink {
    Stdout,
    File(JsonLines),
}

impl Sink {
    /// What `--output` names: a file, or `-` for stdout.
    fn open(path: &Path) -> Result<Self, CliError> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        Ok(Self::File(JsonLines::resume(path, 0)?))
    }

    fn write(&mut self, line: &Output) -> Result<(), CliError> {
        match self {
            Self::Stdout => output::json(line),
            Self::File(lines) => Ok(lines.write(line)?),
        }
    }

    fn finish(&self) -> Result<(), CliError> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(lines) => Ok(lines.sync()?),
        }
    }
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
    let loaded = opened.load(&device)?;
    let mut output = Sink::open(&args.output)?;
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
        // People write these files, often without a line break at the end.
        let options = ReadOptions { last_line: LastLine::Taken, ..ReadOptions::default() };
        for item in read_lines::<Map<String, Value>>(self.path, options)? {
            let (line, object) = item?;
            take(Line { rows: self, line, object: &object }.row()?)?;
        }
        Ok(())
    }
}

/// One line, to be made a row.
struct Line<'a> {
    rows: &'a Rows<'a>,
    line: usize,
    object: &'a Map<String, Value>,
}

impl Line<'_> {
    fn row(&self) -> Result<Row, CliError> {
        let id = match self.get("id") {
            Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
            other => return Err(self.wrong("id", other, "a string or a number")),
        };
        let text = self.text("prompt", None)?;
        let prefill = self.text("prefill", Some(""))?;
        let completion = self.completion()?;
        let (mut images, mut grids): (Vec<(PathBuf, RgbImage)>, Vec<Grid>) = Default::default();
        let (field, paths) = self.image_paths()?;
        for path in paths {
            let (image, grid) = self.rows.opened.image(&self.at(field), &path)?;
            images.push((path, image));
            grids.push(grid);
        }
        let prompt = self.rows.opened.prompt(&self.at("prompt"), &grids, text, prefill, completion.len())?;
        Ok(Row { id, images, prompt, completion })
    }

    /// The completion's tokens, from either field.
    fn completion(&self) -> Result<Vec<u32>, CliError> {
        let vocabulary = self.rows.opened.architecture().text.vocab_size;
        let ids = match (self.get("completion"), self.get("completion_token_ids")) {
            (Some(_), both @ Some(_)) => {
                return Err(self.wrong("completion_token_ids", both, "it or `completion`, not both"));
            }
            (Some(Value::String(text)), None) => {
                let encoded = self.rows.opened.processor.tokenizer().encode(text);
                encoded.map_err(|error| self.fault("completion", error.to_string()))?
            }
            (None, Some(Value::Array(ids))) => {
                let id = |v: &Value| v.as_u64().and_then(|id| u32::try_from(id).ok());
                let wanted = "a list of token ids";
                let ids = ids
                    .iter()
                    .map(|v| id(v).ok_or_else(|| self.wrong("completion_token_ids", Some(v), wanted)));
                ids.collect::<Result<Vec<u32>, _>>()?
            }
            (None, other @ Some(_)) => {
                return Err(self.wrong("completion_token_ids", other, "a list of token ids"));
            }
            (other, None) => {
                return Err(self.wrong("completion", other, "a text, or `completion_token_ids` instead"));
            }
        };
        match ids.iter().find(|id| **id as usize >= vocabulary) {
            None => Ok(ids),
            Some(id) => {
                let message = format!("found token id {id}, wanted ids below the vocabulary's {vocabulary}");
                let field =
                    if self.get("completion").is_some() { "completion" } else { "completion_token_ids" };
                Err(self.fault(field, message))
            }
        }
    }

    /// The images and the field that they stand in.
    fn image_paths(&self) -> Result<(&'static str, Vec<PathBuf>), CliError> {
        let wanted = "a path below the input's folder, or in `images` a list of such paths";
        let (field, texts) = match (self.get("image"), self.get("images")) {
            (Some(Value::String(text)), None) => ("image", vec![text]),
            (None, Some(Value::Array(items))) if !items.is_empty() => {
                let each = items.iter().map(|item| match item {
                    Value::String(text) => Ok(text),
                    other => Err(self.wrong("images", Some(other), wanted)),
                });
                ("images", each.collect::<Result<_, _>>()?)
            }
            (Some(_), both @ Some(_)) => return Err(self.wrong("images", both, "it or `image`, not both")),
            (None, other @ Some(_)) => return Err(self.wrong("images", other, wanted)),
            (other, None) => return Err(self.wrong("image", other, wanted)),
        };
        let resolve = |text: &String| {
            contained(folder_of(self.rows.path), text).map_err(|error| self.fault(field, error.to_string()))
        };
        Ok((field, texts.into_iter().map(resolve).collect::<Result<_, _>>()?))
    }

    fn text<'t>(&'t self, field: &str, default: Option<&'t str>) -> Result<&'t str, CliError> {
        match (self.get(field), default) {
            (Some(Value::String(text)), _) => Ok(text),
            (None, Some(default)) => Ok(default),
            (other, _) => Err(self.wrong(field, other, "a string")),
        }
    }

    /// A field's value; null counts as absent.
    fn get(&self, field: &str) -> Option<&Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    fn wrong(&self, field: &str, found: Option<&Value>, wanted: &str) -> CliError {
        let found = match found {
            None => "nothing".to_owned(),
            Some(Value::Array(_)) => "a list".to_owned(),
            Some(Value::Object(_)) => "an object".to_owned(),
            Some(Value::String(_)) => "a string".to_owned(),
            Some(scalar) => scalar.to_string(),
        };
        self.fault(field, format!("found {found}, wanted {wanted}"))
    }

    fn fault(&self, field: &str, message: String) -> CliError {
        CliError::input(self.at(field), message, "`vigos score --help` describes an input line")
    }

    fn at(&self, field: &str) -> String {
        format!("{}:{}: field `{field}`", self.rows.path.display(), self.line)
    }
}
