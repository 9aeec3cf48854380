//! `vigos hub push`: a result to the hub.

use crate::args::{HubArgs, HubCommand, PushArgs};
use crate::error::CliError;
use serde_json::json;
use std::path::{Path, PathBuf};
use vigos_checkpoint::Checkpoints;
use vigos_core::files::read_limited;
use vigos_hub::{Parcel, Reference, Settings, Which, push};
use vigos_report::{card, is_run};
use vigos_terminal::output::{self, note};
use vigos_terminal::progress::Transfer;

const CARD: &str = "README.md";
const LARGEST: u64 = 1 << 20;

/// Runs the command.
///
/// # Errors
/// If there is nothing to send, or the hub does not take it.
pub(crate) fn run(args: &HubArgs) -> Result<(), CliError> {
    let HubCommand::Push(args) = &args.command;
    let id = Reference::repository(&args.to)?.id;
    let settings = Settings::from_env()?;
    let folder = result_of(&args.from);
    let which = if args.all { Which::All } else { Which::Needed };
    let mut hashing = Transfer::working("hashing");
    let parcel = Parcel::of(&folder, which, &mut |file, done, size| hashing.set(file, done, size))?;
    hashing.finish();
    let parcel = match carded(args, &id, &folder, &parcel)? {
        Some(text) => parcel.with(CARD, text),
        None => parcel,
    };
    let to = format!("{}/{id}", settings.endpoint);
    if args.yes {
        return send(args, &settings, &id, &parcel);
    }
    if args.json {
        let (files, left_out, card) = (parcel.files(), parcel.left_out(), parcel.text(CARD));
        let out = json!({"to": to, "folder": folder, "files": files, "left_out": left_out, "card": card});
        return Ok(output::json(&out)?);
    }
    output::data(&format!("from {} to {to}:\n{parcel}", folder.display()))?;
    note("nothing was sent; --yes sends it, without what the hub has already");
    Ok(())
}

fn send(args: &PushArgs, settings: &Settings, id: &str, parcel: &Parcel) -> Result<(), CliError> {
    let mut transfer = Transfer::working("sending");
    let sent = push(settings, id, parcel, &mut |file, done, size| transfer.set(file, done, size));
    transfer.finish();
    let sent = sent?;
    if args.json {
        return Ok(output::json(&sent)?);
    }
    note(&sent.to_string());
    Ok(())
}

/// The folder of what a run came to: its model, its adapter, or the best checkpoint, else the last one.
fn result_of(from: &Path) -> PathBuf {
    let mut made = ["model", "adapter"].map(|name| from.join(name)).into_iter();
    let made = made.find(|folder| is_run(from) && folder.is_dir());
    made.or_else(|| Checkpoints::of(from).best()).unwrap_or_else(|| from.to_owned())
}

/// The card that goes: the one that is given, else the folder's own, which is part of the parcel, else one made of the run.
fn carded(args: &PushArgs, id: &str, folder: &Path, parcel: &Parcel) -> Result<Option<String>, CliError> {
    match &args.card {
        Some(file) => {
            let fault = |message: String| CliError::input("--card", message, "name a Markdown file");
            let read = read_limited(file, LARGEST).map_err(|e| fault(e.to_string()))?;
            Ok(Some(String::from_utf8(read).map_err(|e| fault(format!("{}: {e}", file.display())))?))
        }
        None if parcel.files().iter().any(|file| file.name == CARD) => Ok(None),
        None => Ok(Some(card(id, folder)?)),
    }
}
