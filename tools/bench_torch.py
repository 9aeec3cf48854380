#!/usr/bin/env python3
"""A training step and batched decoding as they are usually written in PyTorch and Transformers, to measure beside.

    python3 -m venv /tmp/hf && /tmp/hf/bin/pip install -r tools/requirements.txt
    vigos init CONFIG.json --out model --seed 1
    /tmp/hf/bin/python tools/bench_torch.py step --model model > step.json
    vigos bench step --model model --against step.json
    /tmp/hf/bin/python tools/bench_torch.py decode --model model --batch 4 > decode.json
    vigos bench decode --model model --batch 4 --against decode.json

Each writes one JSON object with the keys of `vigos bench --json` that apply. Run both in the same minutes on a quiet machine
and look at ratios. The step is what a first implementation does: all three teachers on all rows in one left-padded
batch with the whole completion, logits of every completion position, PEFT's LoRA of rank 16 on the decoder's seven
projections, autograd, AdamW. Decoding is `generate` without sampling. Images are drawn patches; no tokenizer is needed.
"""

import argparse
import json
import statistics
import time

import peft
import torch
import torch.nn.functional as F
import transformers

# Tokens before the image, of plain text, as in the templates of the Qwen family.
BEFORE = 11
# What each role's template adds to the question's prompt.
ROLES = {"perception": -255, "reasoning": -43, "reference": 36}
STUDENT = 3
TAGS = 6
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def resident(key):
    """A line of the process's status in bytes, None where there is none."""
    try:
        with open("/proc/self/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key))
    except (OSError, StopIteration):
        return None


def median(work, repeats):
    """Seconds of the work after a run that does not count."""
    work()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def prompts(config, tokens, batch, image):
    """Drawn prompts `[batch, tokens]` with an image of `image` patches, down and across, each."""
    down, across = image
    merged = down * across // config.vision_config.spatial_merge_size**2
    vision = config.vision_config
    values = getattr(vision, "in_channels", 3) * vision.temporal_patch_size * vision.patch_size**2
    ids = torch.randint(5, 900, (batch, tokens))
    ids[:, BEFORE - 1] = config.vision_start_token_id
    ids[:, BEFORE : BEFORE + merged] = config.image_token_id
    ids[:, BEFORE + merged] = config.vision_end_token_id
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randn(batch * down * across, values),
        "image_grid_thw": torch.tensor([[1, down, across]] * batch),
    }


def decode(model, args):
    inputs = prompts(model.config, args.prompt, args.batch, args.image)
    settings = {"max_new_tokens": args.new, "min_new_tokens": args.new, "do_sample": False, "eos_token_id": None}
    with torch.no_grad():
        seconds = median(lambda: model.eval().generate(**inputs, **settings, pad_token_id=0), args.repeat)
    return {"completion": args.new, "seconds": seconds, "tokens_per_second": args.batch * args.new / seconds}


def step(model, args):
    lora = peft.LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=PROJECTIONS)
    model = peft.get_peft_model(model, lora)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=5e-6, weight_decay=0.0)
    batch, completion = args.batch, torch.randint(5, 900, (args.batch, args.completion))
    description = -(-(args.completion - TAGS) * 60 // 116)
    student = prompts(model.config, args.prompt + STUDENT, batch, args.image)
    images = {key: student[key] for key in ("pixel_values", "image_grid_thw")}
    teachers = {role: prompts(model.config, args.prompt + more, batch, args.image) for role, more in ROLES.items()}
    longest = args.prompt + max(ROLES.values()) + args.completion

    def forward(ids, mask, copies):
        repeated = {key: value.repeat(copies, 1) for key, value in images.items()}
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=args.completion + 1, **repeated).logits
        return logits[:, :-1]

    def divergence(teacher, own):
        own, teacher = F.log_softmax(own, -1), F.log_softmax(teacher, -1)
        return F.kl_div(own, teacher, reduction="none", log_target=True).sum(-1)

    def once():
        ids, mask = [], []
        for role in teachers.values():
            read = torch.cat([role["input_ids"], completion], 1)
            padding = (longest - read.shape[1], 0)
            ids.append(F.pad(read, padding))
            mask.append(F.pad(torch.ones_like(read), padding))
        model.eval()
        with torch.no_grad(), model.disable_adapter():
            perception, reasoning, _ = forward(torch.cat(ids), torch.cat(mask), 3).split(batch)
        model.train()
        read = torch.cat([student["input_ids"], completion], 1)
        own = forward(read, torch.ones_like(read), 1)
        seen, thought = slice(None, description), slice(description + TAGS, None)
        loss = divergence(perception[:, seen], own[:, seen]).mean()
        loss = loss + divergence(reasoning[:, thought], own[:, thought]).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 0.1)
        optimiser.step()

    seconds = median(once, args.repeat)
    tokens = batch * (3 * longest + args.prompt + STUDENT + args.completion)
    return {"completion": args.completion, "seconds": seconds, "tokens_per_second": tokens / seconds}


def sides(text):
    down, across = text.split("x")
    return int(down), int(across)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=["step", "decode"])
    parser.add_argument("--model", required=True, help="model folder; configuration and weights are read")
    parser.add_argument("--batch", type=int, help="2 for a step, 1 for decoding unless given")
    parser.add_argument("--prompt", type=int, default=486)
    parser.add_argument("--image", type=sides, default=(24, 32), help="patches, down by across")
    parser.add_argument("--completion", type=int, default=122, help="of a step")
    parser.add_argument("--new", type=int, default=64, help="new tokens of decoding")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, help="all cores unless given")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    args = parser.parse_args()
    args.batch = args.batch or {"step": 2, "decode": 1}[args.case]
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[args.precision]
    load = transformers.AutoModelForImageTextToText.from_pretrained
    model = load(args.model, dtype=dtype, attn_implementation="sdpa")
    loaded = resident("VmRSS:")
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    report = {"case": args.case, "batch": args.batch, "prompt": args.prompt, "image": args.image}
    report |= {"step": step, "decode": decode}[args.case](model, args)
    peak = resident("VmHWM:")
    report["peak_bytes"] = peak - loaded if peak is not None else None
    report["model_bytes"] = weights
    report["repeats"], report["threads"] = args.repeat, torch.get_num_threads()
    report["versions"] = {m.__name__: m.__version__ for m in (torch, transformers, peft)}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
