//! Whole runs through the public interface: reproducible, resumable, interruptible, and never lost.

use crate::support;

use burn::tensor::Device;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Recorded, kit, method_folder, relative, root, run};
use vigos_recipe::Recipe;
use vigos_rollout::{RunError, Start};
use vigos_train::metrics::Metrics;
use vigos_train::replay::replay;
use vigos_train::{Finished, Observer, TrainOptions, train};

const CONFIG: &str = r#"
[model]
path = "{root}/assets/tiny-qwen2_5-vl"
[data]
path = "{root}/data/easy-vqa/train.jsonl"
[method]
clip = 0
[rollout]
max_new_tokens = 6
batch = 3
[lora]
rank = 2
alpha = 4
[optim]
lr = 1e-2
[train]
steps = 4
batch = 2
accumulate = 2
seed = 7
[checkpoint]
every = 2
keep = 2
[log]
rollouts_every = 2
"#;

fn recipe(overrides: &[&str]) -> Recipe {
    let text = CONFIG.replace("{root}", &root().display().to_string());
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    Recipe::parse(&text, "test", &overrides).unwrap()
}

/// `metrics.jsonl` without its times.
fn metrics(run_dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(run_dir.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            let fields = value.as_object_mut().unwrap();
            fields.remove("seconds").unwrap();
            fields.remove("tokens_per_second").unwrap();
            value.to_string()
        })
        .collect()
}

fn adapter_bytes(finished: &Finished) -> Vec<u8> {
    std::fs::read(finished.output.join("adapter_model.safetensors")).unwrap()
}

#[test]
fn two_runs_with_one_seed_write_the_same_bytes_and_another_seed_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|n| folder.path().join(n));
    let first = run(&recipe(&[]), &a, false).unwrap();
    let second = run(&recipe(&[]), &b, false).unwrap();
    let other = run(&recipe(&["train.seed=8"]), &c, false).unwrap();
    assert_eq!((first.steps, first.interrupted), (4, false));
    assert_eq!(metrics(&a), metrics(&b));
    assert_eq!(metrics(&a).len(), 4);
    assert_eq!(adapter_bytes(&first), adapter_bytes(&second));
    assert_ne!(adapter_bytes(&first), adapter_bytes(&other));
    let snapshot = |run: &Path| std::fs::read(run.join("rollouts/step-000004.jsonl")).unwrap();
    assert_eq!(snapshot(&a), snapshot(&b));
    assert_eq!(snapshot(&a).split(|b| *b == b'\n').count(), 4 + 1);
}

/// Sets the stop flag once a step is done.
struct StopAfter<'a> {
    step: usize,
    flag: &'a AtomicBool,
}
impl Observer for StopAfter<'_> {
    fn step(&mut self, metrics: &Metrics) {
        if metrics.step == self.step {
            self.flag.store(true, Ordering::SeqCst);
        }
    }
}

/// Sets the stop flag in the middle of a rollout.
struct StopWithin<'a> {
    rollouts: Cell<usize>,
    flag: &'a AtomicBool,
}
impl Observer for StopWithin<'_> {
    fn phase(&mut self, phase: &'static str) {
        self.rollouts.set(self.rollouts.get() + usize::from(phase == "rollout"));
    }
    fn tokens(&mut self, drawn: usize) {
        if self.rollouts.get() == 2 && drawn > 3 {
            self.flag.store(true, Ordering::SeqCst);
        }
    }
}

#[test]
fn a_run_that_was_stopped_and_resumed_equals_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let whole_dir = folder.path().join("whole");
    // Dropout too must not depend on where the run was cut.
    let recipe = recipe(&["lora.dropout=0.2"]);
    let whole = run(&recipe, &whole_dir, false).unwrap();
    let stops: [&dyn Fn(&TrainOptions) -> Finished; 2] = [
        &|options| {
            let flag = AtomicBool::new(false);
            train(options, &mut StopAfter { step: 3, flag: &flag }, &flag).unwrap()
        },
        &|options| {
            let flag = AtomicBool::new(false);
            train(options, &mut StopWithin { rollouts: Cell::new(0), flag: &flag }, &flag).unwrap()
        },
    ];
    for (i, (stop, steps)) in stops.into_iter().zip([3, 1]).enumerate() {
        let dir = folder.path().join(format!("cut-{i}"));
        let cut = stop(&TrainOptions::new(&recipe, &dir, &kit(), &Device::flex()));
        assert_eq!((cut.steps, cut.interrupted), (steps, true));
        let resumed = run(&recipe, &dir, true).unwrap();
        assert_eq!((resumed.steps, resumed.interrupted), (4, false));
        assert_eq!(metrics(&dir), metrics(&whole_dir));
        assert_eq!(adapter_bytes(&resumed), adapter_bytes(&whole));
    }
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let recipe = recipe(&[]);
    let whole = run(&recipe, &dir, false).unwrap();
    let bytes = adapter_bytes(&whole);
    std::fs::write(whole.output.join("optimizer.safetensors"), b"torn").unwrap();
    let again = run(&recipe, &dir, true).unwrap();
    assert_eq!(adapter_bytes(&again), bytes, "steps 3 and 4 were made again from the checkpoint of step 2");
    for step in [2, 4] {
        let checkpoint = dir.join(format!("checkpoints/step-00000{step}"));
        std::fs::write(checkpoint.join("trainer.json"), b"{}").unwrap();
    }
    let error = run(&recipe, &dir, true).unwrap_err().to_string();
    assert!(error.contains("no checkpoint can be used") && error.contains("put one back"), "{error}");
}

#[test]
fn a_run_folder_belongs_to_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let one = ["train.steps=1"];
    run(&recipe(&one), &dir, false).unwrap();
    let before = metrics(&dir);
    let taken = run(&recipe(&one), &dir, false).unwrap_err().to_string();
    assert!(taken.contains("--resume"), "{taken}");
    let changed = run(&recipe(&["train.steps=1", "optim.lr=0.5"]), &dir, true).unwrap_err().to_string();
    assert!(changed.contains("optim.lr"), "{changed}");
    assert_eq!(metrics(&dir), before);
    // How long a run goes may change: one more step.
    assert_eq!(run(&recipe(&["train.steps=2"]), &dir, true).unwrap().steps, 2);
    let empty = run(&recipe(&one), &folder.path().join("none"), true).unwrap_err().to_string();
    assert!(empty.contains("no run to resume"), "{empty}");
}

#[test]
fn samples_over_the_limits_are_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    std::fs::create_dir(folder.path().join("images")).unwrap();
    let image = |name: &str| {
        let from = root().join("tests/fixtures/images/tiny.png");
        std::fs::copy(from, folder.path().join("images").join(name)).unwrap();
    };
    image("a.png");
    let long = "word ".repeat(400);
    let lines = [
        format!(r#"{{"id": "long", "image": "images/a.png", "problem": "{long}", "answer": "yes"}}"#),
        r#"{"id": "good", "image": "images/a.png", "problem": "What?", "answer": 0}"#.to_owned(),
    ];
    let data = folder.path().join("data.jsonl");
    std::fs::write(&data, lines.join("\n")).unwrap();
    let path = format!("data.path={}", data.display());
    let limited =
        ["train.steps=2", "train.batch=1", "train.accumulate=1", "train.max_prompt_tokens=600", &path];
    run(&recipe(&limited), &dir, false).unwrap();
    let last = metrics(&dir).pop().unwrap();
    assert!(last.contains(r#""skipped":{"long_prompt":"#), "{last}");

    let mut none = limited.to_vec();
    none[3] = "train.max_prompt_tokens=10";
    let error = run(&recipe(&none), &folder.path().join("none"), false).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("none of the 2 rows"), "{error}");
}

/// The recording as a replay's input, beside copies of its images.
fn replay_input(folder: &Path) -> PathBuf {
    let result: serde_json::Value =
        serde_json::from_slice(&std::fs::read(method_folder().join("result.json")).unwrap()).unwrap();
    let lines: Vec<String> = result["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let image = row["image"].as_str().unwrap();
            std::fs::copy(root().join("tests/fixtures/images").join(image), folder.join(image)).unwrap();
            serde_json::json!({
                "id": row["name"], "image": image, "problem": row["problem"], "answer": row["answer"],
                "completion_token_ids": row["completion_ids"], "prompts": row["prompts"],
            })
            .to_string()
        })
        .collect();
    let path = folder.join("rollouts.jsonl");
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

#[test]
fn a_replay_writes_the_recorded_step() {
    let recorded = Recorded::load();
    let folder = tempfile::tempdir().unwrap();
    let input = replay_input(folder.path());
    for fidelity in ["paper", "released"] {
        let out = folder.path().join(fidelity);
        let recipe = recipe(&[
            &format!("model.adapter={}", method_folder().join("adapter_init").display()),
            &format!("method.fidelity={fidelity}"),
            "method.clip=0.5",
            "lora.rank=4",
            "lora.alpha=8",
            "lora.dropout=0",
            "optim.lr=1e-3",
            "optim.max_grad_norm=0.1",
        ]);
        replay(&recipe, &input, &out, &kit(), &Device::flex(), &mut |_, _, _| {}).unwrap();
        let step: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out.join("step.json")).unwrap()).unwrap();
        let expected = recorded.expected(fidelity, "clip0.5");
        let number = |v: &serde_json::Value| v.as_f64().unwrap();
        assert!(relative(number(&step["loss"]), number(&expected["total"])) < 1e-5);
        assert!(relative(number(&step["grad_norm"]), number(&expected["grad_norm"])) < 1e-4);
        for term in ["perception", "reasoning", "reference"] {
            assert!(relative(number(&step["terms"][term]["kl"]), number(&expected[term]["kl"])) < 1e-5);
            assert_eq!(step["terms"][term]["clipped"], expected[term]["clipped"]);
        }
        for (row, spans) in step["rows"].as_array().unwrap().iter().zip(recorded.spans(fidelity)) {
            assert_eq!(row["valid"], spans.is_some());
            let description = spans.map_or(serde_json::Value::Null, |s| serde_json::json!(s.0));
            assert_eq!(row["spans"]["description"], description);
        }
        let found =
            vigos_models::peft::load(&out.join("adapter"), &recorded.model.architecture, &Device::flex())
                .unwrap();
        let wanted = recorded.tensors(&format!("adapter_step1.{fidelity}.clip0.5.safetensors"));
        let differing = support::host(&found)
            .iter()
            .flat_map(|(name, found)| found.iter().zip(&wanted[name]))
            .filter(|(f, w)| (*f - *w).abs() > 1e-5)
            .count();
        assert!(
            differing <= 2,
            "{differing} values differ: see the_adapter_after_one_step_equals_the_reference"
        );
        assert!(out.join("grads.safetensors").is_file());
        assert!(
            replay(&recipe, &input, &out, &kit(), &Device::flex(), &mut |_, _, _| {}).is_err(),
            "a replay is not overwritten"
        );
    }
}

#[test]
fn a_snapshot_of_a_run_replays_to_the_loss_of_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let once = ["train.steps=1", "train.accumulate=1", "log.rollouts_every=1", "lora.dropout=0"];
    let recipe = recipe(&once);
    let run_dir = folder.path().join("run");
    run(&recipe, &run_dir, false).unwrap();
    let snapshot = run_dir.join("rollouts/step-000001.jsonl");
    let text = std::fs::read_to_string(&snapshot).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let replayed = |input: &Path, out: &str| {
        let out = folder.path().join(out);
        replay(&recipe, input, &out, &kit(), &Device::flex(), &mut |_, _, _| {})?;
        let step = std::fs::read(out.join("step.json")).unwrap();
        Ok::<serde_json::Value, RunError>(serde_json::from_slice(&step).unwrap())
    };
    let step = replayed(&snapshot, "replay").unwrap();
    let metrics: serde_json::Value = serde_json::from_str(&metrics(&run_dir)[0]).unwrap();
    assert_eq!(step["loss"], metrics["loss"]);
    let ids = |rows: &[serde_json::Value]| rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(step["rows"].as_array().unwrap()), ids(&lines));

    // The images are those of the row of that name, so it has to be there and to be the same.
    let other = folder.path().join("other.jsonl");
    for (key, value, named) in
        [("id", "nobody", "nobody"), ("problem", "Another?", "problem"), ("answer", "7", "answer")]
    {
        let mut line = lines[0].clone();
        line[key] = value.into();
        std::fs::write(&other, line.to_string()).unwrap();
        let error = replayed(&other, "none").unwrap_err();
        assert!(error.is_input() && error.to_string().contains(named), "{error}");
    }
    assert!(!folder.path().join("none").exists());
}

#[test]
fn a_replay_with_a_bad_row_names_it_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let input = replay_input(folder.path());
    let text = std::fs::read_to_string(&input).unwrap();
    let cases = [
        (r#""image":"wide.png""#, r#""image":"../wide.png""#, "image"),
        (r#""completion_token_ids":["#, r#""completion_token_ids":[999999,"#, "completion_token_ids"),
        (r#""problem":"#, r#""problm":"#, "`problem`"),
        (r#""image":"wide.png""#, r#""image":"absent.png""#, "absent.png"),
    ];
    for (from, to, named) in cases {
        std::fs::write(&input, text.replacen(from, to, 1)).unwrap();
        let out = folder.path().join("out");
        let error =
            replay(&recipe(&["lora.dropout=0"]), &input, &out, &kit(), &Device::flex(), &mut |_, _, _| {})
                .unwrap_err();
        assert!(error.is_input(), "{error}");
        let message = error.to_string();
        assert!(message.contains("rollouts.jsonl:1") && message.contains(named), "{message}");
        assert!(!out.exists());
    }
}

#[test]
fn a_checkpoint_of_another_step_or_another_adapter_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let [dir, other] = ["run", "other"].map(|name| folder.path().join(name));
    let whole = run(&recipe(&[]), &dir, false).unwrap();
    let wanted = adapter_bytes(&whole);
    let larger = run(&recipe(&["lora.rank=4"]), &other, false).unwrap();
    copy(&larger.output, &dir.join("checkpoints/step-000004"));
    copy(&whole.output.with_file_name("step-000002"), &dir.join("checkpoints/step-000009"));
    let resumed = run(&recipe(&[]), &dir, true).unwrap();
    assert_eq!((resumed.steps, adapter_bytes(&resumed)), (4, wanted));
}

/// Keeps what a user would be told.
#[derive(Default)]
struct Notes(Vec<String>);
impl Observer for Notes {
    fn note(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
}

#[test]
fn a_run_goes_on_with_other_data_and_says_so_but_with_no_other_base() {
    let folder = tempfile::tempdir().unwrap();
    let [base, dir] = ["base", "run"].map(|name| folder.path().join(name));
    copy(&root().join("assets/tiny-qwen2_5-vl"), &base);
    let (rows, data) = (root().join("data/easy-vqa"), folder.path().join("rows.jsonl"));
    std::fs::copy(rows.join("train.jsonl"), &data).unwrap();
    let keys = |steps: usize| {
        let of = |key: &str, path: &Path| format!("{key}={:?}", path.display().to_string());
        let paths = [of("model.path", &base), of("data.path", &data), of("data.image_root", &rows)];
        let keys: Vec<String> = paths.into_iter().chain([format!("train.steps={steps}")]).collect();
        recipe(&keys.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (kit, device) = (kit(), Device::flex());
    let go = |steps, resume| {
        let (recipe, mut notes) = (keys(steps), Notes::default());
        let options = TrainOptions::new(&recipe, &dir, &kit, &device).resumed(resume);
        train(&options, &mut notes, &AtomicBool::new(false)).map(|_| notes.0.join("\n"))
    };
    let changed = "the data has changed since the run began";
    assert!(!go(1, false).unwrap().contains(changed));
    assert!(!go(2, true).unwrap().contains(changed));

    let text = std::fs::read_to_string(&data).unwrap();
    let first = text.lines().next().unwrap();
    std::fs::write(&data, format!("{text}{first}\n")).unwrap();
    let said = go(3, true).unwrap();
    assert!(said.contains(changed) && said.contains("rows then"), "{said}");
    assert!(!go(3, true).unwrap().contains(changed), "it is told once");

    let before = std::fs::read(dir.join("metrics.jsonl")).unwrap();
    let mut weights = std::fs::read(base.join("model.safetensors")).unwrap();
    *weights.last_mut().unwrap() ^= 1;
    std::fs::write(base.join("model.safetensors"), weights).unwrap();
    let error = go(4, true).unwrap_err().to_string();
    assert!(error.contains("its model.safetensors is another one"), "{error}");
    assert_eq!(std::fs::read(dir.join("metrics.jsonl")).unwrap(), before);
}

#[test]
fn a_recipe_s_divergence_is_the_one_that_teaches() {
    let loss = |keys: &str| -> f64 {
        let teacher = format!(
            "method.teacher=[{{name='t', context=['image', 'problem', 'reference'], prompt='reference', \
             spans=['completion'], when='always', {keys}}}]"
        );
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("run");
        run(&recipe(&["train.steps=1", "method.clip=0", &teacher]), &dir, false).unwrap();
        let line: serde_json::Value = serde_json::from_str(&metrics(&dir)[0]).unwrap();
        line["loss"].as_f64().unwrap()
    };
    let near = |found: f64, wanted: f64, within: f64| {
        assert!((found / wanted - 1.0).abs() < within, "{found} {wanted}");
    };
    let (forward, reverse) = (loss("divergence='forward'"), loss("divergence='reverse'"));
    // All tokens of the vocabulary, without the fused operator.
    near(loss("divergence='forward', top_k=4096"), forward, 1e-4);
    assert!(loss("divergence='forward', top_k=2") < forward, "what is in one bucket is not told apart");
    // JSD(β) / β goes to KL(q‖p) as β goes to 0, and JSD(β) / (1 − β) to KL(p‖q) as β goes to 1.
    near(loss("divergence='jsd', beta=0.001") / 0.001, forward, 0.02);
    near(loss("divergence='jsd', beta=0.999") / 0.001, reverse, 0.02);
    assert!(loss("divergence='jsd'") < 2f64.ln());
}

#[test]
fn a_checkpoint_of_another_run_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let [own, other] = ["own", "other"].map(|name| folder.path().join(name));
    let of = |seed: u64| recipe(&["train.steps=2", "checkpoint.every=1", &format!("train.seed={seed}")]);
    run(&of(1), &own, false).unwrap();
    run(&of(2), &other, false).unwrap();
    let [sound, strange] = [&own, &other].map(|dir| dir.join("checkpoints/step-000002"));
    copy(&strange, &sound);
    let (recipe, kit, device, mut notes) = (of(1), kit(), Device::flex(), Notes::default());
    let options = TrainOptions::new(&recipe, &own, &kit, &device).resumed(true);
    train(&options, &mut notes, &AtomicBool::new(false)).unwrap();
    let said = notes.0.join("\n");
    assert!(
        said.contains("step-000002 cannot be used") && said.contains("a checkpoint of another run"),
        "{said}"
    );
}

/// The files of one folder in the place of those of another.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn going_back_to_a_checkpoint_moves_nothing_where_its_metrics_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    run(&recipe(&[]), &dir, false).unwrap();
    std::fs::write(dir.join("metrics.jsonl"), "").unwrap();
    let (kit, device, recipe) = (kit(), Device::flex(), recipe(&[]));
    let options = TrainOptions::new(&recipe, &dir, &kit, &device);
    let back = TrainOptions { start: Start::ResumedAt(2), ..options };
    let error = train(&back, &mut support::Silent, &AtomicBool::new(false)).unwrap_err();
    assert!(error.to_string().contains("metrics.jsonl has 0 whole lines, at least 2 wanted"), "{error}");
    for step in [2, 4] {
        assert!(dir.join(format!("checkpoints/step-{step:06}/manifest.json")).is_file(), "step {step}");
    }
}

/// Panics when a step is done, as a lost device does within one.
struct Panicking;
impl Observer for Panicking {
    fn step(&mut self, _metrics: &Metrics) {
        panic!("planted");
    }
}

#[test]
fn a_panic_within_a_run_reaches_its_caller() {
    let folder = tempfile::tempdir().unwrap();
    let (kit, device, recipe) = (kit(), Device::flex(), recipe(&[]));
    let run_dir = folder.path().join("run");
    let options = TrainOptions::new(&recipe, &run_dir, &kit, &device);
    let run = || train(&options, &mut Panicking, &AtomicBool::new(false));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"planted"));
}
