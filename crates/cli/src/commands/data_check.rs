//! `vigos data check` and `vigos data convert`: what a data set holds, and the same written anew.

use crate::args::{CheckArgs, ConvertArgs, ReadArgs};
use crate::error::CliError;
use crate::recipe;
use serde_json::Value;
use std::path::Path;
use vigos::kit;
use vigos_data::{DataLayout, DataRequest, Dataset, DatasetError};
use vigos_inspect::{InspectError, Looked, Plan, Reader, Report, check as look_at};
use vigos_recipe::demonstration::DemonstrationMaker;
use vigos_recipe::sample::ImageLimits;
use vigos_recipe::sft::SftRecipe;
use vigos_recipe::{Recipe, Rows, RunRecipe};
use vigos_rollout::RunError;
use vigos_rollout::base::{BaseFiles, ModelFiles};
use vigos_terminal::Stop;
use vigos_terminal::output::{self, note};
use vigos_terminal::progress::{Counter, Transfer};

/// Who names a data set.
pub(super) enum Named {
    /// A recipe of `vigos train`.
    Training(Box<Recipe>),
    /// A recipe of `vigos sft`.
    Supervised(Box<SftRecipe>),
    /// Nobody: it is given by itself, as a recipe without a model.
    Alone(Box<Recipe>),
}

impl Named {
    /// What a path and arguments name.
    fn of(input: &Path, read: &ReadArgs) -> Result<Self, CliError> {
        let quoted = |key: &str, value: &str| format!("data.{key}={}", toml_text(value));
        let mut set = Vec::new();
        set.extend(read.layout.as_ref().map(|layout| quoted("layout", layout)));
        set.extend(read.turns.as_ref().map(|turns| quoted("turns", turns)));
        set.extend(read.image_root.as_ref().map(|root| quoted("image_root", &root.to_string_lossy())));
        set.extend(read.split.as_ref().map(|split| quoted("split", split)));
        set.extend(read.set.iter().cloned());
        if !input.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml")) {
            // What its keys say of data sets is all that is asked of it.
            let alone = format!(
                "model.path = \"none\"\ntrain.epochs = 1\ndata.path = {}\n",
                toml_text(&input.to_string_lossy())
            );
            let recipe = Recipe::parse(&alone, "the arguments", &set).map_err(RunError::from)?;
            return Ok(Self::Alone(Box::new(recipe)));
        }
        let of_training = recipe::load::<Recipe>(input, &set);
        match (of_training, SftRecipe::load(input, &set)) {
            (Ok(recipe), _) => Ok(Self::Training(Box::new(recipe))),
            (Err(_), Ok(recipe)) => Ok(Self::Supervised(Box::new(recipe))),
            (Err(error), Err(_)) => Err(error.into()),
        }
    }

    fn rows(&self) -> &Rows {
        match self {
            Self::Training(recipe) | Self::Alone(recipe) => &recipe.data.rows,
            Self::Supervised(recipe) => &recipe.data.rows,
        }
    }

    fn request(&self) -> DataRequest<'_> {
        match self {
            Self::Training(recipe) | Self::Alone(recipe) => DataRequest::from(&recipe.data),
            Self::Supervised(recipe) => DataRequest::from(&recipe.data),
        }
    }

    /// The data set, whatever share of its rows is bad.
    fn open(&self) -> Result<Dataset, CliError> {
        let mut transfer = Transfer::default();
        let request = DataRequest { max_bad_share: f64::INFINITY, ..self.request() };
        let opened = kit().sources.open(&request, &mut |file, bytes, size| transfer.set(file, bytes, size));
        transfer.finish();
        Ok(opened.map_err(InspectError::from)?)
    }
}

/// A text as TOML has it, which is as JSON has it.
fn toml_text(text: &str) -> String {
    Value::from(text).to_string()
}

/// Runs `vigos data check`.
///
/// # Errors
/// If the arguments or the recipe are wrong, or the data set cannot be opened.
pub(super) fn check(args: &CheckArgs) -> Result<(), CliError> {
    let named = Named::of(&args.input, &args.read)?;
    let report = look(&named)?;
    let written = if args.json { output::json(&report) } else { output::data(report.text().trim_end()) };
    written?;
    if report.usable == 0 && report.left_out.is_empty() {
        let found = format!("found {} rows and none that can be used, wanted one at least", report.rows);
        return Err(CliError::input(args.input.display().to_string(), found, ""));
    }
    Ok(())
}

/// Looks at every row.
///
/// # Errors
/// If the data set or what the recipe names cannot be opened.
pub(super) fn look(named: &Named) -> Result<Report, CliError> {
    let dataset = match named.open() {
        Err(CliError::Inspect(InspectError::Data(DatasetError::Empty { .. }))) => {
            return Ok(Report { layout: "unknown".into(), ..Report::default() });
        }
        other => other?,
    };
    let mut counter = Counter::new("rows", dataset.count().get());
    let mut progress = |done, _| counter.set(done);
    let rows = named.rows();
    let images = ImageLimits { min_side: rows.min_image_side, max_pixels: rows.max_image_pixels };
    let mut transfer = Transfer::default();
    let mut fetching = |file: &str, bytes, size| transfer.set(file, bytes, size);
    let mut report = match named {
        Named::Alone(_) => look_at(&dataset, &Looked { images, reader: None }, &mut progress)?,
        Named::Training(recipe) => {
            let base = BaseFiles::open(recipe, &kit(), &mut fetching)?;
            let reader = Some(Reader::Method(base.samples()));
            look_at(&dataset, &Looked { images, reader }, &mut progress)?
        }
        Named::Supervised(recipe) => {
            let kit = kit();
            let pixels = recipe.data.rows.max_pixels;
            let files = ModelFiles::open(&recipe.model.path, &kit.families, pixels, &mut fetching)?;
            let context = files.config.architecture().text.max_position_embeddings;
            let maker = DemonstrationMaker {
                processor: &files.processor,
                stop: files.stops.first().copied().unwrap_or_default(),
                max_tokens: recipe.max_tokens(context).map_err(|fault| {
                    CliError::input(
                        fault.key,
                        format!("found {}, wanted {}", fault.found, fault.wanted),
                        &fault.hint,
                    )
                })?,
                min_image_side: images.min_side,
                max_image_pixels: images.max_pixels,
            };
            look_at(&dataset, &Looked { images, reader: Some(Reader::Demonstrations(maker)) }, &mut progress)?
        }
    };
    transfer.finish();
    counter.finish();
    let request = named.request();
    vigos_inspect::check::layouts(&dataset, &request.fields, &mut report)?;
    if request.layout != DataLayout::Auto {
        report.layout = request.layout.name().to_owned();
    }
    report.estimate = plan(named, &report);
    Ok(report)
}

/// What training by the recipe takes of such rows.
fn plan(named: &Named, report: &Report) -> Option<Plan> {
    let prompts = report.prompts.as_ref()?;
    let of = |steps, samples, completion| Plan::of(report, steps, samples, completion);
    match named {
        Named::Alone(_) => None,
        Named::Training(recipe) => {
            let (train, most) = (&recipe.train, recipe.rollout.sampling.max_new_tokens as u64);
            of(
                train.total_steps(report.rows * recipe.rollout.per_sample),
                train.batch * train.accumulate,
                most,
            )
        }
        Named::Supervised(recipe) => {
            let train = &recipe.train;
            let learnt =
                prompts.longest.sum.saturating_sub(prompts.student.sum) / report.usable.max(1) as u64;
            of(recipe.total_steps(report.rows), train.batch * train.accumulate, learnt)
        }
    }
}

/// Runs `vigos data convert`.
///
/// # Errors
/// If the arguments are wrong, more rows are bad than may be, or the file cannot be written.
pub(super) fn convert(args: &ConvertArgs) -> Result<(), CliError> {
    let share = args.max_bad_share;
    if !(0.0..=1.0).contains(&share) {
        return Err(CliError::input("--max-bad-share", format!("found {share}, wanted 0 to 1"), ""));
    }
    let named = Named::of(&args.input, &args.read)?;
    let dataset = named.open()?;
    let mut counter = Counter::new("rows", dataset.count().get());
    let mut progress = |done, _| counter.set(done);
    let most = named.rows().max_image_pixels;
    let stop = Stop::listen(None)?;
    let converted = vigos_inspect::convert(&dataset, &args.out, share, most, &mut progress, stop.flag());
    let converted = match converted {
        Err(InspectError::Stopped) => return Err(stop.stopped().into()),
        converted => converted?,
    };
    counter.finish();
    for bad in &converted.first_bad {
        note(&format!("{} (id `{}`) is left out: {}", bad.origin, bad.id, bad.reason));
    }
    note(&converted.told(&args.out));
    Ok(())
}
