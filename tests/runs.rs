//! How runs are cut short, gone on with and kept apart, through the command.

use crate::support;

use std::fs;
use std::path::Path;
use support::{adapter_bytes, checkpoint, data_folder, metrics, questions, recipe, run, train};
use vigos_core::lock::FolderLock;

#[cfg(unix)]
#[test]
fn a_signal_saves_the_last_whole_step_and_is_the_exit_code() {
    let (dir, data) = data_folder(&questions());
    // Below `nohup` it is meant to be ignored: the next test's.
    let signals = [("INT", 130), ("TERM", 143), ("HUP", 129)];
    for (signal, code) in signals.into_iter().filter(|(signal, _)| *signal != "HUP" || !ignores_hang_ups()) {
        let run_dir = dir.path().join(signal);
        let mut command = support::vigos();
        command.arg("train").arg(recipe(&data)).arg("--run-dir").arg(&run_dir);
        command.args(["--set", "train.steps=100000", "--set", "checkpoint.every=0"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let child = command.spawn().unwrap();
        let begin = std::time::Instant::now();
        let steps_made =
            || std::fs::read_to_string(run_dir.join("metrics.jsonl")).unwrap_or_default().lines().count();
        while steps_made() < 2 {
            assert!(begin.elapsed().as_secs() < 120, "no step was made");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let kill = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let ran = support::ran(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(code), "{signal}: {}", ran.stderr);
        let steps = metrics(&run_dir).len();
        assert!(ran.stderr.contains(&format!("stopped after step {steps}")), "{steps} {}", ran.stderr);
        assert!(checkpoint(&run_dir, steps).join("manifest.json").is_file());
    }
}

/// Whether this process was started by `nohup` or the like, and so are those that it starts.
#[cfg(unix)]
fn ignores_hang_ups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_was_ignored_at_the_start_ends_nothing() {
    let (dir, data) = data_folder(&questions());
    let run_dir = dir.path().join("run");
    let mut train = support::vigos();
    train.arg("train").arg(recipe(&data)).arg("--run-dir").arg(&run_dir);
    train.args(["--set", "train.steps=100000", "--set", "checkpoint.every=0"]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(train.get_program()).args(train.get_args());
    command.current_dir(support::root()).env("HF_HUB_OFFLINE", "1");
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let begin = std::time::Instant::now();
    let steps_made =
        || std::fs::read_to_string(run_dir.join("metrics.jsonl")).unwrap_or_default().lines().count();
    let wait_for = |steps: usize| {
        while steps_made() < steps {
            assert!(begin.elapsed().as_secs() < 120, "no step was made");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    let kill = |signal: &str| {
        let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    };
    wait_for(1);
    kill("-HUP");
    wait_for(steps_made() + 3);
    kill("-TERM");
    let ran = support::ran(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(143), "{}", ran.stderr);
}

#[test]
fn a_run_whose_time_is_up_is_saved_and_goes_on_with_what_was_set() {
    let (dir, data) = data_folder(&questions());
    let (recipe, whole, parts) = (recipe(&data), dir.path().join("whole"), dir.path().join("parts"));
    let set = ["--set", "train.steps=3", "--set", "optim.lr=2e-3"];
    train(&recipe, &whole, &set).ok();
    let cut = train(&recipe, &parts, &[&set[..], &["--save-by", "0s"]].concat());
    assert_eq!(cut.code, Some(75), "{}", cut.stderr);
    assert!(cut.stderr.contains("go on with --resume"), "{}", cut.stderr);
    // Nothing of what was set is said again.
    train(&recipe, &parts, &["--resume"]).ok();
    assert_eq!(metrics(&whole), metrics(&parts));
    assert!(adapter_bytes(&whole, 3) == adapter_bytes(&parts, 3), "the adapters differ");
}

#[test]
fn a_folder_that_a_process_holds_is_left_alone_by_another() {
    let (dir, data) = data_folder(&questions());
    let (recipe, run_dir) = (recipe(&data), dir.path().join("run"));
    train(&recipe, &run_dir, &["--set", "train.steps=1"]).ok();
    let before = metrics(&run_dir);
    let held = FolderLock::take(&run_dir).unwrap();
    let holder = format!("process {}", std::process::id());
    let folder = run_dir.to_str().unwrap();
    train(&recipe, &run_dir, &["--resume"]).refused(&[folder, "another process", &holder]);
    assert_eq!(metrics(&run_dir), before);
    drop(held);
    train(&recipe, &run_dir, &["--resume", "--set", "train.steps=2"]).ok();
    assert_eq!(metrics(&run_dir).len(), 2);
}

#[test]
fn a_run_that_fails_says_what_was_saved_and_how_to_go_on() {
    let (dir, data) = data_folder(&questions());
    let run_dir = dir.path().join("run");
    // The first step's weights are finite, and the second's logits are not.
    let set =
        ["train.steps=3", "method.clip=0", "optim.lr=1e30", "optim.schedule=constant", "checkpoint.every=1"];
    let ran = train(&recipe(&data), &run_dir, &set.map(|set| ["--set", set]).concat());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for part in ["not finite", "step-000001", "--resume"] {
        assert!(ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
    }
}

#[test]
fn what_a_killed_process_was_writing_is_gone_when_the_run_goes_on() {
    let (dir, data) = data_folder(&questions());
    let (recipe, run_dir) = (recipe(&data), dir.path().join("run"));
    train(&recipe, &run_dir, &["--set", "train.steps=1", "--set", "log.rollouts_every=1"]).ok();
    let left = [run_dir.join(".writing-Ab3"), run_dir.join("rollouts/.writing-x")];
    left.iter().for_each(|file| std::fs::write(file, "half").unwrap());
    train(&recipe, &run_dir, &["--resume", "--set", "train.steps=2"]).ok();
    assert!(!left.iter().any(|file| file.exists()));
}

#[test]
fn limits_that_a_run_was_lost_to_may_be_others_when_it_goes_on() {
    let (dir, data) = data_folder(&questions());
    let recipe = recipe(&data);
    for change in
        ["data.max_pixels=1568", "train.max_prompt_tokens=1000", "data.max_bad_share=0.5", "rollout.batch=1"]
    {
        let run_dir = dir.path().join(change.split('=').next().unwrap());
        train(&recipe, &run_dir, &["--set", "train.steps=1"]).ok();
        let ran = train(&recipe, &run_dir, &["--resume", "--set", "train.steps=2", "--set", change]).ok();
        let (key, value) = change.split_once('=').unwrap();
        assert!(ran.stderr.contains(key) && ran.stderr.contains("is now"), "{}", ran.stderr);
        let config = std::fs::read_to_string(run_dir.join("config.toml")).unwrap();
        let line = format!("{} = {value}\n", key.split('.').nth(1).unwrap());
        assert!(config.contains(&line), "{config}");
    }
}

#[test]
fn a_run_goes_on_at_a_named_checkpoint_and_puts_the_later_ones_aside() {
    let (dir, data) = data_folder(&questions());
    let (recipe, run_dir) = (recipe(&data), dir.path().join("run"));
    let constant = ["--set", "train.steps=3", "--set", "optim.schedule=constant"];
    train(&recipe, &run_dir, &constant).ok();
    let (last, lines) = (adapter_bytes(&run_dir, 3), metrics(&run_dir));
    train(&recipe, &run_dir, &["--resume", "--at", "7"]).refused(&["--at", "7", "1, 2, 3"]);
    let ran = train(&recipe, &run_dir, &["--resume", "--at", "1"]).ok();
    assert!(ran.stderr.contains("going on after step 1 of 3"), "{}", ran.stderr);
    assert!(adapter_bytes(&run_dir, 3) == last, "the same steps come to another adapter");
    assert_eq!(metrics(&run_dir), lines);
    for step in [2, 3] {
        assert!(run_dir.join(format!("checkpoints/aside-{step:06}/manifest.json")).is_file(), "{step}");
    }
}

#[test]
fn a_run_does_not_go_on_to_an_end_that_is_behind_it() {
    let (dir, data) = data_folder(&questions());
    let (recipe, run_dir) = (recipe(&data), dir.path().join("run"));
    train(&recipe, &run_dir, &[]).ok();
    let config = std::fs::read(run_dir.join("config.toml")).unwrap();
    train(&recipe, &run_dir, &["--resume", "--set", "train.steps=1"]).refused(&["train.steps", "2", "--at"]);
    assert_eq!(std::fs::read(run_dir.join("config.toml")).unwrap(), config);
    std::fs::remove_dir_all(run_dir.join("checkpoints")).unwrap();
    let ran = train(&recipe, &run_dir, &["--resume"]).ok();
    assert!(ran.stderr.contains("there is no checkpoint"), "{}", ran.stderr);
}

#[test]
fn the_run_of_another_command_is_not_gone_on_with() {
    let (dir, data) = data_folder(&questions());
    let (recipe, trained) = (recipe(&data), dir.path().join("trained"));
    let asked = dir.path().join("asked");
    train(&recipe, &trained, &["--set", "train.steps=1"]).ok();
    let evaluate = |run_dir: &Path, more: &[&str]| {
        let fixed = ["eval", recipe.to_str().unwrap(), "--run-dir", run_dir.to_str().unwrap()];
        let set = ["--set", "eval.samples=1", "--set", "eval.max_new_tokens=4"];
        run(fixed.iter().chain(&set).chain(more))
    };
    evaluate(&asked, &[]).ok();
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = [names(&trained), names(&asked)];
    evaluate(&trained, &["--resume"]).refused(&["a run of another command, vigos train"]);
    train(&recipe, &asked, &["--resume"]).refused(&["a run of another command, vigos eval"]);
    let sft = ["sft", recipe.to_str().unwrap(), "--run-dir", trained.to_str().unwrap(), "--resume"];
    run(sft).refused(&["a run of another command, vigos train"]);
    assert_eq!([names(&trained), names(&asked)], before);
}
