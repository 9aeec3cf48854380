#!/usr/bin/env python3
"""Prompts of rows in every layout, as Transformers makes them, for the tests of vigos-layouts.

    python3 -m venv /tmp/hf && /tmp/hf/bin/pip install transformers==4.57.1 pillow numpy jinja2
    /tmp/hf/bin/python tools/layout_prompts.py

Each case is a record as its file has it and, written down beside it by hand, the messages that somebody would give to
the chat template of the model's folder. The ids that come of the messages go to tests/fixtures/layouts/prompts.json.
"""

import json
from pathlib import Path

from PIL import Image
from transformers import AutoTokenizer, Qwen2VLImageProcessor
import transformers

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "tests/fixtures/images"
MODEL = ROOT / "assets/tiny-qwen2_5-vl"
OUT = ROOT / "tests/fixtures/layouts/prompts.json"


def image(name):
    return {"type": "image", "image": name}


def text(said):
    return {"type": "text", "text": said}


def user(*parts):
    return {"role": "user", "content": list(parts)}


def assistant(said):
    return {"role": "assistant", "content": [text(said)]}


SYSTEM = {"role": "system", "content": [text("Answer with one word.")]}
TALK = [
    {"from": "human", "value": "<image>What is it?"},
    {"from": "gpt", "value": "A square."},
    {"from": "human", "value": "And this? <image>"},
    {"from": "gpt", "value": "a circle"},
    {"from": "human", "value": "Are they alike?"},
    {"from": "gpt", "value": "no"},
]
TALK_MESSAGES = [
    user(image("wide.png"), text("What is it?")),
    assistant("A square."),
    user(text("And this? "), image("tall.png")),
    assistant("a circle"),
    user(text("Are they alike?")),
]

# Name, record, data.turns, and the messages of each row that the record is.
CASES = [
    ("rows", {"image": "wide.png", "problem": "How many?", "answer": 3}, "refuse",
     [[user(image("wide.png"), text("How many?"))]]),
    ("rows, places", {"images": ["wide.png", "tall.png"], "problem": "Is <image> like <image>?", "answer": "no"}, "refuse",
     [[user(text("Is "), image("wide.png"), text(" like "), image("tall.png"), text("?"))]]),
    ("llava", {"image": "tiny.png", "conversations": [{"from": "human", "value": "<image>\nWhat colour?"}, {"from": "gpt", "value": "teal"}]}, "refuse",
     [[user(image("tiny.png"), text("What colour?"))]]),
    ("llava, image last", {"image": "tiny.png", "conversations": [{"from": "human", "value": "What colour?\n<image>"}, {"from": "gpt", "value": "teal"}]}, "refuse",
     [[user(text("What colour?\n"), image("tiny.png"))]]),
    ("messages, text", {"images": ["gray.png"], "messages": [{"role": "system", "content": "Answer with one word."}, {"role": "user", "content": "<image>Is it dark?"}, {"role": "assistant", "content": "yes"}]}, "refuse",
     [[SYSTEM, user(image("gray.png"), text("Is it dark?"))]]),
    ("messages, parts", {"messages": [{"role": "user", "content": [{"type": "text", "text": "Is it dark? "}, {"type": "image_url", "image_url": {"url": "gray.png"}}]}, {"role": "assistant", "content": [{"type": "text", "text": "yes"}]}]}, "refuse",
     [[user(text("Is it dark? "), image("gray.png"))]]),
    ("sharegpt", {"images": ["photo.jpg"], "system": "Answer with one word.", "conversations": [{"from": "user", "value": "What is it?"}, {"from": "assistant", "value": "grass"}]}, "refuse",
     [[SYSTEM, user(image("photo.jpg"), text("What is it?"))]]),
    ("sharegpt, last", {"images": ["wide.png", "tall.png"], "conversations": TALK}, "last", [TALK_MESSAGES]),
    ("sharegpt, each", {"images": ["wide.png", "tall.png"], "conversations": TALK}, "each",
     [TALK_MESSAGES[:1], TALK_MESSAGES[:3], TALK_MESSAGES]),
    ("messages, no marks", {"images": ["wide.png"], "messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A <image> square."}, {"role": "user", "content": "Which colour?"}, {"role": "assistant", "content": "teal"}]}, "last",
     [[user(image("wide.png"), text("What is it?")), assistant("A <image> square."), user(text("Which colour?"))]]),
    ("trl", {"images": ["wide.png"], "prompt": [{"role": "system", "content": "Answer with one word."}, {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}], "completion": [{"role": "assistant", "content": "a square"}]}, "refuse",
     [[SYSTEM, user(image("wide.png"), text("What is it?"))]]),
    ("vqa, choices", {"image": "wide.png", "question": "Which is it?", "choices": ["a cat", "a dog"], "answer": 1}, "refuse",
     [[user(image("wide.png"), text("Which is it?\nA. a cat\nB. a dog"))]]),
    ("instruction", {"image": "wide.png", "instruction": "Answer.", "input": "What is it?", "output": "a cat"}, "refuse",
     [[user(image("wide.png"), text("Answer.\nWhat is it?"))]]),
]


def ids(tokenizer, processor, messages):
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    names = [part["image"] for message in messages if isinstance(message["content"], list) for part in message["content"] if part["type"] == "image"]
    pad = "<|image_pad|>"
    pieces = rendered.split(pad)
    assert len(pieces) == len(names) + 1
    whole = pieces[0]
    for name, piece in zip(names, pieces[1:]):
        grid = processor(images=Image.open(IMAGES / name).convert("RGB"), return_tensors="np")["image_grid_thw"][0]
        whole += pad * int(grid.prod() // processor.merge_size**2) + piece
    return tokenizer(whole, add_special_tokens=False)["input_ids"]


def main():
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    processor = Qwen2VLImageProcessor.from_pretrained(MODEL)
    cases = []
    for name, record, turns, rows in CASES:
        cases.append({"name": name, "record": record, "turns": turns, "ids": [ids(tokenizer, processor, messages) for messages in rows]})
    OUT.write_text(json.dumps({"transformers": transformers.__version__, "cases": cases}, ensure_ascii=False, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
    print(f"{len(cases)} records, {sum(len(case['ids']) for case in cases)} prompts")


if __name__ == "__main__":
    main()
