//! The house: what stands on what, down to single files, and how large it is.
//!
//! Crates stand on floors ([`floors`]) and use what is below them. Inside a crate no two files use each other, directly
//! or by way of others. Unsafe code is where it may be ([`confined`]). The fuzz targets' lock is of these crates. What this reads are the sources and `cargo metadata`; nothing is built for it.

mod circles;
mod confined;
mod floors;
mod imports;
mod modules;

use crate::shell::{cargo, files, root};
use anyhow::{Context, Result, bail};
use modules::Tree;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Lines of source that a crate may have.
const MOST_LINES: usize = 4500;

/// A crate of the workspace.
struct Package {
    name: String,
    folder: PathBuf,
    /// The crates of the workspace that it is linked with; those of its tests do not count.
    uses: Vec<String>,
}

/// Prints a line for each crate, and fails with everything that is wrong with the house.
pub(crate) fn run() -> Result<()> {
    let packages = packages()?;
    let edges: Vec<(String, Vec<String>)> =
        packages.iter().map(|p| (p.name.clone(), p.uses.clone())).collect();
    let mut faults = floors::faults(&edges);
    println!("{:>5}  {:<18} {:>5} {:>6} {:>7}  uses", "floor", "crate", "files", "lines", "circles");
    for package in &packages {
        let tree = Tree::read(&package.folder.join("src"))?;
        let circles = circles::circles(&tree.edges());
        let lines: usize = tree.files().iter().map(|file| file.lines).sum();
        let floor = floors::floor(&package.name).map_or("?".into(), |floor| floor.to_string());
        let uses: Vec<&str> = package.uses.iter().map(|name| short(name)).collect();
        println!(
            "{floor:>5}  {:<18} {:>5} {lines:>6} {:>7}  {}",
            package.name,
            tree.files().len(),
            circles.len(),
            uses.join(" ")
        );
        if lines > MOST_LINES {
            faults.push(format!("{}: {lines} lines of source, at most {MOST_LINES}", package.name));
        }
        for circle in circles {
            let name = |file: usize| tree.files()[file].path.display().to_string();
            let mut text = format!("{}: files that use each other", package.name);
            for (from, to, items) in tree.ties(&circle) {
                text += &format!("\n    {} uses {} of {}", name(from), items.join(", "), name(to));
            }
            faults.push(text);
        }
        faults.extend(unnamed(&package.folder)?.iter().map(|file| {
            format!("{}: {} is compiled by nobody: no `mod` names it", package.name, file.display())
        }));
    }
    let (unconfined, count) = confined::faults()?;
    faults.extend(unconfined);
    if fuzz_lock_is_stale()? {
        faults.push("fuzz/Cargo.lock is not of these crates; cargo update --workspace --manifest-path fuzz/Cargo.toml".into());
    }
    if !faults.is_empty() {
        bail!("what is wrong with the house:\n\n{}", faults.join("\n"));
    }
    println!("\nevery arrow points down, no circles of files, {count} `unsafe` where they may be");
    Ok(())
}

/// Whether the fuzz targets' lock, which no build of the workspace looks at, was left behind by a change of the crates.
fn fuzz_lock_is_stale() -> Result<bool> {
    let metadata =
        ["metadata", "--locked", "--offline", "--format-version", "1", "--manifest-path", "fuzz/Cargo.toml"];
    let output = cargo().args(metadata).output()?;
    // Packages that were never fetched are no matter.
    Ok(!output.status.success()
        && String::from_utf8_lossy(&output.stderr).contains("cannot update the lock file"))
}

/// A crate's name among its neighbours.
fn short(name: &str) -> &str {
    name.strip_prefix("vigos-").unwrap_or(name)
}

/// The crates of the workspace, as cargo reads them.
fn packages() -> Result<Vec<Package>> {
    let output = cargo().args(["metadata", "--no-deps", "--format-version", "1", "--offline"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata gave no JSON")?;
    let listed = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let members: Vec<String> = listed.iter().map(name).collect();
    let mut packages: Vec<Package> = listed
        .iter()
        .map(|package| {
            let uses = package["dependencies"].as_array().into_iter().flatten();
            let uses =
                uses.filter(|used| used["kind"] != "dev").map(name).filter(|name| members.contains(name));
            let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
            Package {
                name: name(package),
                folder: manifest.parent().unwrap_or(manifest).to_owned(),
                uses: uses.collect(),
            }
        })
        .collect();
    packages.sort_by_key(|package| (floors::floor(&package.name), package.name.clone()));
    Ok(packages)
}

/// Files of a crate's sources and tests that belong to no module.
fn unnamed(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut lost = Tree::read(&folder.join("src"))?.unnamed();
    let tests = folder.join("tests");
    if tests.is_dir() {
        for entry in std::fs::read_dir(&tests)? {
            let path = entry?.path();
            if path.join("main.rs").is_file() {
                lost.extend(Tree::read(&path)?.unnamed());
            }
        }
    }
    // The end-to-end tests are beside the crates.
    if folder == root().join("crates/cli") {
        let tests = root().join("tests");
        let shared = files(&tests)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
        lost.extend(Tree::of(&tests, shared.collect())?.unnamed());
    }
    Ok(lost)
}
