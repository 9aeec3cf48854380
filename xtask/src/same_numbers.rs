//! What two builds of the command compute, compared to the last byte: the proof that a change of form changed no number.
//!
//! Both run the same commands on the CPU. Lines of metrics have to be the same but for times, checkpoints, rollouts and
//! gradients byte for byte. The effective recipe may have other keys; it is told of and no difference.

mod cases;
pub(crate) mod compare;

use crate::shell::{built_command, emptied, line, root};
use anyhow::{Context, Result, bail};
use cases::{Case, cases};
use compare::Pair;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command that was built before the change.
    old: PathBuf,
    /// The command that was built after it; built here unless given.
    new: Option<PathBuf>,
    /// Where the old command finds its recipes, if they have changed: a checkout of its commit.
    #[arg(long, value_name = "DIR")]
    old_root: Option<PathBuf>,
    /// Steps of the main job and of the supervised run, which are whole unless given.
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// Run only cases whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// One of the builds.
struct Build {
    command: PathBuf,
    root: PathBuf,
    /// Where its cases leave their folders.
    out: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let new = args.new.clone().map_or_else(built_command, Ok)?;
    let out = emptied("same-numbers")?;
    let build = |command: &Path, at: &Path, name: &str| -> Result<Build> {
        let command = command.canonicalize().with_context(|| command.display().to_string())?;
        Ok(Build { command, root: at.canonicalize()?, out: out.join(name) })
    };
    let old = build(&args.old, args.old_root.as_deref().unwrap_or(&root()), "old")?;
    let new = build(&new, &root(), "new")?;
    let cases = cases(args.steps, &out.join("recorded"))?;
    let wanted = |case: &&Case| args.only.as_ref().is_none_or(|text| case.name.contains(text.as_str()));

    println!("{:<28} {:<52} {:>5}  equal", "case", "files", "");
    let mut differences = Vec::new();
    for case in cases.iter().filter(wanted) {
        let times = [old.time(case)?, new.time(case)?];
        let [before, after] = times.map(|time| time.as_secs_f64());
        println!(
            "{:<28} old {before:.1} s, new {after:.1} s, {:.2} times as long",
            case.name,
            after / before
        );
        let folder = |build: &Build| build.out.join(case.folder());
        let pair = Pair { old: &folder(&old), new: &folder(&new) };
        report(&case.name, &pair, &mut differences)?;
        if let Some(other) = case.equals {
            let whole = new.out.join(other);
            println!("{:<28} against {other}, both new", case.name);
            report(&case.name, &Pair { old: &whole, new: &folder(&new) }, &mut differences)?;
        }
    }
    if !differences.is_empty() {
        bail!("the builds differ:\n\n{}", differences.join("\n"));
    }
    println!("\nthe same numbers; both builds' folders are in {}", out.display());
    Ok(())
}

/// Prints a line for each kind of file of a case.
fn report(case: &str, pair: &Pair<'_>, differences: &mut Vec<String>) -> Result<()> {
    for (kind, finding) in pair.compare()? {
        let verdict = match finding.differences.len() {
            0 => finding.remarks.into_iter().collect::<Vec<_>>().join("; "),
            n => format!("NO, {n} of {}", finding.files),
        };
        println!("{:<28} {kind:<52} {:>5}  {verdict}", "", finding.files);
        differences.extend(finding.differences.into_iter().map(|difference| format!("{case}: {difference}")));
    }
    Ok(())
}

impl Case {
    /// Its folder's name.
    fn folder(&self) -> String {
        self.name.replace(' ', "-")
    }
}

impl Build {
    /// Runs a case and says how long it took.
    fn time(&self, case: &Case) -> Result<Duration> {
        let folder = self.out.join(case.folder());
        let begun = Instant::now();
        for args in &case.runs {
            let args = args.iter().map(|arg| match arg.as_str() {
                "RUN" => folder.as_os_str(),
                arg => arg.as_ref(),
            });
            let mut command = Command::new(&self.command);
            command.args(args).args(["--device", "flex"]).current_dir(&self.root).env("HF_HUB_OFFLINE", "1");
            let output = command.output().with_context(|| line(&command))?;
            if !output.status.success() {
                bail!(
                    "{} in {}: {}",
                    line(&command),
                    self.root.display(),
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
        Ok(begun.elapsed())
    }
}
