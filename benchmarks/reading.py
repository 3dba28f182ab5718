"""Reading with a finished run of VLP: error rates by size class, font and colours; masked tokens.

    python benchmarks/reading.py RUN --data TEXTS [--count 200] [--plain RUN_WITHOUT_MASKS]

A run is the output folder of `showtell train vlp_mini --data TEXTS --output RUN`; the same TEXTS are divided
in the same way, and texts of their validation side are drawn. The character error rate (`cer`) is that of
greedy reading, over all characters, its standard error over the texts. Masked tokens stand beside the share
of the most frequent token among them, and beside a run with `--set mask_rate=0`, which has never seen a mask.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from showtell.data.batch import Batch
from showtell.data.images.page import Page
from showtell.data.images.render.fonts import Font, fonts
from showtell.data.images.render.style import LARGE, MEDIUM, SMALL, SizeClass
from showtell.datasets.rendered_texts import RenderedTexts, Rendering, divide_fonts
from showtell.datasets.texts import read_texts
from showtell.pipelines.model import Model, load_model
from showtell.runs.pixel_text import token_figures
from showtell.tasks.metrics import edit_distance
from showtell.tasks.reading import read_encoded
from table import command, table

CHUNK = 16


def drawn(
    model: Model, documents: Sequence[str], among: Sequence[Font], count: int, rendering: Rendering
) -> list[Batch]:
    """Batches of `count` texts, evenly chosen, always drawn alike."""
    texts = RenderedTexts(documents, model.tokenizer, rendering, among)
    chosen = np.linspace(0, len(texts) - 1, min(len(texts), count)).astype(int).tolist()
    return [texts.batch(chosen[i : i + CHUNK], (i,)) for i in range(0, len(chosen), CHUNK)]


@torch.inference_mode()
def error_rate(model: Model, batches: Sequence[Batch]) -> tuple[float, float, int]:
    """Character error rate, its standard error over texts, and how many texts."""
    errors, lengths = [], []
    for batch in batches:
        height, width = batch.images.pixels.shape[2:]
        encoded = model.system.encode_images(batch.to(model.device))
        found = read_encoded(model.system, model.tokenizer, encoded, (height, width))
        for one, ids in zip(found, batch.texts.ids, strict=True):
            text = model.tokenizer.decode(ids.tolist())
            errors.append(edit_distance(one.text, text))
            lengths.append(len(text))
    error, length = np.array(errors, float), np.array(lengths, float)
    rate = error.sum() / length.sum()
    deviation = (error - rate * length).std(ddof=1) / length.mean() / len(error) ** 0.5
    return float(rate), float(deviation), len(error)


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--plain", type=Path)
    options = parser.parse_args()
    model, documents = load_model(options.run), [*read_texts(options.data).validation]
    every = fonts()
    seen, unseen = divide_fonts(every)
    page = model.image_input.prepare
    assert isinstance(page, Page)
    longest = model.system.config.max_length - 2
    base = Rendering(SMALL, (page.height, page.width), 0.0, page=page, inverted=0.0)
    command()
    rows = []

    def measure(name: str, size: SizeClass, among: Sequence[Font], inverted: float = 0.0) -> None:
        size = replace(size, tokens=min(size.tokens, longest))
        batches = drawn(model, documents, among, options.count, replace(base, size=size, inverted=inverted))
        rate, error, count = error_rate(model, batches)
        rows.append([name, size.tokens, len(among), f"{rate:.4f}", f"{error:.4f}", count])

    measure("small, all fonts", SMALL, every)
    measure("small, fonts trained on", SMALL, seen)
    if unseen:
        measure("small, unseen fonts", SMALL, unseen)
    measure("small, white on black", SMALL, every, inverted=1.0)
    measure("medium, all fonts", MEDIUM, every)
    measure("large, all fonts", LARGE, every)
    table(["texts", "tokens at most", "fonts", "cer", "standard error", "count"], rows)
    masked = drawn(model, documents, seen, options.count, replace(base, mask_rate=0.15))
    hidden = [int(i) for batch in masked for i in batch.texts.ids[batch.targets.masked]]
    share = Counter(hidden).most_common(1)[0][1] / len(hidden)
    rows = [["always the most frequent token", f"{share:.3f}", "", len(hidden)]]
    for path in filter(None, (options.run, options.plain)):
        with torch.inference_mode():
            reader = load_model(path)
            figures = token_figures(reader.system, [batch.to(reader.device) for batch in masked])
        accuracies = [f"{figures[name]:.3f}" for name in ("masked_accuracy", "accuracy")]
        rows.append([reader.name, *accuracies, len(hidden)])
    table(["reader", "accuracy on masked tokens", "on shown tokens", "masked tokens"], rows)


if __name__ == "__main__":
    main()
