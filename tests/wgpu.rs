//! The command on a `wgpu` device, held against the CPU. Mesa's software Vulkan is device enough.

use crate::support;

use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use support::{
    data_folder, fixtures, metrics, questions, ran, recipe, recorded, run, set_json, train, vigos,
};

/// Largest difference between the devices, relative to what is compared.
const BOUND: f64 = 1e-3;

#[track_caller]
fn close(found: f64, wanted: f64, scale: f64, what: &str) {
    assert!((found - wanted).abs() <= BOUND * scale, "{what}: {found} on wgpu, {wanted} on flex");
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The tensors of a file, which are f32.
fn tensors(path: &Path) -> BTreeMap<String, Vec<f64>> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| {
        data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect()
    };
    file.iter().map(|(name, view)| (name.to_owned(), values(view.data()))).collect()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

/// Compares two files as one long vector.
fn same_tensors(found: &Path, wanted: &Path) {
    let (found, wanted) = (tensors(found), tensors(wanted));
    assert!(found.keys().eq(wanted.keys()));
    let pairs = || found.values().flatten().zip(wanted.values().flatten());
    let difference = norm(pairs().map(|(f, w)| f - w));
    let size = norm(wanted.values().flatten().copied());
    assert!(size > 0.0 && difference <= BOUND * size, "they differ by {difference:e} of {size:e}");
}

#[test]
fn the_doctor_finds_the_device_and_nothing_wrong_with_it() {
    let report = run(["doctor", "--device", "wgpu", "--json"]).ok().json();
    assert_eq!(report["passed"], true, "{report}");
    let checks = report["devices"][0]["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["verdict"] == "passed"), "{report}");
    assert!(checks.iter().any(|check| check["name"] == "loss of logits"), "{report}");
}

#[test]
fn bf16_works_where_the_device_has_it_and_is_refused_by_name_where_it_has_not() {
    let report = run(["doctor", "--device", "wgpu", "--json"]).ok().json();
    let checks = report["devices"][0]["checks"].as_array().unwrap();
    let more = ["--device", "wgpu", "--precision", "bf16"].map(str::to_owned);
    let args =
        [support::generate(&support::model(), &support::image("wide.png"), "What?"), more.to_vec()].concat();
    let ran = run(args);
    match checks.iter().any(|check| check["name"] == "product, bf16") {
        true => assert_eq!(ran.code, Some(0), "{}", ran.stderr),
        false => ran.refused(&["bf16", "wanted f32", "--precision"]),
    }
}

#[test]
fn a_recorded_step_is_the_same_on_both_devices() {
    let result = read(&fixtures().join("method-qwen2_5-vl/result.json"));
    let dir = tempfile::tempdir().unwrap();
    let (recipe, rollouts) = recorded(dir.path(), &result);
    for fidelity in ["paper", "released"] {
        let [wgpu, flex] = ["wgpu", "flex"].map(|device| {
            let out = dir.path().join(format!("{fidelity}-{device}"));
            let set = format!("method.fidelity={fidelity}");
            let fixed = ["replay", recipe.to_str().unwrap(), "--rollouts", rollouts.to_str().unwrap()];
            let more = ["--out", out.to_str().unwrap(), "--set", &set, "--set", "method.clip=0.5"];
            run(fixed.into_iter().chain(more).chain(["--device", device])).ok();
            out
        });
        let (found, wanted) = (read(&wgpu.join("step.json")), read(&flex.join("step.json")));
        let number = |value: &Value| value.as_f64().unwrap();
        for key in ["loss", "grad_norm"] {
            close(number(&found[key]), number(&wanted[key]), number(&wanted[key]), key);
        }
        for (found, wanted) in
            found["rows"].as_array().unwrap().iter().zip(wanted["rows"].as_array().unwrap())
        {
            assert_eq!(found["spans"], wanted["spans"]);
            let tokens = |row: &Value| row["tokens"].as_array().unwrap().clone();
            assert_eq!(tokens(found).len(), tokens(wanted).len());
            for (f, w) in tokens(found).iter().zip(&tokens(wanted)) {
                assert_eq!((&f["position"], &f["teacher"]), (&w["position"], &w["teacher"]));
                close(number(&f["kl"]), number(&w["kl"]), number(&w["kl"]).max(1.0), "kl");
            }
        }
        for file in ["grads.safetensors", "adapter/adapter_model.safetensors"] {
            same_tensors(&wgpu.join(file), &flex.join(file));
        }
    }
}

#[test]
fn a_run_samples_and_learns_the_same_on_both_devices() {
    let (dir, data) = data_folder(&questions());
    let recipe = recipe(&data);
    let [wgpu, flex] = ["wgpu", "flex"].map(|device| {
        let run_dir = dir.path().join(device);
        train(&recipe, &run_dir, &["--device", device]).ok();
        run_dir
    });
    let rollouts =
        |run_dir: &Path| std::fs::read_to_string(run_dir.join("rollouts/step-000001.jsonl")).unwrap();
    assert_eq!(rollouts(&wgpu), rollouts(&flex), "the draws depend on seed and position alone");
    for (found, wanted) in metrics(&wgpu).iter().zip(&metrics(&flex)) {
        for key in ["loss", "grad_norm"] {
            let (found, wanted) = (found[key].as_f64().unwrap(), wanted[key].as_f64().unwrap());
            close(found, wanted, wanted.abs(), key);
        }
    }
}

#[test]
fn a_run_begun_on_one_device_goes_on_on_the_other() {
    let (dir, data) = data_folder(&questions());
    let recipe = recipe(&data);
    let alone = dir.path().join("alone");
    train(&recipe, &alone, &["--device", "flex"]).ok();
    let wanted = &metrics(&alone)[1];
    for (first, second) in [("wgpu", "flex"), ("flex", "wgpu")] {
        let run_dir = dir.path().join(format!("{first}-{second}"));
        train(&recipe, &run_dir, &["--device", first]).ok();
        // The second step again, on the other one.
        train(&recipe, &run_dir, &["--device", second, "--resume", "--at", "1"]).ok();
        let lines = metrics(&run_dir);
        assert_eq!((lines.len(), &lines[1]["step"]), (2, &wanted["step"]));
        for key in ["loss", "grad_norm"] {
            let (found, wanted) = (lines[1][key].as_f64().unwrap(), wanted[key].as_f64().unwrap());
            close(found, wanted, wanted.abs(), &format!("{key} from {first} to {second}"));
        }
    }
}

#[test]
fn the_selftest_passes_and_a_run_on_a_device_that_does_not_is_refused() {
    let (dir, data) = data_folder(&questions());
    let (recipe, caches) = (recipe(&data), dir.path().join("caches"));
    let with_cache = |args: &[&str]| {
        let mut command = vigos();
        command.env("XDG_CACHE_HOME", &caches).args(args).args(["--device", "wgpu"]);
        ran(command.output().unwrap())
    };
    let report = with_cache(&["selftest", "--json"]).ok().json();
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["verdict"] == "passed"), "{report}");

    // What was found is kept; as if products had been found to be in TF32.
    let kept: Vec<_> = std::fs::read_dir(caches.join("vigos/selftest")).unwrap().collect();
    let [kept] = kept.as_slice() else { panic!("one report, found {kept:?}") };
    let kept = kept.as_ref().unwrap().path();
    set_json(&kept, "/reduced", true.into());
    set_json(&kept, "/checks/0/verdict", "reduced".into());
    let run_dir = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let recipe = recipe.to_str().unwrap();
    let refused = with_cache(&["train", recipe, "--run-dir", &run_dir("refused")]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    for part in ["self-test of wgpu", "product, 48 rows", "at most 5e-5", "train.fast_math"] {
        assert!(refused.stderr.contains(part), "no {part:?} in {}", refused.stderr);
    }
    assert!(!dir.path().join("refused").exists(), "nothing is begun");
    with_cache(&["train", recipe, "--run-dir", &run_dir("fast"), "--set", "train.fast_math=true"]).ok();
    with_cache(&["train", recipe, "--run-dir", &run_dir("skipped"), "--skip-selftest"]).ok();
}
