//! The fuzz targets of `fuzz/`: built with coverage for libFuzzer, run one after the other, and what they found.
//!
//! What cargo-fuzz does is a set of flags for the compiler; with them a stable Rust and a C++ compiler are enough.

use crate::shell::{cargo, host, root, succeed};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Coverage by counters of edges, with the values that comparisons are of.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Targets to run; all of them unless named.
    targets: Vec<String>,
    /// Executions of each.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    runs: u64,
    /// Seconds that each may take at most.
    #[arg(long, value_name = "S", default_value_t = 600)]
    seconds: u64,
}

/// A program of `fuzz/`.
struct Target {
    name: String,
    features: Vec<String>,
}

/// What came of a target.
struct Outcome {
    executions: u64,
    seconds: f64,
    findings: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let targets = chosen(&args.targets)?;
    let programs = build(&targets)?;
    println!("{:<12} {:>11} {:>8} {:>9} {:>9}", "target", "executions", "seconds", "a second", "findings");
    let mut all = Outcome { executions: 0, seconds: 0.0, findings: Vec::new() };
    for target in &targets {
        let outcome = fuzz(&programs.join(&target.name), target, args)?;
        println!("{}", line(&target.name, &outcome));
        all.executions += outcome.executions;
        all.seconds += outcome.seconds;
        all.findings.extend(outcome.findings);
    }
    println!("{}", line("together", &all));
    let listed: Vec<String> = all.findings.iter().map(|file| file.display().to_string()).collect();
    ensure!(listed.is_empty(), "inputs that break a promise:\n\n{}", listed.join("\n"));
    Ok(())
}

fn line(name: &str, Outcome { executions, seconds, findings }: &Outcome) -> String {
    let speed = *executions as f64 / seconds.max(1e-3);
    format!("{name:<12} {executions:>11} {seconds:>8.0} {speed:>9.0} {:>9}", findings.len())
}

/// The targets of these names, or all.
fn chosen(names: &[String]) -> Result<Vec<Target>> {
    let metadata = ["metadata", "--no-deps", "--format-version", "1", "--manifest-path", "fuzz/Cargo.toml"];
    let output = cargo().args(metadata).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata gave no JSON")?;
    let listed = metadata["packages"][0]["targets"].as_array().context("fuzz/ has no targets")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let target = |value: &Value| Target {
        name: text(&value["name"]),
        features: value["required-features"].as_array().into_iter().flatten().map(text).collect(),
    };
    let all: Vec<Target> = listed.iter().map(target).collect();
    let known: Vec<&str> = all.iter().map(|target| target.name.as_str()).collect();
    if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("{other}: not one of {}", known.join(" "));
    }
    Ok(all.into_iter().filter(|target| names.is_empty() || names.contains(&target.name)).collect())
}

/// Builds the targets; where their programs are.
fn build(targets: &[Target]) -> Result<PathBuf> {
    let host = host()?;
    let mut command = cargo();
    command.args(["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
    // With a target the flags are for the programs alone, not for what the compiler itself runs.
    command.args(["--no-default-features", "--target", &host]).env("RUSTFLAGS", COVERAGE);
    for target in targets {
        command.args(["--bin", &target.name]);
        for feature in &target.features {
            command.args(["--features", feature]);
        }
    }
    succeed(&mut command)?;
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("fuzz/target"), PathBuf::from);
    Ok(folder.join(host).join("release"))
}

/// Runs one target. What it learns stays in `target/fuzz`, what it finds as well.
fn fuzz(program: &Path, Target { name, .. }: &Target, args: &Args) -> Result<Outcome> {
    let out = root().join("target/fuzz");
    let (learnt, found) = (out.join("corpus").join(name), out.join("found").join(name));
    let scratch = scratch(&out);
    for folder in [&learnt, &found, &scratch] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let before = listed(&found)?;
    let log = out.join(format!("{name}.log"));
    let given = ["corpus", "regressions"].map(|kind| root().join("fuzz").join(kind).join(name));
    let words = root().join("fuzz/dictionaries").join(format!("{name}.dict"));
    let begun = Instant::now();
    let mut command = Command::new(program);
    command
        .args([
            "-max_len=4096",
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            "-close_fd_mask=1",
        ])
        .args([format!("-runs={}", args.runs), format!("-max_total_time={}", args.seconds)])
        .arg(format!("-artifact_prefix={}/", found.display()))
        .args(words.is_file().then(|| format!("-dict={}", words.display())))
        .arg(&learnt)
        .args(given.iter().filter(|folder| folder.is_dir()))
        .env("TMPDIR", &scratch)
        .stderr(File::create(&log).with_context(|| log.display().to_string())?);
    let status = command.status().with_context(|| program.display().to_string())?;
    fs::remove_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    let findings: Vec<PathBuf> = listed(&found)?.into_iter().filter(|file| !before.contains(file)).collect();
    let said = fs::read_to_string(&log).unwrap_or_default();
    ensure!(status.success() || !findings.is_empty(), "{name} ended with {status}:\n{}", last_lines(&said));
    let executions = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let executions = executions.and_then(|number| number.trim().parse().ok()).unwrap_or(0);
    Ok(Outcome { executions, seconds: begun.elapsed().as_secs_f64(), findings })
}

/// Where the files of inputs are written: in memory, where the system has a folder for that.
fn scratch(out: &Path) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory } else { out };
    folder.join(format!("vigos-fuzz-{}", std::process::id()))
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
