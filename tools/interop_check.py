#!/usr/bin/env python3
"""Round trips with Transformers and PEFT: model folders and adapters, both families, on tiny models.

    python3 -m venv /tmp/hf && /tmp/hf/bin/pip install -r tools/requirements.txt
    cargo build --release && cargo build --release -p vigos-qwen --example logits
    /tmp/hf/bin/python tools/interop_check.py [--fixtures]

Every line of the table is one comparison of logits over all positions of some prompts with images, in f32:

- `init`: Transformers loads a folder made by `vigos init`;
- `theirs`: vigos loads an adapter that PEFT wrote: names, regular expressions, exclusions, patterns, rsLoRA;
- `ours`: PEFT loads the adapter that `vigos train` wrote, from nothing or going on with one of PEFT's;
- `merged`: Transformers loads the folder that `vigos merge` made of such an adapter, and PEFT's own merge beside it.

Prompt ids are compared too, and 16 greedy tokens of a merged folder with a prefill, as docs/interop.md serves it. Adapters that vigos must refuse are tried. Exits with 1 where a bound is broken.
With --fixtures the adapters of `theirs` go to models/qwen/tests/fixtures/peft, with the logits that PEFT gives,
for the tests that run without Python.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "models/qwen/tests/fixtures/peft"
IMAGES = ROOT / "tests/fixtures/images"
FAMILIES = {"qwen2_5-vl": ROOT / "assets/tiny-qwen2_5-vl", "qwen3-vl": ROOT / "tests/fixtures/tiny-qwen3-vl"}
PROMPTS = [(["wide.png"], "How many red squares are in the image?"), (["wide.png", "tall.png"], "Which image has more shapes?"),
           (["rgba_70.png"], "Café \\frac{a}{b} 你好🙂")]
BOUND = 1e-4

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# What PEFT is asked for. Ranks are small, so that the fixtures are.
ADAPTERS = {
    "names": dict(r=2, lora_alpha=4, target_modules=SEVEN),
    "regex": dict(r=2, lora_alpha=3, target_modules=r"^(?!.*visual).*\.(?:layers\.[12])\.(?:self_attn\.[qv]|mlp\.down)_proj"),
    "patterns": dict(r=3, lora_alpha=5, target_modules=["q_proj", "v_proj", "mlp.gate_proj", "down_proj"],
                     # Sorted, as PEFT saves them: the first that matches counts.
                     rank_pattern={r"^model\.language_model\.layers\.1\..*": 1, "gate_proj": 4, r"layers\.\d+\.self_attn\.q_proj": 2},
                     alpha_pattern={r"0\.mlp\.\w+": 9, "v_proj": 1.5}),
    "rslora": dict(r=4, lora_alpha=2, use_rslora=True, target_modules=r".*(?:self_attn|mlp)\.(?:k|o|up)_proj",
                   rank_pattern={"k_proj": 2}, alpha_pattern={r"language_model\.layers\.2\.self_attn\.(k|o)_proj": 7}),
    "exclude": dict(r=2, lora_alpha=4, target_modules=["o_proj", "gate_proj"], exclude_modules=r".*(visual|layers\.0).*",
                    init_lora_weights="gaussian"),
    "paths": dict(r=1, lora_alpha=2, target_modules=[f"model.language_model.layers.{i}.self_attn.{n}" for i, n in [(0, "q_proj"), (2, "k_proj")]]
                  + ["layers.1.mlp.up_proj"]),
}
# What PEFT takes and vigos must refuse, with the key that it must name.
REFUSED = {
    "use_dora": dict(use_dora=True),
    "bias": dict(bias="all"),
    "lora_bias": dict(lora_bias=True),
    "modules_to_save": dict(modules_to_save=["lm_head"]),
    "layers_to_transform": dict(layers_to_transform=[0]),
    "trainable_token_indices": dict(trainable_token_indices=[1, 2]),
    "init_lora_weights": dict(init_lora_weights="pissa"),
    "target_modules": dict(target_modules="all-linear"),
}


class Check:
    def __init__(self, vigos: Path, logits: Path, work: Path):
        self.vigos, self.logits_program, self.work = vigos, logits, work
        self.known: dict[tuple[Path, Path | None], list[dict[str, torch.Tensor]]] = {}
        self.rows: list[tuple[str, str, str, float, float]] = []
        self.failed = False

    def ours(self, model: Path, adapter: Path | None = None) -> list[dict[str, torch.Tensor]]:
        """Ids and logits of every prompt, from vigos."""
        if (model, adapter) in self.known:
            return self.known[model, adapter]
        results = []
        for images, prompt in PROMPTS:
            args = [self.logits_program, "--model", model, "--prompt", prompt, "--out", self.work / "logits.safetensors"]
            for image in images:
                args += ["--image", IMAGES / image]
            run(args + (["--adapter", adapter] if adapter else []))
            # Copied: the file is mapped, and the next prompt overwrites it.
            results.append({name: tensor.clone() for name, tensor in load_file(self.work / "logits.safetensors").items()})
        self.known[model, adapter] = results
        return results

    def record(self, family: str, kind: str, name: str, ours: list[dict], theirs: list[dict], scale: list[dict] | None = None):
        for mine, reference in zip(ours, theirs, strict=True):
            assert torch.equal(mine["input_ids"], reference["input_ids"]), f"{family} {kind} {name}: prompt ids differ"
        worst = max((m["logits"] - r["logits"]).abs().max().item() for m, r in zip(ours, theirs))
        # How much the adapter does: a comparison of nothing with nothing would pass as well.
        effect = max((r["logits"] - s["logits"]).abs().max().item() for r, s in zip(theirs, scale)) if scale else float("nan")
        self.rows.append((family, kind, name, worst, effect))
        good = worst <= BOUND and (scale is None or effect > 100 * BOUND)
        self.failed |= not good
        print(f"{family:12} {kind:8} {name:22} difference {worst:.1e}  effect {effect:.1e}  {'ok' if good else 'FAILED'}", flush=True)


def run(args: list) -> subprocess.CompletedProcess:
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, args))}\n{done.stderr}")
    return done


def load(folder: Path) -> torch.nn.Module:
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


def processor_of(folder: Path):
    processor = AutoProcessor.from_pretrained(folder)
    # The image processor that uses Pillow, whose numbers vigos gives.
    processor.image_processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)
    return processor


def theirs(model: torch.nn.Module, folder: Path) -> list[dict[str, torch.Tensor]]:
    """Ids and logits of every prompt, from Transformers."""
    processor = processor_of(folder)
    results = []
    for images, prompt in PROMPTS:
        content = [{"type": "image"} for _ in images] + [{"type": "text", "text": prompt}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        pictures = [Image.open(IMAGES / image).convert("RGB") for image in images]
        inputs = processor(text=[text], images=pictures, return_tensors="pt")
        with torch.no_grad():
            logits = model(**inputs).logits[0]
        results.append({"input_ids": inputs["input_ids"][0], "logits": logits})
    return results


def greedy(vigos: Path, folder: Path) -> tuple[list[int], list[int]]:
    """Greedy tokens behind a prefill, from vigos and from Transformers."""
    (image, *_), prompt = PROMPTS[0]
    count, prefill = 16, "<description>"
    done = run([vigos, "generate", "--model", folder, "--image", IMAGES / image, "--prompt", prompt, "--prefill", prefill,
                "--max-new-tokens", count, "--json"])
    processor = processor_of(folder)
    messages = [
        {"role": "user", "content": [{"type": "image", "image": Image.open(IMAGES / image)}, {"type": "text", "text": prompt}]},
        {"role": "assistant", "content": [{"type": "text", "text": prefill}]},
    ]
    inputs = processor.apply_chat_template(messages, continue_final_message=True, tokenize=True, return_dict=True, return_tensors="pt")
    tokens = load(folder).generate(**inputs, max_new_tokens=count, do_sample=False)
    return json.loads(done.stdout)["token_ids"], tokens[0, inputs["input_ids"].shape[1]:].tolist()


def peft_adapter(family: str, folder: Path, out: Path, settings: dict) -> None:
    """Writes an adapter with PEFT: random numbers in both factors."""
    torch.manual_seed(7)
    model = get_peft_model(load(folder), LoraConfig(task_type="CAUSAL_LM", **{"r": 2, "target_modules": SEVEN, **settings}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                # Numbers of two digits, which make small files.
                parameter.copy_((torch.randn_like(parameter) * 0.08 * 128).round() / 128)
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)


def trained(vigos: Path, folder: Path, out: Path, start: Path | None) -> Path:
    """An adapter that vigos wrote after three steps of training, from nothing or going on with another."""
    sets = {"model.path": folder, "train.steps": 3, "optim.lr": 0.05, "optim.max_grad_norm": 0.0, "optim.schedule": "constant",
            "rollout.max_new_tokens": 12, "method.clip": 0.0, "checkpoint.every": 3, "lora.dropout": 0.0}
    if start is None:
        sets |= {"lora.rank": 3, "lora.alpha": 6}
    else:
        config = json.loads((start / "adapter_config.json").read_text())
        names = {key.split(".")[-3] for key in load_file(start / "adapter_model.safetensors")}
        sets |= {"model.adapter": start, "lora.rank": config["r"], "lora.alpha": config["lora_alpha"],
                 "lora.targets": json.dumps(sorted(names))}
    args = [vigos, "train", ROOT / "configs/first-light.toml", "--run-dir", out]
    for key, value in sets.items():
        args += ["--set", f"{key}={value}"]
    run(args)
    return out / "checkpoints/step-000003"


def older_names(adapter: Path, out: Path) -> None:
    """The adapter with the names that PEFT wrote with Transformers before 4.52."""
    shutil.copytree(adapter, out)
    tensors = load_file(out / "adapter_model.safetensors")
    older = {k.replace(".model.language_model.", ".model.").replace(".model.visual.", ".visual."): v for k, v in tensors.items()}
    assert older.keys() != tensors.keys()
    save_file(older, out / "adapter_model.safetensors", metadata={"format": "pt"})


def family(check: Check, name: str, folder: Path, fixtures: bool) -> None:
    work = check.work / name
    fresh = work / "init"
    run([check.vigos, "init", folder / "config.json", "--out", fresh, "--seed", 3])
    # A processor's files that the tiny folder has and `init` copies are read by Transformers too.
    check.record(name, "init", "seed 3", check.ours(fresh), theirs(load(fresh), fresh))
    base = theirs(load(folder), folder)
    check.record(name, "init", "the tiny model itself", check.ours(folder), base)

    adapters: dict[str, Path] = {}
    for label, settings in ADAPTERS.items():
        adapters[label] = work / "theirs" / label
        peft_adapter(name, folder, adapters[label], settings)
    if name == "qwen2_5-vl":
        adapters["older names"] = work / "theirs/older"
        older_names(adapters["names"], adapters["older names"])
    for label, adapter in adapters.items():
        wanted = theirs(PeftModel.from_pretrained(load(folder), adapter).eval(), folder)
        check.record(name, "theirs", label, check.ours(folder, adapter), wanted, base)
        if fixtures and label in ADAPTERS:
            keep(name, label, adapter, wanted)

    starts = {"from nothing": None, **{f"after {label}": adapters[label] for label in ("regex", "patterns", "rslora", "exclude")}}
    for label, start in starts.items():
        adapter = trained(check.vigos, folder, work / "ours" / label.replace(" ", "-"), start)
        model = PeftModel.from_pretrained(load(folder), adapter).eval()
        check.record(name, "ours", label, check.ours(folder, adapter), theirs(model, folder), base)
        adapters[label] = adapter

    for label in ("names", "patterns", "rslora", "from nothing", "after regex"):
        out = work / "merged" / label.replace(" ", "-")
        done = run([check.vigos, "merge", "--model", folder, "--adapter", adapters[label], "--out", out, "--check"])
        assert "check:" in done.stderr
        merged = theirs(load(out), out)
        check.record(name, "merged", label, check.ours(folder, adapters[label]), merged, base)
        own = PeftModel.from_pretrained(load(folder), adapters[label]).merge_and_unload().eval()
        check.record(name, "merged", f"{label}, by PEFT", merged, theirs(own, folder), base)
        mine, reference = greedy(check.vigos, out)
        check.failed |= mine != reference
        print(f"{name:12} merged   {label:22} {len(reference)} greedy tokens {'equal' if mine == reference else f'DIFFER {mine} {reference}'}", flush=True)

    for key, settings in REFUSED.items():
        adapter = work / "refused" / key
        peft_adapter(name, folder, adapter, settings)
        args = [check.vigos, "merge", "--model", folder, "--adapter", adapter, "--out", work / "never"]
        done = subprocess.run([str(a) for a in args], capture_output=True, text=True, cwd=ROOT)
        good = done.returncode == 2 and f"adapter_config.json:{key}" in done.stderr.replace("\n", "").replace("  │ ", "")
        check.failed |= not good
        print(f"{name:12} refused  {key:22} {'ok' if good else 'FAILED ' + done.stderr}", flush=True)


def keep(name: str, label: str, adapter: Path, wanted: list[dict]) -> None:
    """The adapter and the logits of the last two positions of the second prompt, for the tests."""
    out = FIXTURES / name / label
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    shutil.copy(adapter / "adapter_model.safetensors", out)
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = f"tiny-{name}"
    if isinstance(config["target_modules"], list):
        # A set in PEFT, and in another order every time.
        config["target_modules"].sort()
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file({"logits": wanted[1]["logits"][-2:].contiguous()}, out / "logits.safetensors")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vigos", type=Path, default=ROOT / "target/release/vigos")
    parser.add_argument("--logits", type=Path, default=ROOT / "target/release/examples/logits")
    parser.add_argument("--fixtures", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as work:
        check = Check(args.vigos, args.logits, Path(work))
        for name, folder in FAMILIES.items():
            family(check, name, folder, args.fixtures)
    print(f"{len(check.rows)} comparisons, largest difference {max(row[3] for row in check.rows):.1e}, bound {BOUND:.0e}")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
