//! The adapter that a recipe asks for, new or from a folder.

use crate::error::RunError;
use burn::tensor::Device;
use std::path::Path;
use vigos_hub::{Progress, adapter_config_folder, adapter_folder};
use vigos_models::{Adapter, AdapterConfig, Architecture, LoraConfig, Projection, peft};
use vigos_recipe::Lora;

/// The key that names an adapter.
const KEY: &str = "model.adapter";

/// The adapter to start from: a new one, or that of a PEFT folder or of what `hf:` names, which must be as `wanted`
/// says; `progress` sees what has to be fetched from the hub.
///
/// # Errors
/// If that adapter cannot be read or is another.
pub fn open_adapter(
    wanted: &LoraConfig,
    path: Option<&Path>,
    model: &Architecture,
    seed: u64,
    device: &Device,
    progress: &mut Progress,
) -> Result<Adapter, RunError> {
    let Some(path) = path else { return Ok(Adapter::init(wanted, model, seed, device)) };
    let mut adapter = stored_adapter(path, model, device, progress)?;
    fits(&adapter, wanted, path)?;
    adapter.config.dropout = wanted.dropout;
    Ok(adapter)
}

/// Checks that the adapter of a folder is as `wanted` says, its dropout aside.
///
/// # Errors
/// If it is another.
pub fn fits(adapter: &Adapter, wanted: &LoraConfig, path: &Path) -> Result<(), RunError> {
    // Patterns that give some layers another rank or α, or fewer layers, are the adapter's own to keep.
    let found = LoraConfig {
        rank: adapter.config.rank,
        alpha: adapter.config.alpha,
        dropout: wanted.dropout,
        targets: adapter.projections().into_iter().collect(),
    };
    if found != *wanted {
        return Err(RunError::Setting {
            key: "lora".into(),
            found: describe(wanted),
            wanted: format!("what the adapter {} has: {}", path.display(), describe(&found)),
        });
    }
    Ok(())
}

/// The adapter of a PEFT folder or of what `hf:` names, whatever its configuration; `progress` sees what has to be fetched
/// from the hub.
///
/// # Errors
/// If it cannot be read, or is none of this model's; the error names the key of recipes.
pub fn stored_adapter(
    path: &Path,
    model: &Architecture,
    device: &Device,
    progress: &mut Progress,
) -> Result<Adapter, RunError> {
    let folder = adapter_folder(path, progress).map_err(RunError::from);
    folder.and_then(|folder| Ok(peft::load(&folder, model, device)?)).map_err(|error| error.of(KEY))
}

/// What the adapter that a recipe starts from is, its own or a new one; of one on the hub only that is fetched, no tensor.
///
/// # Errors
/// If a target is no layer that can carry one, or an adapter's configuration cannot be read.
pub fn adapter_config(
    lora: &Lora,
    from: Option<&Path>,
    progress: &mut Progress,
) -> Result<AdapterConfig, RunError> {
    let Some(path) = from else { return Ok((&lora_config(lora)?).into()) };
    let folder = adapter_config_folder(path, progress).map_err(RunError::from);
    folder.and_then(|folder| Ok(peft::read_config(&folder)?)).map_err(|error| error.of(KEY))
}

/// The adapter that a recipe asks for.
///
/// # Errors
/// If a target is no layer that can carry one.
pub fn lora_config(lora: &Lora) -> Result<LoraConfig, RunError> {
    let mut targets = lora
        .targets
        .iter()
        .map(|name| {
            Projection::named(name).ok_or_else(|| RunError::Setting {
                key: "lora.targets".into(),
                found: format!("`{name}`"),
                wanted: format!("some of {}", Projection::ALL.map(Projection::name).join(", ")),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    targets.sort();
    targets.dedup();
    Ok(LoraConfig { rank: lora.rank, alpha: lora.alpha, dropout: lora.dropout, targets })
}

fn describe(config: &LoraConfig) -> String {
    let targets: Vec<&str> = config.targets.iter().map(|t| t.name()).collect();
    format!("rank {}, alpha {}, targets {}", config.rank, config.alpha, targets.join(", "))
}
