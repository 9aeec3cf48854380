//! The pages of docs/: all are in the site, their links lead somewhere, their recipes are read, their keys are there.

use crate::support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use support::{root, run};

/// Every page below docs/, by its path there.
fn pages() -> Vec<(String, String)> {
    let docs = root().join("docs");
    let folders = [docs.clone(), docs.join("results")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap().flatten());
    let named = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&docs).unwrap().to_str().unwrap().replace('\\', "/");
        (name, std::fs::read_to_string(path).unwrap())
    };
    named.map(read).collect()
}

/// Where the links of a page lead, without those to the web and to a place within a page.
fn links(text: &str) -> Vec<&str> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    links.filter(|link| !link.is_empty() && !link.contains("://")).collect()
}

/// The blocks of TOML in a page.
fn recipes(text: &str) -> Vec<String> {
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| block.lines().map(|line| line.trim_start().to_owned() + "\n").collect()).collect()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).unwrap()
}

#[test]
fn every_page_is_in_the_site_and_every_link_leads_somewhere() {
    let summary = page("SUMMARY.md");
    let listed: BTreeSet<&str> = links(&summary).into_iter().collect();
    for (name, text) in pages() {
        assert!(
            name == "SUMMARY.md" || listed.contains(name.as_str()),
            "docs/SUMMARY.md does not have {name}"
        );
        let folder = root().join("docs").join(&name);
        for link in links(&text) {
            let there = folder.parent().unwrap_or(Path::new("")).join(link);
            assert!(there.exists(), "docs/{name} leads to {link}, which is not there");
        }
    }
}

#[test]
fn the_recipes_of_the_first_pages_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let print = |name: &str, base: &str, more: &str| {
        let recipe = dir.path().join(name);
        std::fs::write(&recipe, base.to_owned() + more).unwrap();
        run(["train", recipe.to_str().unwrap(), "--print-config"]).ok().stdout
    };
    let [gpu] = recipes(&page("gpu.md")).try_into().unwrap();
    let printed = print("gpu.toml", &gpu, "[train]\nepochs = 1\n");
    assert!(printed.contains("turns = \"each\"") && printed.contains("image_root = \"images\""), "{printed}");
    let shapes = std::fs::read_to_string(root().join("configs/shapes.toml")).unwrap();
    let [own] = recipes(&page("own-method.md")).try_into().unwrap();
    let printed = print("own.toml", &shapes, &own);
    assert!(printed.contains("name = \"sober\""), "{printed}");
    let recipe = dir.path().join("own.toml");
    let prompts = run(["prompts", recipe.to_str().unwrap(), "--row", "3"]).ok().stdout;
    assert!(prompts.contains("== sober"), "{prompts}");
}

#[test]
fn the_keys_that_others_options_become_are_there() {
    let known = page("config.md") + &page("sft.md");
    let table = page("coming-from.md");
    let ours =
        table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.rsplit(" | ").next());
    let words = ours.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let keys: Vec<&str> = words
        .filter_map(|word| word.split([' ', '=']).next())
        .filter(|word| word.contains('.') && word.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c)))
        .filter(|word| *word != "metrics.jsonl")
        .collect();
    assert!(keys.len() > 25, "{keys:?}");
    for key in keys {
        assert!(known.contains(&format!("`{key}`")), "{key} is no key of a recipe");
    }
}
