//! Runs that the processes of `mpirun` share, with the real thing: the same bytes for any number of them, and a job that
//! ends in seconds when one of them is killed and can be gone on with by another number.

use crate::faults::{RUN, same};
use crate::random::Random;
use crate::shell::{cargo, emptied, line, root, succeed};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How soon a job has to be over after a rank was killed.
const SOON: Duration = Duration::from_secs(10);
/// The families' tiny models.
const MODELS: [&str; 2] = ["assets/tiny-qwen2_5-vl", "tests/fixtures/tiny-qwen3-vl"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command to try, built with the feature `mpi`; built here unless given.
    command: Option<PathBuf>,
    /// How many ranks are compared with one.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "2,4")]
    ranks: Vec<u32>,
    /// How often a rank is killed.
    #[arg(long, value_name = "N", default_value_t = 20)]
    kills: u32,
    /// Seed of ranks and moments.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let command = args.command.clone().map_or_else(built, Ok)?;
    let command = command.canonicalize().with_context(|| command.display().to_string())?;
    let out = emptied("ranks")?;
    let mut whole = out.clone();
    let mut length = Duration::ZERO;
    for (number, model) in MODELS.into_iter().enumerate() {
        whole = out.join(format!("one-{number}"));
        let begun = Instant::now();
        finish(&mut train(&command, model, 1, &whole))?;
        length = begun.elapsed();
        let mut shown = train(&command, model, 2, &out.join("shown"));
        finish(shown.arg("--print-config"))?;
        ensure!(!out.join("shown").exists(), "--print-config of two ranks began a run");
        for &ranks in &args.ranks {
            let folder = out.join(format!("{ranks}-{number}"));
            finish(&mut train(&command, model, ranks, &folder))?;
            same(&whole, &folder).with_context(|| format!("{ranks} ranks"))?;
            println!("{model}: {ranks} ranks: the same as one");
        }
    }
    let mut random = Random::new(args.seed);
    let mut slowest = Duration::ZERO;
    for number in 1..=args.kills {
        let folder = out.join(format!("killed-{number}"));
        let ranks = 2 + random.below(2) as u32;
        let moment = Duration::from_millis(random.below(length.as_millis() as u64 + 1));
        let job = quiet(&mut train(&command, MODELS[1], ranks, &folder)).spawn()?;
        sleep(moment);
        let (rank, over) = killed(job, &mut random)?;
        ensure!(over < SOON, "the job was over {:.1} s after rank {rank} was killed", over.as_secs_f64());
        slowest = slowest.max(over);
        let others = 1 + random.below(3) as u32;
        finish(&mut train(&command, MODELS[1], others, &folder))?;
        same(&whole, &folder)?;
        println!(
            "{number}: a process of {ranks} killed after {:.2} s, the job over {:.1} s later; {others} went on: the same",
            moment.as_secs_f64(),
            over.as_secs_f64()
        );
    }
    println!(
        "\nany number of ranks: the same bytes; jobs of a killed rank were over in {:.1} s",
        slowest.as_secs_f64()
    );
    Ok(())
}

/// The command with MPI, in a folder of its own: another set of features is not to take the place of the usual build.
fn built() -> Result<PathBuf> {
    let target = root().join("target/mpi");
    let mut build = cargo();
    build.args(["build", "--release", "--package", "vigos-cli", "--features", "mpi", "--target-dir"]);
    succeed(build.arg(&target))?;
    Ok(target.join("release/vigos"))
}

/// A short run in a folder, begun or gone on with by so many ranks of one thread each.
fn train(command: &Path, model: &str, ranks: u32, folder: &Path) -> Command {
    let mut train = Command::new("mpirun");
    train.args(["--oversubscribe", "-n", &ranks.to_string()]).arg(command);
    let (words, keys) = RUN.split_at(2);
    let more = [format!("model.path={model}"), "train.accumulate=3".to_owned()];
    let keys = keys.iter().map(|key| (*key).to_owned()).chain(more);
    train.args(words).args(keys.flat_map(|key| ["--set".to_owned(), key]));
    train.args(["--device", "flex", "--run-dir"]).arg(folder);
    train.args(folder.join("config.toml").exists().then_some("--resume"));
    train.current_dir(root()).env("HF_HUB_OFFLINE", "1").env("RAYON_NUM_THREADS", "1");
    // Open MPI asks for these where a container's only user is root.
    train.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    train
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn finish(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| line(command))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", line(command));
    Ok(())
}

/// Kills one of a job's processes, if it still has any; which, and how long the job took to be over.
fn killed(mut job: Child, random: &mut Random) -> Result<(usize, Duration)> {
    let processes = children(job.id())?;
    let begun = Instant::now();
    let mut chosen = 0;
    if !processes.is_empty() {
        chosen = random.below(processes.len() as u64) as usize;
        // One that has ended in the meantime is killed already.
        let _ =
            Command::new("kill").args(["-9", &processes[chosen].to_string()]).stderr(Stdio::null()).status();
    }
    while job.try_wait()?.is_none() {
        if begun.elapsed() >= SOON {
            job.kill()?;
        }
        sleep(Duration::from_millis(20));
    }
    Ok((chosen, begun.elapsed()))
}

/// The processes that a process has started, in the order of their numbers.
fn children(parent: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // Behind the name, which may hold anything: the state, and the parent.
        let parent_of = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        children.extend((parent_of == Some(parent)).then_some(process));
    }
    children.sort_unstable();
    Ok(children)
}
