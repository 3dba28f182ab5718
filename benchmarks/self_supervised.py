"""Four self-supervised methods: k-nearest-neighbour accuracy of the trained and the untrained network.

    python benchmarks/self_supervised.py cifar10-jpeg.tar.xz --output runs [--methods simclr byol simsiam]
        [--train 10000] [--test 2000] [--minutes 12] [--seed 0] [--set NAME=VALUE ...]

The archive holds `train/CLASS/IMAGE` and `test/CLASS/IMAGE`. A method trains with its recipe on `--train`
images, equally many per class, without labels, for as many steps as take `--minutes` at the pace of its
first ones. Accuracy is that of a vote of the 200 nearest training images, on `--test` images of the test
split; nothing is chosen by it: the last parameters count. `OUTPUT/neighbours.svg` draws it for all methods
measured in there, `OUTPUT/METHOD/run/health.html` the health of a run. On a CPU two methods side by side
with one thread each take less time than one after the other with two: `OMP_NUM_THREADS=1`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.augment import draw_views
from showtell.data.images.decode import load_image
from showtell.data.images.resize import squash
from showtell.data.labels.images import read_classes
from showtell.recipes.launch import find_recipe
from showtell.runs.execute import execute
from showtell.runs.self_supervised import SelfSupervisedRun
from showtell.runs.settings import apply
from showtell.tasks.probe import knn
from table import command, table

READINGS = 8
"""Measurements per run."""
COLOURS = ("#2f7ed8", "#d1495b", "#3a9d6e", "#b07d12")
# The ImageNet stem reduces 32 pixels to 8 at once: a sixteenth of the operations, so more epochs.
_CHEAP = ("stem=imagenet", "train.batch_size=256")
SETTINGS = {"simclr": _CHEAP, "byol": _CHEAP, "simsiam": _CHEAP, "simmim": ()}
SETTLING = 100
"""Batches that the untrained network reads, for its batch-norm statistics."""


def unpack(archive: Path, folder: Path, train: int, test: int) -> None:
    """The first images of each class as files, `train` and `test` in all; nothing if the folder exists."""
    if folder.exists():
        return
    classes = read_classes(archive)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent))
    wanted, left = [], {}
    for item in classes.items:
        key = (item.label, item.held_out)
        left.setdefault(key, (test if item.held_out else train) // len(classes.names))
        if left[key] > 0:
            left[key] -= 1
            wanted.append(item)
    for item, data in classes.contents(wanted):
        path = (
            part / ("test" if item.held_out else "train") / classes.names[item.label] / Path(item.name).name
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with suppress(OSError):  # another process was faster
        part.rename(folder)
    shutil.rmtree(part, ignore_errors=True)


def labelled(folder: Path, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images `uint8 [N 3 S S]` and their labels, by folder."""
    names = sorted(path.name for path in folder.iterdir())
    found = [(path, names.index(path.parent.name)) for path in sorted(folder.glob("*/*"))]
    pixels = torch.stack([torch.from_numpy(squash(load_image(path), size)) for path, _ in found])
    return pixels.permute(0, 3, 1, 2).contiguous(), torch.tensor([label for _, label in found])


def neighbours(
    known: torch.Tensor, labels: torch.Tensor, queried: torch.Tensor, truth: torch.Tensor
) -> Callable[[nn.Module], dict[str, float]]:
    """A function of a system: k-nearest-neighbour accuracy on the images `queried`, voting by `known`."""

    @torch.no_grad()
    def accuracy(system: nn.Module) -> dict[str, float]:
        system.eval()
        device = next(system.parameters()).device
        features, queries = (
            torch.cat(
                [
                    system.encode_images(Batch(ImageBatch(pixels=p.to(device)))).pooled.cpu()
                    for p in pixels.split(256)
                ]
            )
            for pixels in (known, queried)
        )
        return {"knn": float((knn(features, labels, queries) == truth).float().mean())}

    return accuracy


@torch.no_grad()
def settled(recipe: SelfSupervisedRun, pixels: torch.Tensor, device: str) -> nn.Module:
    """The untrained network, with batch-norm statistics of the images."""
    system = recipe.build().to(device).train()
    generator = torch.Generator(device).manual_seed(recipe.train.seed)
    for _ in range(SETTLING):
        some = pixels[torch.randint(len(pixels), (recipe.train.batch_size,))].to(device)
        system(Batch(ImageBatch(views=draw_views(some, recipe.views(), generator))), generator)
    return system


def draw(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    """An SVG of accuracy by share of the run, one labelled line per method."""
    wide, high, left, right, below = 640, 320, 48, 90, 34
    low = int(min(map(min, curves.values())) * 10) / 10
    top = (int(max(map(max, curves.values())) * 10) + 1) / 10

    def down(value: float) -> float:
        return 10 + (top - value) / (top - low) * (high - below - 10)

    grey = "#808890"
    marks = [low + i / 10 for i in range(round((top - low) * 10) + 1)]
    parts = [
        f'<line x1="{left}" x2="{wide - right}" y1="{down(v):.1f}" y2="{down(v):.1f}" stroke="{grey}" '
        f'stroke-opacity=".35"/><text x="{left - 8}" y="{down(v) + 4:.1f}" text-anchor="end">{v:.1f}</text>'
        for v in marks
    ]
    parts.append(f'<text x="{left}" y="{high - 8}">untrained</text>')
    parts.append(f'<text x="{wide - right}" y="{high - 8}" text-anchor="end">end of the run</text>')
    names = {}
    for (name, values), colour in zip(curves.items(), COLOURS, strict=False):
        step = (wide - right - left) / (len(values) - 1)
        points = " ".join(f"{left + i * step:.1f},{down(v):.1f}" for i, v in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        names[name] = (down(values[-1]) + 4, colour)
    bottom = 0.0
    for name, (y, colour) in sorted(names.items(), key=lambda item: item[1]):
        bottom = max(y, bottom + 15)  # labels of lines that end together are stacked
        parts.append(f'<text x="{wide - right + 8}" y="{bottom:.1f}" fill="{colour}">{name}</text>')
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" '
        f'font-size="13" fill="{grey}"><title>k-nearest-neighbour accuracy along training</title>'
        f"{''.join(parts)}</svg>\n",
        encoding="utf-8",
    )


def pace(recipe: SelfSupervisedRun, name: str, data, output: Path, device: str) -> float:
    """Seconds per step, over the ten after the first ten."""
    short = replace(recipe, train=replace(recipe.train, steps=20, warmup_steps=0, watch_every=0))
    execute(short.prepare(data, device), name, output / "pace", device=device)
    lines = [json.loads(line) for line in (output / "pace" / "metrics.jsonl").read_text().splitlines()]
    return sum(recipe.train.batch_size / line["items_per_second"] for line in lines[10:]) / 10


def main() -> None:
    """Print one table, and one of the methods' curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=["simclr", "byol", "simsiam", "simmim"])
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="+", default=[], dest="settings")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    folder = options.output / f"images-{options.train}-{options.test}"
    unpack(options.archive, folder, options.train, options.test)
    rows, curves = [], []
    for name in options.methods:
        recipe = find_recipe(name)(options.train)
        recipe = apply(recipe, [f"train.seed={options.seed}", *SETTINGS[name], *options.settings])
        data = recipe.read(folder / "train")
        output = options.output / name
        steps = int(options.minutes * 60 / pace(recipe, name, data, output, options.device))
        every = max(steps // READINGS, 1)
        steps = every * READINGS
        recipe = replace(
            recipe,
            train=replace(
                recipe.train,
                steps=steps,
                warmup_steps=steps // 10,
                validate_every=every,
                checkpoint_every=0,
                metric="knn",
                higher_is_better=True,
            ),
        )
        decided = recipe.settled(data)
        known, queried = (labelled(folder / split, decided.size) for split in ("train", "test"))
        accuracy = neighbours(*known, *queried)
        untrained = accuracy(settled(decided, known[0], options.device))["knn"]
        started = time.monotonic()
        job = replace(recipe.prepare(data, options.device), validate=accuracy)
        execute(job, name, output / "run", device=options.device)
        minutes = (time.monotonic() - started) / 60
        lines = [json.loads(line) for line in (output / "run" / "metrics.jsonl").read_text().splitlines()]
        measured_at = [(line["step"], line["validation"]["knn"]) for line in lines if "validation" in line]
        trained = measured_at[-1][1]
        epochs = steps * recipe.train.batch_size / options.train
        rows.append(
            [
                *(name, decided.backbone, steps, f"{epochs:.0f}", f"{minutes:.1f}", f"{untrained:.3f}"),
                *(f"{trained:.3f}", f"{100 * (trained - untrained):+.1f}"),
            ]
        )
        curve = [untrained, *(value for _, value in measured_at)]
        (output / "curve.json").write_text(json.dumps(curve) + "\n", encoding="utf-8")
        curves.append([name, *(f"{value:.3f}" for value in curve)])
    measured = {
        path.parent.name: json.loads(path.read_text()) for path in options.output.glob("*/curve.json")
    }
    draw(dict(sorted(measured.items())), options.output / "neighbours.svg")
    command()
    print(f"{options.train} training images, {options.test} test images, seed {options.seed}\n")
    table(["method", "backbone", "steps", "epochs", "minutes", "untrained", "trained", "points"], rows)
    table(["method", *(f"{i / READINGS:.0%}" for i in range(READINGS + 1))], curves)


if __name__ == "__main__":
    main()
