#!/usr/bin/env python3
"""Makes data/easy-vqa, the sample data set, from the Python package easy-vqa 1.0. Uses no network.

    python3 -m venv /tmp/easy-vqa && /tmp/easy-vqa/bin/pip install easy-vqa==1.0
    /tmp/easy-vqa/bin/python tools/easy_vqa_sample.py data/easy-vqa

Takes 100 images of the train split, spread over all of it, with two questions each: one about a colour or
a shape, one to be answered yes or no. Each of these four kinds of answer gets 50 rows, and the colours and
the shapes get equal shares as far as they divide. Nothing is drawn at random: the same package gives the
same files.
"""

import json
import shutil
import sys
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import easy_vqa

IMAGES = 100
COLOURS = ["black", "blue", "brown", "gray", "green", "red", "teal", "yellow"]
SHAPES = ["circle", "rectangle", "triangle"]


def main(folder: Path) -> None:
    questions = defaultdict(list)
    for index, (problem, answer, image) in enumerate(zip(*easy_vqa.get_train_questions())):
        questions[image].append((index, problem, answer))
    paths = easy_vqa.get_train_image_paths()

    shutil.rmtree(folder / "images", ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    with open(folder / "train.jsonl", "w", encoding="utf-8", newline="\n") as out:
        for image, chosen in choose(questions):
            shutil.copyfile(paths[image], folder / "images" / f"{image}.png")
            for index, problem, answer in chosen:
                row = {
                    "id": f"easy-vqa-{index}",
                    "image": f"images/{image}.png",
                    "problem": problem[0].upper() + problem[1:],
                    "answer": answer,
                }
                out.write(json.dumps(row) + "\n")
    licence = next(f for f in metadata.files("easy-vqa") if f.name == "LICENSE")
    shutil.copyfile(licence.locate(), folder / "LICENSE")


def choose(questions):
    """Yields 100 times an image and its two questions, as (index, problem, answer)."""
    ids = sorted(questions)
    used = set()
    for slot in range(IMAGES):
        words = COLOURS if slot % 2 == 0 else SHAPES
        wanted = [words[slot // 2 % len(words)], "yes" if slot % 4 in (0, 3) else "no"]
        # From the slot's own place in the split, the first image that has both answers.
        start = slot * len(ids) // IMAGES
        for image in ids[start:] + ids[:start]:
            found = [[q for q in questions[image] if q[2] == answer] for answer in wanted]
            if image not in used and all(found):
                used.add(image)
                # Not always the first wording that the package lists.
                yield image, [of_kind[slot % len(of_kind)] for of_kind in found]
                break
        else:
            raise SystemExit(f"no image is left whose questions have the answers {wanted}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
