"""Zero-shot classification of labelled images, such as CIFAR-10's test split, beside chance.

    python benchmarks/zero_shot.py --data cifar10-jpeg.tar.xz [--model M] [--images 2000] [--seed 0]

Without `--images`, the whole split. No label was trained: what the model knows of them comes from captions.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

from showtell.data.images.decode import decode_image
from showtell.data.labels.images import read_classes
from showtell.errors import UsageError
from showtell.pipelines.classify import ZeroShot
from showtell.pipelines.model import load_model
from table import command, table

BATCH = 64
CAPTION_WORDS = {"automobile": "car"}
"""What captions call a class, where its name differs."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder or tar archive, one folder per class"
    )
    parser.add_argument("--model", help="a checkpoint folder; default: the shipped model")
    parser.add_argument("--template", default="a photo of a {}", help="default: that of CLIP's paper")
    parser.add_argument("--images", type=int, help="how many to sample; default: all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = load_model(options.model)
    classes = read_classes(options.data)
    command()
    try:
        classify = ZeroShot(
            model, [CAPTION_WORDS.get(name, name) for name in classes.names], options.template
        )
    except UsageError as error:
        print(f"This model cannot: {error}")
        return
    measured = [item for item in classes.items if item.held_out]
    if options.images:
        measured = random.Random(options.seed).sample(measured, min(options.images, len(measured)))
    images, truth, answers = [], [], []

    def answer() -> None:
        answers.append(classify(model.encode(images)).argmax(1))
        images.clear()

    for item, content in classes.contents(measured):
        if isinstance(content, bytes):
            images.append(model.prepare(decode_image(content, Path(item.name))))
            truth.append(item.label)
        if len(images) == BATCH:
            answer()
    if images:
        answer()
    correct = (torch.cat(answers) == torch.tensor(truth)).double()
    counts = torch.tensor(truth).bincount(minlength=len(classes.names))
    error = float(correct.std() / len(correct) ** 0.5)
    print(f'Model `{model.name}`, "{options.template}", seed {options.seed}.\n')
    chance = counts.max() / len(correct)
    table(
        ["images", "classes", "accuracy", "standard error", "chance"],
        [[len(correct), len(counts), f"{correct.mean():.3f}", f"{error:.3f}", f"{chance:.3f}"]],
    )
    table(
        ["class", "label", "images", "accuracy"],
        [
            [name, label, int(counts[place]), f"{correct[torch.tensor(truth) == place].mean():.3f}"]
            for place, (name, label) in enumerate(zip(classes.names, classify.labels, strict=True))
            if counts[place]
        ],
    )


if __name__ == "__main__":
    main()
