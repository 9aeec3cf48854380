#!/usr/bin/env python3
"""Makes tests/fixtures/sft: what full training of the tiny models gives in PyTorch and Transformers.

    python3 -m venv /tmp/sft && /tmp/sft/bin/pip install torch==2.9.1 torchvision==0.24.1 transformers==4.57.1 pillow
    /tmp/sft/bin/python tools/sft_reference.py

One step is: the mean cross entropy over the completion tokens and the stop token of all three demonstrations,
its gradient for every weight, the norm clip, AdamW with decay of matrices alone. Each sample goes through the
model on its own, without padding. Of every tensor the norm of its gradient and a few values, spread over it,
are kept: of the gradient, and of the weights after one step and after three.
"""

import json
from pathlib import Path

import torch
from PIL import Image
from transformers import (
    AutoTokenizer,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen3VLForConditionalGeneration,
)

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests/fixtures"
FAMILIES = {
    "qwen2_5-vl": (ROOT / "assets/tiny-qwen2_5-vl", Qwen2_5_VLForConditionalGeneration),
    "qwen3-vl": (FIXTURES / "tiny-qwen3-vl", Qwen3VLForConditionalGeneration),
}
LR, DECAY, MAX_NORM = 1e-3, 0.1, 1.0
SAMPLES = 8


def published(name: str, family: str) -> str:
    """Transformers' name of a weight, in the spelling of Qwen2.5-VL's published files."""
    if name.startswith("model.visual."):
        return name.removeprefix("model.")
    if name.startswith("model.language_model."):
        return "model." + name.removeprefix("model.language_model.")
    return name


def lessons(folder: Path, model) -> list:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    images = Qwen2VLImageProcessor.from_pretrained(folder)
    stop = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
    stop = stop[0] if isinstance(stop, list) else stop
    found = []
    for line in (FIXTURES / "demonstrations.jsonl").read_text().splitlines():
        row = json.loads(line)
        paths = row.get("images") or [row["image"]]
        pixels = images(
            [Image.open(FIXTURES / path).convert("RGB") for path in paths], return_tensors="pt"
        )
        content = [{"type": "image"} for _ in paths]
        if row["prompt"]:
            content.append({"type": "text", "text": row["prompt"]})
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        text += row.get("prefill", "")
        pieces = text.split("<|image_pad|>")
        merged = [int(grid.prod()) // images.merge_size**2 for grid in pixels["image_grid_thw"]]
        text = pieces[0] + "".join("<|image_pad|>" * n + piece for n, piece in zip(merged, pieces[1:]))
        prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
        # A special token that a completion spells is text.
        completion = tokenizer(row["completion"], add_special_tokens=False, split_special_tokens=True)
        completion = completion["input_ids"] + [stop]
        found.append((row["id"], prompt, completion, pixels))
    return found


def loss_of(model, found: list) -> torch.Tensor:
    total, count = 0.0, sum(len(completion) for _, _, completion, _ in found)
    for _, prompt, completion, pixels in found:
        ids = torch.tensor([prompt + completion])
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **pixels).logits[0].float()
        rows = logits[len(prompt) - 1 : -1]
        total = total + torch.nn.functional.cross_entropy(rows, torch.tensor(completion), reduction="sum")
    return total / count


def spread(tensor: torch.Tensor) -> list:
    flat = tensor.detach().reshape(-1)
    return [float(flat[i * flat.numel() // SAMPLES]) for i in range(min(SAMPLES, flat.numel()))]


def main() -> None:
    for family, (folder, kind) in FAMILIES.items():
        torch.manual_seed(0)
        torch.set_num_threads(1)
        model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").train()
        found = lessons(folder, model)
        named = dict(model.named_parameters())
        decayed = [p for p in named.values() if p.dim() > 1]
        others = [p for p in named.values() if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.999), eps=1e-8)
        result = {
            "lr": LR,
            "weight_decay": DECAY,
            "max_grad_norm": MAX_NORM,
            "rows": [{"id": i, "ids": p + c, "learnt": len(c)} for i, p, c, _ in found],
            "loss": [],
            "grad_norm": [],
            "tensors": {},
        }
        tensors = {published(name, family): {} for name in named}
        for step in range(3):
            optimiser.zero_grad()
            loss = loss_of(model, found)
            loss.backward()
            if step == 0:
                for name, weight in named.items():
                    kept = tensors[published(name, family)]
                    kept["shape"] = list(weight.shape)
                    kept["grad_norm"] = float(weight.grad.double().norm())
                    kept["grad"] = spread(weight.grad)
            norm = torch.nn.utils.clip_grad_norm_(named.values(), MAX_NORM)
            result["loss"].append(float(loss.detach()))
            result["grad_norm"].append(float(norm))
            optimiser.step()
            if step in (0, 2):
                for name, weight in named.items():
                    tensors[published(name, family)][f"after_{step + 1}"] = spread(weight)
        result["tensors"] = tensors
        out = FIXTURES / "sft" / f"{family}.json"
        out.parent.mkdir(exist_ok=True)
        lines = json.dumps(result, separators=(",", ":")).replace('},"', '},\n"')
        out.write_text(lines + "\n", encoding="utf-8", newline="\n")
        print(family, len(tensors), "tensors, losses", result["loss"], "norms", result["grad_norm"])


if __name__ == "__main__":
    main()
