//! What an installed command brings along, without a checkout.

use crate::support;

use support::{run, vigos};

#[test]
fn the_first_job_comes_with_the_command_and_runs_from_its_folder_alone() {
    let dir = tempfile::tempdir().unwrap();
    let job = dir.path().join("first-run");
    let write = || run(["example", "--out", job.to_str().unwrap()]);
    write().ok();
    write().refused(&["found something in it", "--out"]);
    let small = ["train.steps=1", "train.batch=2", "eval.limit=2", "rollout.max_new_tokens=4"];
    let sets = small.iter().flat_map(|set| ["--set", set]);
    let ran = vigos().current_dir(&job).args(["train", "configs/shapes.toml"]).args(sets).output().unwrap();
    support::ran(ran).ok();
    assert!(job.join("runs/shapes/metrics.jsonl").is_file());
    // It is the repository's own.
    for file in ["configs/shapes.toml", "configs/prompts/shapes/student.txt", "docs/schema/train.json"] {
        assert_eq!(
            std::fs::read(job.join(file)).unwrap(),
            std::fs::read(support::root().join(file)).unwrap()
        );
    }
    for folder in ["configs/prompts/shapes", "assets/shapes-qwen2_5-vl"] {
        let count = |root: &std::path::Path| std::fs::read_dir(root.join(folder)).unwrap().count();
        assert_eq!(count(&job), count(&support::root()), "{folder}");
    }
}

#[test]
fn completions_and_manual_name_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("man");
    run(["man", "--out", folder.to_str().unwrap()]).ok();
    let manual = run(["man"]).ok().stdout;
    assert!(manual.contains(".TH vigos 1"), "{manual}");
    let shells =
        ["bash", "zsh", "fish", "powershell", "elvish"].map(|shell| run(["completions", shell]).ok().stdout);
    for command in ["train", "watch", "top", "report", "data", "doctor"] {
        assert!(shells.iter().all(|script| script.contains(command)), "{command}");
        let page = std::fs::read_to_string(folder.join(format!("vigos-{command}.1"))).unwrap();
        assert!(page.contains("Example"), "{command}: {page}");
    }
    run(["completions", "tcsh"]).refused(&["tcsh"]);
}
