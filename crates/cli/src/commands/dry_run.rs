//! `vigos train --dry-run`: everything but the optimiser.

use super::data_check::{self, Named};
use super::prompts;
use crate::args::TrainArgs;
use crate::device::{Choice, available_memory};
use crate::error::CliError;
use crate::recipe;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use vigos::kit;
use vigos_inspect::{BadOne, Report};
use vigos_recipe::Recipe;
use vigos_rollout::preview::preview;
use vigos_rollout::spans::{Reason, Spans};
use vigos_rollout::{RolloutRecord, RunOptions};
use vigos_terminal::Stop;
use vigos_terminal::memory::bytes;
use vigos_terminal::output;
use vigos_terminal::progress::{Run, Transfer, clock};
use vigos_train::{DryRun, dry_run};

/// Checks the rows, plans the memory, shows a prompt of each role and a rollout, and estimates time and disk.
///
/// # Errors
/// As a run would meet before its first update.
pub(super) fn run(args: &TrainArgs, device: &Choice) -> Result<(), CliError> {
    let recipe: Recipe = recipe::load(&args.config, &args.overrides.set)?;
    let device = device.open()?;
    let stop = Stop::listen(args.save_by)?;
    let report = data_check::look(&Named::Training(Box::new(recipe.clone())))?;
    output::data(&format!("== rows\n{}", report.text().trim_end()))?;

    let memory = available_memory(&device);
    let mut progress = Run::new(memory);
    let kit = kit();
    let options = RunOptions { memory, ..RunOptions::new(&recipe, Path::new(""), &kit, &device) };
    let tried = dry_run(&options, &mut progress, stop.flag());
    progress.finish();
    let tried = tried?;
    let mut transfer = Transfer::default();
    let shown =
        preview(&recipe, tried.first_row, &kit, &mut |file, bytes, size| transfer.set(file, bytes, size))?;
    transfer.finish();
    output::shown(&format!("\n{}", prompts::text(&shown).trim_end()))?;
    output::shown(&format!("\n== rollout\n{}", rollout(&tried.rollout)))?;
    output::data(&format!("\n== estimate\n{}", estimate(&tried)))?;
    may_be_bad(&report, recipe.data.rows.max_bad_share)
}

/// Refuses what a run would end at: more bad rows than may be.
fn may_be_bad(report: &Report, share: f64) -> Result<(), CliError> {
    let fine = report.usable + report.left_out.values().sum::<usize>();
    let bad = report.rows.saturating_sub(fine);
    match report.first_bad.last() {
        Some(BadOne { origin, id, reason, .. }) if bad as f64 > share * report.rows as f64 => {
            let found = format!(
                "{origin} (id `{id}`): {reason}; {bad} of the data's {} rows cannot be used, more than {share} allows: a run \
                 would end at them",
                report.rows
            );
            Err(CliError::input("data.max_bad_share", found, "mend the rows, or allow more"))
        }
        _ => Ok(()),
    }
}

/// A completion with its spans and its verdict.
fn rollout(record: &RolloutRecord) -> String {
    let RolloutRecord { completion, completion_token_ids, valid, reason, predicted, correct, spans, .. } =
        record;
    let mut text = format!("{completion}\n\ntokens     {}", completion_token_ids.len());
    // Writing to a string does not fail.
    let _ = match (valid, reason) {
        (false, Some(reason)) => write!(text, "\nverdict    invalid: {}", words(reason)),
        _ => write!(text, "\nverdict    valid"),
    };
    if let Some(Spans { description, reasoning_answer }) = spans {
        let (first, second) = (places(description), places(reasoning_answer));
        let _ = write!(text, "\nspans      description {first}; reasoning and answer {second}");
    }
    let answer = predicted.as_deref().unwrap_or("none");
    let _ = write!(text, "\nanswer     {answer}, {}", if *correct { "right" } else { "not right" });
    text
}

/// What is wrong with a completion, in words.
fn words(reason: &Reason) -> String {
    let name = serde_json::to_value(reason).ok();
    name.as_ref().and_then(Value::as_str).unwrap_or("its format").replace('_', " ")
}

/// How many tokens there are, and between which places.
fn places(tokens: &[usize]) -> String {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => format!("{} tokens in {first}..{}", tokens.len(), last + 1),
        _ => "no token".into(),
    }
}

fn estimate(tried: &DryRun) -> String {
    let DryRun { samples, seconds: [completing, learning], steps, total_seconds, disk_bytes, loss, .. } =
        tried;
    let supervised: Vec<String> =
        tried.supervised.iter().map(|(teacher, tokens)| format!("{teacher} {tokens}")).collect();
    let supervised = if supervised.is_empty() { "none".into() } else { supervised.join(", ") };
    let mut text = format!(
        "tried      {samples} samples: completed in {completing:.1} s, losses and gradient in {learning:.1} s\n\
         loss       {loss:.4}, supervised tokens: {supervised}\n\
         time       at most about {} for {steps} steps, more if completions grow longer\n\
         disk       about {}",
        clock(*total_seconds as u64),
        bytes(*disk_bytes),
    );
    for bad in tried.passed_over.iter().take(5) {
        let _ = write!(text, "\nleft out   {} (id `{}`): {}", bad.origin, bad.id, bad.reason);
    }
    text
}
