//! Every set of features that the command is built with, checked by the compiler: what compiles on one backend need not on
//! another. A set is another build of Burn, so each is checked in the same folder, one after another, and the parts that
//! sets share are kept.

use crate::shell::{cargo, line, root};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::time::Instant;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these sets, such as cuda,fusion,autotune; `default` is one of them.
    #[arg(long, value_name = "FEATURES")]
    only: Vec<String>,
    /// List the sets with what each needs, and check none.
    #[arg(long)]
    list: bool,
    /// Clippy in place of the compiler's own check.
    #[arg(long)]
    lint: bool,
}

/// A set of features.
struct Set {
    /// As cargo takes them; the backends are named as `--device` does.
    features: &'static str,
    /// What building it needs that a registry does not have.
    needs: &'static str,
}

/// CubeCL's runtimes of these take an LLVM of its own.
const LLVM: &str =
    "LLVM of CubeCL: a build script downloads it from github.com into ~/.local/share/tracel, 1 GB";
const NOTHING: &str = "nothing";

const SETS: [Set; 10] = [
    Set { features: "flex", needs: NOTHING },
    Set { features: "cuda,fusion,autotune", needs: LLVM },
    Set { features: "rocm,fusion,autotune", needs: "LLVM as cuda; what runs it loads ROCm's libraries" },
    Set { features: "vulkan,fusion,autotune", needs: NOTHING },
    Set { features: "webgpu,fusion,autotune", needs: NOTHING },
    Set { features: "metal", needs: NOTHING },
    Set { features: "cpu", needs: LLVM },
    Set {
        features: "tch",
        needs: "libtorch 2.9: LIBTORCH, or LIBTORCH_USE_PYTORCH=1 with PyTorch 2.9 at hand",
    },
    Set { features: "cuda,flex", needs: LLVM },
    Set { features: "vulkan,flex", needs: NOTHING },
];

/// How a check ended.
struct Checked {
    set: &'static Set,
    /// What the compiler said first, if it found something.
    error: Option<String>,
    seconds: f64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen = chosen(&args.only)?;
    if args.list {
        chosen.iter().for_each(|set| println!("{:<24} needs {}", set.features, set.needs));
        return Ok(());
    }
    let mut all = Vec::new();
    for set in chosen {
        let checked = check(set, if args.lint { "clippy" } else { "check" })?;
        println!("{}", row(&checked));
        all.push(checked);
    }
    println!("\n{}", table(&all));
    let failed: Vec<&str> = all.iter().filter(|c| c.error.is_some()).map(|c| c.set.features).collect();
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("{} of {} sets do not compile: {}", failed.len(), all.len(), failed.join(" | ")),
    }
}

/// The sets of these names, all where there are none.
fn chosen(only: &[String]) -> Result<Vec<&'static Set>> {
    let known = |name: &String| {
        let name = if name == "default" { "flex" } else { name.as_str() };
        let sorted = |features: &str| {
            let mut names: Vec<String> = features.split(',').map(str::to_owned).collect();
            names.sort();
            names
        };
        SETS.iter().find(|set| sorted(set.features) == sorted(name)).with_context(|| {
            let names: Vec<&str> = SETS.iter().map(|set| set.features).collect();
            format!("--only {name}: not one of default, {}", names.join(" | "))
        })
    };
    if only.is_empty() { Ok(SETS.iter().collect()) } else { only.iter().map(known).collect() }
}

/// Has the compiler check the command with a set, in the profile that compiles quickly.
fn check(set: &'static Set, how: &str) -> Result<Checked> {
    let mut command = cargo();
    command.args([how, "--profile", "quick", "--locked", "--package", "vigos-cli", "--no-default-features"]);
    command.args(["--bin", "vigos", "--message-format", "short", "--features", set.features]);
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        command.env("CARGO_TARGET_DIR", folder());
    }
    if how == "clippy" {
        command.args(["--", "-D", "warnings"]);
    }
    eprintln!("$ {}", line(&command));
    let begin = Instant::now();
    let output = command.output().with_context(|| format!("{} cannot be run", line(&command)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let error = (!output.status.success()).then(|| first_error(&said));
    Ok(Checked { set, error, seconds: begin.elapsed().as_secs_f64() })
}

/// Beside the usual build, which it would take apart.
fn folder() -> PathBuf {
    root().join("target/features")
}

/// The line that says most of why cargo failed.
fn first_error(said: &str) -> String {
    let mut lines = said.lines().map(str::trim);
    // A build script's own words stand below cargo's.
    let of_script = |line: &&str| line.starts_with("Error:") || line.contains("panicked at");
    let script = lines.clone().find(of_script);
    let reason = script.or_else(|| lines.find(|line| line.contains("error"))).unwrap_or("cargo failed");
    reason.chars().take(200).collect()
}

fn row(checked: &Checked) -> String {
    let status = checked.error.as_deref().map_or("compiles".to_owned(), |error| format!("FAILED: {error}"));
    let Set { features, needs } = checked.set;
    format!("| `{features}` | {status} | {:.0} s | {needs} |", checked.seconds)
}

fn table(all: &[Checked]) -> String {
    let rows: Vec<String> = all.iter().map(row).collect();
    format!(
        "| features | status | time | needs besides crates |\n| --- | --- | --- | --- |\n{}",
        rows.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_known_by_their_features_in_any_order_and_every_backend_is_in_one() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(ToString::to_string).collect();
            chosen(&only).map(|sets| sets.iter().map(|set| set.features).collect::<Vec<_>>())
        };
        assert_eq!(names(&["autotune,cuda,fusion", "default"]).unwrap(), ["cuda,fusion,autotune", "flex"]);
        assert!(names(&["opencl"]).unwrap_err().to_string().contains("vulkan,fusion,autotune"));
        let manifest = std::fs::read_to_string(root().join("crates/cli/Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let all = names(&[]).unwrap().join(",");
        for (feature, _) in manifest["features"].as_table().unwrap() {
            // What `wgpu` is built with is checked on every change; `mpi` is not a backend.
            if !["default", "mpi", "wgpu"].contains(&feature.as_str()) {
                assert!(all.split(',').any(|name| name == feature), "{feature}");
            }
        }
    }

    #[test]
    fn of_what_cargo_says_the_reason_is_kept() {
        let compiler =
            "   Compiling a\nsrc/a.rs:1:1: error[E0425]: no value `x`\nerror: could not compile `a`\n";
        assert_eq!(first_error(compiler), "src/a.rs:1:1: error[E0425]: no value `x`");
        let script = "error: failed to run custom build command for `b`\n\nCaused by:\n  Error: no network\n";
        assert_eq!(first_error(script), "Error: no network");
        assert_eq!(first_error(""), "cargo failed");
    }
}
