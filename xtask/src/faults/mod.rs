//! What a run is worth when the machine fails: killed without warning at random moments and between two operations on
//! files, its newest checkpoint damaged, its disk full, another process in its folder. Resumed, it has to leave what a
//! run left alone does, to the last byte; a clock's numbers aside.

mod disk;
mod operations;

use crate::random::Random;
use crate::same_numbers::compare::Pair;
use crate::shell::{built_command, emptied, files, line, root};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command to try; built here unless given.
    command: Option<PathBuf>,
    /// How many times each fault is tried.
    #[arg(long, value_name = "N", default_value_t = 5)]
    times: u32,
    /// How many runs are killed at random moments, if not as many.
    #[arg(long, value_name = "N")]
    kills: Option<u32>,
    /// How many checkpoints are damaged, if not as many.
    #[arg(long, value_name = "N")]
    damages: Option<u32>,
    /// Seed of moments and damages. The moments are those of a clock: a seed gives about the same ones again.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

/// Six short steps of the tiny model, a checkpoint behind each.
pub(crate) const RUN: [&str; 10] = [
    "train",
    "configs/first-light.toml",
    "data.limit=16",
    "train.steps=6",
    "train.batch=2",
    "checkpoint.every=1",
    "checkpoint.keep=0",
    "log.rollouts_every=1",
    "rollout.max_new_tokens=8",
    "optim.schedule=constant",
];

pub(crate) fn run(args: &Args) -> Result<()> {
    let command = args.command.clone().map_or_else(built_command, Ok)?;
    let command = command.canonicalize().with_context(|| command.display().to_string())?;
    let out = emptied("faults")?;
    let mut random = Random::new(args.seed);
    let whole = out.join("whole");
    let begun = Instant::now();
    finish(train(&command, &whole))?;
    let length = begun.elapsed();
    println!("left alone: {:.1} s", length.as_secs_f64());
    let (runs, mut kills) = (args.kills.unwrap_or(args.times), 0);
    for number in 1..=runs {
        let folder = out.join(format!("killed-{number}"));
        let moments = killed(&command, &folder, length, &mut random)?;
        same(&whole, &folder)?;
        kills += moments.len();
        println!("{number}: killed after {} s: the same", moments.join(" s, after "));
    }
    let damages = args.damages.unwrap_or(args.times);
    for number in 1..=damages {
        let folder = out.join(format!("damaged-{number}"));
        copy(&whole, &folder)?;
        let damage = damage(&folder, &mut random)?;
        let said = finish(train(&command, &folder)).with_context(|| damage.clone())?;
        ensure!(said.contains("step-000006 cannot be used"), "{damage}: nothing was said of it: {said}");
        same(&whole, &folder).with_context(|| damage.clone())?;
        println!("{number}: {damage}: the same");
    }
    between_operations(&command, &whole, &out, args.times, &mut random)?;
    full_disk(&command, &whole, &out, args.times, &mut random)?;
    two_writers(&command, &whole, &out, args.times)?;
    println!(
        "\nno fault changed a number: {runs} runs killed at random moments ({kills} kills), {damages} checkpoints damaged, \
         the others {} times each",
        args.times
    );
    Ok(())
}

/// Kills runs at operations on files that are drawn among all of them.
fn between_operations(
    command: &Path,
    whole: &Path,
    out: &Path,
    times: u32,
    random: &mut Random,
) -> Result<()> {
    if !operations::traceable() {
        println!("not killed between operations on files: that takes strace");
        return Ok(());
    }
    let log = out.join("operations.log");
    let all = operations::all(&train(command, &out.join("traced")), &log)?;
    ensure!(!all.is_empty(), "{} has no operation", log.display());
    for number in 1..=times {
        let folder = out.join(format!("operation-{number}"));
        let index = random.below(all.len() as u64) as usize;
        let when = format!("killed at operation {} of {} on files, {}", index + 1, all.len(), all[index]);
        operations::killed_at(&train(command, &folder), &all, index, &log)?;
        finish(train(command, &folder)).with_context(|| when.clone())?;
        same(whole, &folder).with_context(|| when.clone())?;
        println!("{when}: the same");
    }
    Ok(())
}

/// Lets the disk be full at some time of a run, which then goes on where there is room.
fn full_disk(command: &Path, whole: &Path, out: &Path, times: u32, random: &mut Random) -> Result<()> {
    let mut taken = 0;
    for file in files(whole)? {
        taken += fs::metadata(whole.join(file))?.len();
    }
    for number in 1..=times {
        let (small, folder) = (out.join("small-disk"), out.join(format!("full-{number}")));
        let bytes = 1 + random.below(taken * 9 / 10);
        let Some(disk) = disk::SmallDisk::mount(&small, bytes)? else {
            println!("no disk was full: that takes the right to mount one");
            return Ok(());
        };
        disk::fails_for_want_of_room(train(command, &small.join("run")))
            .with_context(|| format!("a disk of {bytes} bytes"))?;
        // Where there was no room for a folder there is nothing to go on from.
        if small.join("run").is_dir() {
            copy(&small.join("run"), &folder)?;
        }
        drop(disk);
        finish(train(command, &folder)).with_context(|| format!("after a disk of {bytes} bytes"))?;
        same(whole, &folder).with_context(|| format!("after a disk of {bytes} bytes"))?;
        println!("the disk was full at {bytes} bytes: the same");
    }
    Ok(())
}

/// Starts two processes in one folder at once: one trains, the other is sent away.
fn two_writers(command: &Path, whole: &Path, out: &Path, times: u32) -> Result<()> {
    for number in 1..=times {
        let folder = out.join(format!("two-{number}"));
        let start = || train(command, &folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let (mut first, mut second) = (start()?, start()?);
        let mut codes = [first.wait()?.code(), second.wait()?.code()];
        codes.sort_unstable();
        ensure!(codes == [Some(0), Some(2)], "two processes in one folder ended with {codes:?}");
        same(whole, &folder)?;
        println!("two processes at once: one trained, the other was sent away");
    }
    Ok(())
}

/// The command on a folder: a new run, or the one that is there resumed.
fn train(command: &Path, folder: &Path) -> Command {
    let mut train = Command::new(command);
    let (words, keys) = RUN.split_at(2);
    train.args(words).args(keys.iter().flat_map(|key| ["--set", key])).args([
        "--device",
        "flex",
        "--run-dir",
    ]);
    train.arg(folder).args(folder.join("config.toml").exists().then_some("--resume"));
    train.current_dir(root()).env("HF_HUB_OFFLINE", "1");
    train
}

/// Lets a run come to its end; what it says.
fn finish(mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| line(&command))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}", line(&command));
    Ok(said)
}

/// A run that is killed up to three times and then left to finish; when it was killed.
fn killed(command: &Path, folder: &Path, length: Duration, random: &mut Random) -> Result<Vec<String>> {
    let mut moments = Vec::new();
    for _ in 0..=random.below(3) {
        let moment = Duration::from_millis(random.below(length.as_millis() as u64 + 1));
        let mut child = train(command, folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        sleep(moment);
        child.kill()?;
        child.wait()?;
        moments.push(format!("{:.2}", moment.as_secs_f64()));
    }
    finish(train(command, folder))?;
    Ok(moments)
}

/// Flips a bit of a file of the newest checkpoint, or cuts it off; what was done.
fn damage(folder: &Path, random: &mut Random) -> Result<String> {
    let checkpoint = folder.join("checkpoints/step-000006");
    let names = files(&checkpoint)?;
    ensure!(!names.is_empty(), "{} is empty", checkpoint.display());
    let name = &names[random.below(names.len() as u64) as usize];
    let path = checkpoint.join(name);
    let mut bytes = fs::read(&path)?;
    ensure!(!bytes.is_empty(), "{} is empty", path.display());
    // The line end of the manifest, its last byte, says nothing: without it the file says the same.
    let at = random.below((bytes.len() as u64 - 1).max(1)) as usize;
    let what = if random.below(2) == 0 {
        bytes.truncate(at);
        format!("{} cut off behind byte {at}", name.display())
    } else {
        let bit = random.below(8);
        bytes[at] ^= 1 << bit;
        format!("{} with bit {bit} of byte {at} flipped", name.display())
    };
    fs::write(&path, bytes)?;
    Ok(what)
}

/// Fails if a run left something else than the one that was left alone; its folder is kept then.
pub(crate) fn same(whole: &Path, folder: &Path) -> Result<()> {
    let findings = Pair { old: whole, new: folder }.compare()?;
    let differences: Vec<String> = findings.into_values().flat_map(|finding| finding.differences).collect();
    if !differences.is_empty() {
        bail!("{} is not as {}:\n{}", folder.display(), whole.display(), differences.join("\n"));
    }
    fs::remove_dir_all(folder).with_context(|| folder.display().to_string())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for file in files(from)? {
        let target = to.join(&file);
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        fs::copy(from.join(&file), target)?;
    }
    Ok(())
}
