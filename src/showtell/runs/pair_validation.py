"""What a validation measures of an encoder of pairs: its losses, and what it finds among a few."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
from torch import nn

from showtell.data.batch import Batch
from showtell.datasets.encoded_captions import Split
from showtell.pairing import PairScorer
from showtell.progress import report
from showtell.tasks.pair_scores import pair_scores

AMONG, MEASURED = 32, 256
"""Images among which a caption is to find its own, and images of a validation."""
MEANING = {
    "recall1": f"a caption finds its image among {AMONG}",
    "image_recall1": f"an image finds its caption among {AMONG}",
    "itm": "negative log-likelihood of whether an image and a caption belong together, half of them do",
    "mlm": "negative log-likelihood per masked token, its image seen",
    "wpa": "cost of aligning words to patches: of matching pairs, minus that of others",
    "mim": "squared error of masked patches' mean colours, or of masked regions' features",
}


def in_parts(split: Split) -> list[range]:
    """The first images of a split, `AMONG` at a time."""
    items = range(min(len(split), MEASURED))
    return [items[first : first + AMONG] for first in items[::AMONG]]


@torch.inference_mode()
def held_out_losses(system: nn.Module, batches: Sequence[Batch]) -> dict[str, float]:
    """The losses by name, always with the same masks and negatives: means over the terms of each."""
    totals, counts = defaultdict[str, float](float), Counter[str]()
    device = next(system.parameters()).device
    for number, batch in enumerate(batches):
        step = system(batch.to(device), torch.Generator().manual_seed(number))
        for name, loss in step.losses.items():
            totals[name] += float(loss) * int(step.counts[name])
            counts[name] += int(step.counts[name])
    return {name: totals[name] / max(counts[name], 1) for name in totals}


@torch.inference_mode()
def recall_among(system: nn.Module, split: Split) -> dict[str, float]:
    """Of some images and the first caption of each: which of `AMONG` the model takes to belong together."""
    assert isinstance(system, PairScorer)
    device = next(system.parameters()).device
    of_texts = of_images = 0
    parts = in_parts(split)
    for place, some in enumerate(parts, 1):
        images = system.embed_images(split.images(some).to(device))
        scores = pair_scores(system, [split.captions[i][0] for i in some], images)
        own = torch.arange(len(some))
        of_texts += int((scores.argmax(1) == own).sum())
        of_images += int((scores.argmax(0) == own).sum())
        report("validating", place, len(parts))
    count = min(len(split), MEASURED)
    return {"recall1": of_texts / count, "image_recall1": of_images / count}
