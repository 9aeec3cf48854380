#!/usr/bin/env python3
"""Turns the Python package easy-vqa 1.0 into data for vigos. Needs nothing but Python; uses no network.

    pip download easy-vqa==1.0 --no-deps --dest /tmp/easy-vqa
    unzip -q /tmp/easy-vqa/easy_vqa-1.0-py3-none-any.whl -d /tmp/easy-vqa
    python3 tools/easy_vqa.py /tmp/easy-vqa/easy_vqa runs/easy-vqa-data

Writes into the second folder, images beside the rows:

    warmup.jsonl   demonstrations for `vigos sft`, from the package's train images 0 to 1999
    train.jsonl    questions for `vigos train`, from its train images 2000 to 3499
    held.jsonl     questions to choose settings by, from its train images 3500 to 3999
    test.jsonl     questions to report on: all of the package's test split

Questions and answers stay as they are. A demonstration needs more than an answer, a description and a
reasoning. Both follow from what the questions and answers about the same image say of its colour and shape;
what they do not say is left out, and no pixel is looked at. Nothing depends on chance or on time: what is drawn
is a hash of a row's name, and the same package gives the same files.
"""

import argparse
import hashlib
import json
import re
import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

WORDS = {
    "colour": ["black", "blue", "brown", "gray", "green", "red", "teal", "yellow"],
    "shape": ["circle", "rectangle", "triangle"],
}
WARMUP_IMAGES = range(0, 2000)
TRAIN_IMAGES = range(2000, 3500)
HELD_IMAGES = range(3500, 4000)

# The forms of a demonstration, named like the prompt templates, with their shares: those of `vigos data shapes`.
FORMS = {
    "perception": 0.4,
    "student": 0.25,
    "reasoning": 0.125,
    "reference": 0.125,
    "plain": 0.05,
    "plain_reference": 0.05,
}


@dataclass
class Question:
    """One question of the package, and what it asks: a value, or whether the image has one."""

    id: str
    split: str
    image: int
    problem: str
    answer: str
    attribute: str  # "colour" or "shape"
    word: str | None  # the value asked about, in questions to be answered yes or no
    kind: str

    def row(self) -> dict:
        """The row that `vigos train` and `vigos eval` read."""
        return {
            "id": self.id,
            "image": f"images/{self.split}-{self.image}.png",
            "problem": self.problem,
            "answer": self.answer,
            "kind": self.kind,
        }


@dataclass
class Facts:
    """What the questions and answers about an image say of it."""

    is_: dict = field(default_factory=dict)
    is_not: dict = field(default_factory=lambda: {attribute: set() for attribute in WORDS})

    def learn(self, question: Question) -> None:
        attribute = question.attribute
        if question.word is None:
            self.is_[attribute] = question.answer
            # "what color is the circle?" also says that there is a circle.
            for other, words in WORDS.items():
                for word in find(words, question.problem):
                    self.is_[other] = word
        elif (question.answer == "yes") == question.kind.endswith("present"):
            self.is_[attribute] = question.word
        else:
            self.is_not[attribute].add(question.word)
            rest = set(WORDS[attribute]) - self.is_not[attribute]
            if len(rest) == 1:
                self.is_[attribute] = rest.pop()

    def description(self) -> str:
        colour, shape = self.is_.get("colour"), self.is_.get("shape", "shape")
        return f" a {colour} {shape}." if colour else f" a {shape}."

    def reasoning(self, question: Question) -> str:
        article = "a " if question.attribute == "shape" else ""
        value, word = self.is_.get(question.attribute), question.word
        if not value:
            return f" it is not {article}{word}."
        # A "not" wherever the value asked about is not the image's: what the answer then turns on.
        other = f", not {article}{word}" if word not in (None, value) else ""
        return f" it is {article}{value}{other}."


def main() -> None:
    arguments = parse_arguments()
    train = read(arguments.package, "train")
    test = read(arguments.package, "test")
    templates = {
        form: (arguments.prompts / f"{form}.txt").read_text(encoding="utf-8").removesuffix("\n") for form in FORMS
    }
    images = arguments.out / "images"
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir(parents=True)
    for split in ("train", "test"):
        for path in (arguments.package / "data" / split / "images").glob("*.png"):
            shutil.copyfile(path, images / f"{split}-{path.name}")

    warmup = demonstrations([q for q in train if q.image in WARMUP_IMAGES], templates)
    write(arguments.out / "warmup.jsonl", warmup)
    write(arguments.out / "train.jsonl", mixed(q for q in train if q.image in TRAIN_IMAGES))
    write(arguments.out / "held.jsonl", mixed(q for q in train if q.image in HELD_IMAGES))
    write(arguments.out / "test.jsonl", mixed(test))
    print_guesses(train, test)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the package's folder easy_vqa, unpacked or installed")
    parser.add_argument("out", type=Path, help="folder to write; its folder images is made anew")
    parser.add_argument(
        "--prompts",
        type=Path,
        default=Path(__file__).parent.parent / "configs" / "prompts" / "shapes",
        help="folder of the prompt templates that demonstrations are shown with (default: configs/prompts/shapes)",
    )
    return parser.parse_args()


def read(package: Path, split: str) -> list[Question]:
    path = package / "data" / split / "questions.json"
    if not path.is_file():
        raise SystemExit(f"{path} is missing; wanted is the folder easy_vqa of the package easy-vqa 1.0")
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)
    return [understand(f"{split}-{index}", split, *row) for index, row in enumerate(rows)]


def understand(name: str, split: str, problem: str, answer: str, image: int) -> Question:
    """Finds out what a question asks."""
    if problem.startswith("what"):
        attribute, word = ("colour" if "color" in problem else "shape"), None
        kind, answers = attribute, WORDS[attribute]
    else:
        mentioned = [(attribute, word) for attribute in WORDS for word in find(WORDS[attribute], problem)]
        if len(mentioned) != 1:
            raise SystemExit(f"{name}: cannot tell what is asked by {problem!r}")
        attribute, word = mentioned[0]
        kind = f"{attribute}-absent" if find(["no", "not"], problem) else f"{attribute}-present"
        answers = ["yes", "no"]
    if answer not in answers:
        raise SystemExit(f"{name}: {answer!r} does not answer {problem!r}")
    return Question(name, split, image, problem, answer, attribute, word, kind)


def find(words: list[str], text: str) -> list[str]:
    """Those of the words that stand in the text."""
    return [word for word in words if re.search(rf"\b{word}\b", text)]


def demonstrations(questions: list[Question], templates: dict[str, str]):
    """Yields a demonstration for every question, in the form that its name draws."""
    facts = defaultdict(Facts)
    for question in questions:
        facts[question.image].learn(question)
    for question in questions:
        form = draw_form(question.id)
        known = facts[question.image]
        reasoned = f"<think>{known.reasoning(question)}</think>\\boxed{{{question.answer}}}"
        if form == "perception":
            # As the perception teacher sees it: the image alone.
            prompt, completion = "", f"{known.description()}</description>"
        elif form in ("plain", "plain_reference"):
            prompt, completion = templates[form], reasoned
        else:
            prompt, completion = templates[form], f"{known.description()}</description>{reasoned}"
        yield {
            "id": question.id,
            "image": question.row()["image"],
            "form": form,
            "prompt": prompt.replace("{problem}", question.problem).replace("{reference}", question.answer),
            "prefill": "" if form in ("plain", "plain_reference") else "<description>",
            "completion": completion,
        }


def draw_form(name: str) -> str:
    at = digest(f"form {name}") / 2**64
    for form, share in FORMS.items():
        at -= share
        if at < 0:
            return form
    return "student"


def mixed(questions):
    """The rows in an order in which the first thousand are of many images."""
    return [question.row() for question in sorted(questions, key=lambda question: digest(f"order {question.id}"))]


def digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def write(path: Path, rows) -> None:
    rows = list(rows)
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(json.dumps(row) + "\n")
    print(f"{path}: {len(rows):,} rows, {len({row['image'] for row in rows}):,} images")


def print_guesses(train: list[Question], test: list[Question]) -> None:
    """What is right on the test split when each kind gets its most frequent answer of the train split."""
    answers = defaultdict(Counter)
    for question in train:
        answers[question.kind][question.answer] += 1
    guesses = {kind: counter.most_common(1)[0][0] for kind, counter in answers.items()}
    asked, right = Counter(), Counter()
    for question in test:
        for key in (question.kind, "all"):
            asked[key] += 1
            right[key] += guesses[question.kind] == question.answer
    print("right on test.jsonl without looking, always the answer most frequent for the kind:")
    for kind in sorted(asked, key=lambda kind: (kind == "all", kind)):
        print(f"    {kind:<15} {100 * right[kind] / asked[kind]:6.2f} %  {guesses.get(kind, '')}")


if __name__ == "__main__":
    main()
