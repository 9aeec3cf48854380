//! `vigos serve`: an OpenAI-compatible server of a model and its adapters.

use crate::args::ServeArgs;
use crate::device::Choice;
use crate::error::CliError;
use crate::inference::{Opened, adapter_folder};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use vigos_models::generation::stop_tokens;
use vigos_models::peft;
use vigos_rollout::base::base_name;
use vigos_serve::{NamedAdapter, Options, ServeError, Served, serve};
use vigos_terminal::Stop;
use vigos_terminal::output::note;

/// Runs the command. The address is taken before any weight is read.
///
/// # Errors
/// If the model, an adapter or a folder is wrong, the address is taken, or the device fails; once it is told to end, as
/// work that was cut short.
pub(crate) fn run(args: &ServeArgs, device: &Choice) -> Result<(), CliError> {
    let key = args.api_key_env.as_deref().map(key).transpose()?;
    for (flag, folder) in [("--media-root", &args.media_root), ("--adapter-root", &args.adapter_root)] {
        if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(CliError::input(flag, format!("{}: there is no such folder", folder.display()), ""));
        }
    }
    let name = args.name.clone().unwrap_or_else(|| name_of(&args.model));
    let mut names = BTreeSet::from([name.trim()]);
    if names.contains("") {
        return Err(CliError::input("--name", "found nothing, wanted a name", ""));
    }
    if let Some((taken, _)) = args.adapters.iter().find(|(adapter, _)| !names.insert(adapter.trim())) {
        let found = format!("found the name `{taken}` twice, wanted another for each");
        return Err(CliError::input("--adapter", found, "the base's is its folder's, or --name"));
    }
    let listener = TcpListener::bind(args.listen)
        .map_err(|error| CliError::input("--listen", format!("{}: {error}", args.listen), ""))?;
    if !args.listen.ip().is_loopback() && key.is_none() {
        tracing::warn!("whoever reaches {} can ask: no --api-key-env was given", args.listen);
    }
    let device = device.open()?;
    let base = args.base();
    let opened = Opened::open(&base)?;
    let stops = stop_tokens(opened.folder())?;
    let adapters = args.adapters.iter().map(|(name, folder)| {
        let adapter = peft::load(&adapter_folder(folder)?, opened.architecture(), &device)?;
        Ok::<_, CliError>(NamedAdapter { name: name.clone(), adapter: Arc::new(adapter) })
    });
    let adapters = adapters.collect::<Result<_, _>>()?;
    let model = opened.load(&device)?.model.into();
    let stop = Stop::listen(None)?;
    let address = listener.local_addr().unwrap_or(args.listen);
    note(&format!("{name} is served on http://{address}/v1; Ctrl-C ends it"));
    let served = Served { name, model, processor: opened.processor, stops, adapters };
    let options = Options {
        limits: args.limits.limits(),
        media_root: args.media_root.clone(),
        adapter_root: args.adapter_root.clone(),
        key,
        seed: args.seed,
    };
    match serve(served, options, listener, stop.flag()) {
        Ok(()) => Err(stop.stopped().into()),
        Err(error @ (ServeError::Listen(_) | ServeError::Model(_))) => {
            Err(CliError::Failed(error.to_string()))
        }
    }
}

/// The key in a variable of the environment.
fn key(name: &str) -> Result<String, CliError> {
    match std::env::var(name) {
        Ok(key) if !key.trim().is_empty() => Ok(key.trim().to_owned()),
        _ => Err(CliError::input("--api-key-env", format!("{name}: found nothing, wanted a key"), "")),
    }
}

/// What a model is called by default: its folder's name, or its name on the hub.
fn name_of(model: &Path) -> String {
    let name = base_name(model);
    match Path::new(&name).is_dir() {
        true => {
            model.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        }
        false => None,
    }
    .unwrap_or(name)
}
