//! `vigos doctor --config`: what training by a recipe takes, before anything large is fetched.

use crate::args::DoctorArgs;
use crate::device::{Choice, available_memory};
use crate::error::CliError;
use crate::recipe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vigos::kit;
use vigos::shapes::{all, of_name};
use vigos_data::DataRequest;
use vigos_hub::{Progress, is_reference, side_files_folder};
use vigos_models::{AdapterConfig, ModelConfig};
use vigos_plan::distillation::Plan;
use vigos_recipe::Recipe;
use vigos_rollout::adapter::adapter_config;
use vigos_rollout::base::BaseFiles;
use vigos_rollout::{Kit, RunError};
use vigos_terminal::cards;
use vigos_terminal::memory::Outlook;
use vigos_terminal::output::{self, note};
use vigos_terminal::progress::Transfer;

/// Writes what training by the recipe takes.
///
/// # Errors
/// If the recipe is wrong, or nothing says what shape its model has.
pub(super) fn estimate(args: &DoctorArgs, config: &Path, choice: &Choice) -> Result<(), CliError> {
    let (available, device) = match args.memory {
        None => {
            let device = choice.open()?;
            (available_memory(&device).map(|bytes| bytes / args.ranks.get() as u64), Some(device))
        }
        Some(gigabytes) if gigabytes > 0.0 && gigabytes < 1e9 => (Some((gigabytes * 1e9) as u64), None),
        Some(other) => {
            let found = format!("found {other}, wanted a number of GB above 0");
            return Err(CliError::input("--memory", found, ""));
        }
    };
    let recipe: Recipe = recipe::load(config, &args.set)?;
    let mut transfer = Transfer::default();
    let progress = &mut |file: &str, bytes, size| transfer.set(file, bytes, size);
    let kit = kit();
    if args.cards {
        return cards(args, &recipe, &kit);
    }
    let model = shape(&recipe.model.path, &kit, progress)?;
    let context = model.architecture().text.max_position_embeddings;
    let most = recipe.train.max_prompt_tokens(context).map_err(RunError::from)?;
    let mut plan = Plan::of(&recipe, adapter(&recipe, progress)?, most, args.prompt_tokens);
    if let Some(device) = &device {
        plan.kept = plan.kept.on(device);
    }
    if args.prompt_tokens.is_none() {
        match with_data(plan.clone(), &recipe, &kit, progress) {
            Ok(planned) => plan = planned,
            Err(reason) => note(&format!(
                "planned for prompts of {} tokens, as the recipe's own cannot be looked at: {reason}; \
                 --prompt-tokens says otherwise",
                plan.prompt_tokens
            )),
        }
    }
    transfer.finish();
    let outlook = Outlook::of_run(&plan, model.architecture(), available, most).of_ranks(args.ranks.get());
    let written = if args.json { output::json(&outlook) } else { output::data(&outlook.table()) };
    Ok(written?)
}

/// Writes which of the models whose shapes are at hand train by the recipe on which cards.
fn cards(args: &DoctorArgs, recipe: &Recipe, kit: &Kit) -> Result<(), CliError> {
    let mut models = Vec::new();
    for folder in all() {
        let shape = Arc::clone(kit.families.read(&folder)?.architecture());
        let adapter = adapter_config(&recipe.lora, None, &mut |_: &str, _, _| {})?;
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let most = shape.text.max_position_embeddings;
        models.push((name, Plan::of(recipe, adapter, most, args.prompt_tokens), shape));
    }
    let rows = cards::rows(&models);
    Ok(if args.json { output::json(&rows) } else { output::data(&cards::table(&rows)) }?)
}

/// The plan with prompts as long as those of the data's first rows, as a run makes it; or why that cannot be done.
fn with_data(plan: Plan, recipe: &Recipe, kit: &Kit, progress: &mut Progress) -> Result<Plan, String> {
    if is_reference(&recipe.data.path) {
        return Err(format!("{} is not here", recipe.data.path.display()));
    }
    let request = DataRequest::from(&recipe.data);
    let dataset = kit.sources.open(&request, progress).map_err(|error| error.to_string())?;
    let base = BaseFiles::open(recipe, kit, progress).map_err(|error| error.to_string())?;
    plan.with_first_rows(&base.samples(), &dataset, recipe.train.seed).map_err(|error| error.to_string())
}

/// The adapter that the recipe trains. One on the hub that cannot be had is taken for what `[lora]` says.
fn adapter(recipe: &Recipe, progress: &mut Progress) -> Result<AdapterConfig, RunError> {
    let from = recipe.model.adapter.as_deref();
    match adapter_config(&recipe.lora, from, progress) {
        Err(reason) if from.is_some_and(is_reference) => {
            note(&format!(
                "estimated with an adapter as [lora] says, as the recipe's cannot be looked at: {reason}"
            ));
            adapter_config(&recipe.lora, None, progress)
        }
        found => found,
    }
}

/// The configuration of the recipe's model, or where that is not to be had of the published model of its name.
fn shape(path: &Path, kit: &Kit, progress: &mut Progress) -> Result<Arc<dyn ModelConfig>, CliError> {
    let found = side_files_folder(path, progress).map_err(RunError::from);
    let found = found.and_then(|folder| Ok(kit.families.read(&folder)?));
    let absent = match found {
        Ok(config) => return Ok(config),
        // A folder that is there says for itself what is wrong with it.
        Err(error) if path.exists() => return Err(error.into()),
        Err(error) => error,
    };
    let Some(known) = of_name(path) else { return Err(unknown(path, absent)) };
    note(&format!("{} is not here; estimated from {}", path.display(), known.display()));
    Ok(kit.families.read(&known)?)
}

/// The error for a model of which nothing is known, with the shapes that are: first the one that its path reminds of.
fn unknown(path: &Path, absent: RunError) -> CliError {
    let shapes = all();
    let reminds = |folder: &&PathBuf| {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| path.to_string_lossy().contains(&name))
    };
    let first = shapes.iter().find(reminds).or(shapes.first()).filter(|_| absent.is_input());
    let Some(first) = first else { return absent.into() };
    let named: Vec<String> = shapes.iter().map(|folder| folder.display().to_string()).collect();
    let hint = format!(
        "a folder with the model's config.json is enough, such as --set model.path={}; there are {}",
        first.display(),
        named.join(", ")
    );
    CliError::input("model.path", absent.to_string(), &hint)
}
