//! Whole runs with every family of models: rollouts, teachers, steps, checkpoint, resume.

use crate::support;

use burn::tensor::{DType, Device};
use std::path::Path;
use support::{FAMILIES, folder_of, host, root, run};
use vigos_models::{Adapter, peft};
use vigos_qwen::Model;
use vigos_recipe::Recipe;
use vigos_train::Finished;

const CONFIG: &str = r#"
[model]
path = "{model}"
[data]
path = "{root}/data/easy-vqa/train.jsonl"
[method]
clip = 0
[rollout]
max_new_tokens = 6
batch = 2
[lora]
rank = 2
alpha = 4
dropout = 0.1
[optim]
lr = 1e-2
schedule = "constant"
[checkpoint]
every = 1
[train]
batch = 2
accumulate = 1
seed = 7
"#;

fn train(family: &str, steps: usize, run_dir: &Path, resume: bool) -> Finished {
    let text = CONFIG
        .replace("{root}", &root().display().to_string())
        .replace("{model}", &folder_of(family).display().to_string());
    let recipe = Recipe::parse(&text, "test", &[format!("train.steps={steps}")]).unwrap();
    run(&recipe, run_dir, resume).unwrap()
}

fn adapter(family: &str, finished: &Finished) -> Adapter {
    peft::load(
        &finished.output,
        vigos_qwen::families().read(&folder_of(family)).unwrap().architecture(),
        &Device::flex(),
    )
    .unwrap()
}

#[test]
fn every_family_trains_and_resumes() {
    for family in FAMILIES {
        let folder = tempfile::tempdir().unwrap();
        let [whole, cut] = ["whole", "cut"].map(|name| folder.path().join(name));
        let finished = train(family, 2, &whole, false);
        assert_eq!((finished.steps, finished.interrupted), (2, false), "{family}");
        train(family, 1, &cut, false);
        let resumed = train(family, 2, &cut, true);
        let (finished, resumed) = (adapter(family, &finished), adapter(family, &resumed));
        assert_eq!(host(&finished), host(&resumed), "{family}");
        let moved = |part: &str| {
            host(&finished)
                .iter()
                .any(|(name, values)| name.contains(part) && values.iter().any(|v| *v != 0.0))
        };
        // B starts at zero, so a value other than zero came from a gradient.
        assert!(moved("language_model.layers.0.self_attn.q_proj.lora_B"), "{family}");
        assert_eq!(moved("visual.blocks.0.mlp.up_proj.lora_B"), family == "qwen2_5-vl", "{family}");
    }
}

#[test]
fn an_adapter_of_one_family_does_not_fit_another() {
    let [first, second] = FAMILIES;
    let adapter = support::method_folder_of(first).join("adapter_init");
    let model = Model::load(&folder_of(second), &Device::flex(), DType::F32).unwrap();
    let message = peft::load(&adapter, &model.architecture, &model.device).unwrap_err().to_string();
    assert!(message.contains("unexpected") && message.contains("visual.blocks.0.mlp"), "{message}");
}
