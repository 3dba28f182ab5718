"""What four methods learn without labels: neighbours found by the trained and by the untrained network.

    python benchmarks/self_supervised.py cifar10-jpeg.tar.xz --output runs [--methods simclr byol simsiam]
        [--train 10000] [--test 2000] [--minutes 12] [--seed 0] [--set NAME=VALUE ...]

The archive holds `train/CLASS/PICTURE` and `test/CLASS/PICTURE`. A method trains by its recipe on `--train`
pictures, evenly many of each class, labels unseen, for as many steps as take `--minutes` at the pace of
its first ones. Accuracy is that of a vote of the 200 nearest training pictures, on `--test` pictures of the
test split; nothing was chosen by it: the last weights count. See `OUTPUT/METHOD/run/health.html` for curves.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from showtell.data.batch import Batch
from showtell.data.image import load_image
from showtell.data.sources.classes import read_classes
from showtell.data.transforms import squash
from showtell.recipes.settings import apply
from showtell.recipes.training import RECIPES
from showtell.recipes.viewing import ViewingRecipe
from showtell.tasks.probe import knn
from table import command, table

READINGS = 8
"""Measurements along a run."""
# The stem for photographs shrinks 32 pixels to 8 at once: a sixteenth of the operations, so more epochs.
_CHEAP = ("stem=imagenet", "train.batch_size=256")
SETTINGS = {"simclr": _CHEAP, "byol": _CHEAP, "simsiam": _CHEAP, "simmim": ()}


def unpack(archive: Path, folder: Path, train: int, test: int) -> None:
    """The first pictures of each class, so many in all, as files; nothing where they lie there already."""
    if folder.exists():
        return
    classes = read_classes(archive)
    wanted, left = [], {}
    for item in classes.items:
        key = (item.label, item.measured)
        left.setdefault(key, (test if item.measured else train) // len(classes.names))
        if left[key] > 0:
            left[key] -= 1
            wanted.append(item)
    for item, data in classes.contents(wanted):
        path = (
            folder / ("test" if item.measured else "train") / classes.names[item.label] / Path(item.name).name
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def labelled(folder: Path, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures `uint8 [N 3 S S]` and the numbers of their folders."""
    names = sorted(path.name for path in folder.iterdir())
    found = [(path, names.index(path.parent.name)) for path in sorted(folder.glob("*/*"))]
    pixels = torch.stack([torch.from_numpy(squash(load_image(path), size)) for path, _ in found])
    return pixels.permute(0, 3, 1, 2).contiguous(), torch.tensor([label for _, label in found])


def neighbours(folder: Path, size: int) -> Callable[[nn.Module], dict[str, float]]:
    """A function of a system: the accuracy of its neighbours."""
    (known, labels), (asked, truth) = (labelled(folder / split, size) for split in ("train", "test"))

    @torch.no_grad()
    def accuracy(system: nn.Module) -> dict[str, float]:
        system.eval()
        device = next(system.parameters()).device
        features, queries = (
            torch.cat(
                [system.embed_image(Batch(pixels=p.to(device))).pooled.cpu() for p in pixels.split(256)]
            )
            for pixels in (known, asked)
        )
        return {"knn": float((knn(features, labels, queries) == truth).float().mean())}

    return accuracy


def pace(recipe: ViewingRecipe, name: str, data, output: Path, device: str) -> float:
    """Seconds a step, of the ten after the first ten."""
    short = replace(recipe, train=replace(recipe.train, steps=20, warmup_steps=0, watch_every=0))
    short.run(name, data, output / "pace", device=device)
    lines = [json.loads(line) for line in (output / "pace" / "metrics.jsonl").read_text().splitlines()]
    return sum(recipe.train.batch_size / line["items_per_second"] for line in lines[10:]) / 10


def main() -> None:
    """Print one table, and one of each method's curve."""
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
    folder = options.output / f"pictures-{options.train}-{options.test}"
    unpack(options.archive, folder, options.train, options.test)
    rows, curves = [], []
    for name in options.methods:
        module = __import__(f"showtell.recipes.{RECIPES[name]}", fromlist=[name])
        recipe = getattr(module, name)(options.train)
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
        settled = recipe.settled(data)
        accuracy = neighbours(folder, settled.size)
        untrained = accuracy(settled.build().to(options.device))["knn"]
        started = time.monotonic()
        recipe.run(name, data, output / "run", device=options.device, validate=accuracy)
        minutes = (time.monotonic() - started) / 60
        lines = [json.loads(line) for line in (output / "run" / "metrics.jsonl").read_text().splitlines()]
        read = [(line["step"], line["validation"]["knn"]) for line in lines if "validation" in line]
        trained = read[-1][1]
        epochs = steps * recipe.train.batch_size / options.train
        rows.append(
            [
                *(name, settled.backbone, steps, f"{epochs:.0f}", f"{minutes:.1f}", f"{untrained:.3f}"),
                *(f"{trained:.3f}", f"{100 * (trained - untrained):+.1f}"),
            ]
        )
        curves.append([name, f"{untrained:.3f}", *(f"{value:.3f}" for _, value in read)])
    command()
    print(f"{options.train} pictures to learn from, {options.test} to measure on, seed {options.seed}\n")
    table(["method", "backbone", "steps", "epochs", "minutes", "untrained", "trained", "points"], rows)
    table(["method", *(f"{i / READINGS:.0%}" for i in range(READINGS + 1))], curves)


if __name__ == "__main__":
    main()
