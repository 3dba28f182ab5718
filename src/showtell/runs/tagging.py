"""A tagging run: sentences with a tag per word in, a system that tags words out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import nn
from torch.nn import functional as F

from showtell.checkpoint.card import CardFacts
from showtell.data.batch import Batch
from showtell.data.qa.examples import Tagged
from showtell.data.sampler import Sampler
from showtell.datasets.cuts import Cuts, log_cuts
from showtell.datasets.qa import Examples, read_qa
from showtell.datasets.tagged_tokens import TaggedRow, TaggedRows
from showtell.datasets.text_inputs import Drawn
from showtell.errors import UsageError
from showtell.runs.finetuning import prepared, started
from showtell.runs.job import Job, SystemConfig
from showtell.tasks.tagging import Tagger
from showtell.tasks.text_figures import tag_figures
from showtell.train.config import TrainConfig

CHUNK = 64
"""Sentences of one batch of a validation."""
MEANING = {
    "accuracy": "accuracy per word",
    "accuracy_se": "standard error of the accuracy",
    "f1": "F1 of whole entities",
    "f1_se": "standard error of the F1",
    "loss": "negative log-likelihood per word",
}


@dataclass(frozen=True)
class TaggingRun:
    """Fine-tunes a system that tags the words of texts, which it reads as tokens or as images too."""

    trains_on: ClassVar = "tagged words"

    system: SystemConfig
    """Its tags are those of the data, its sizes those of `model`."""
    train: TrainConfig
    model: str = ""
    """The checkpoint to start from; empty: from scratch."""

    def read(self, data: Path, format: str | None = None) -> Examples:
        """Words and their tags in CoNLL files."""
        found = read_qa(data, format or "conll")
        if not all(isinstance(one, Tagged) for one in found.training):
            raise UsageError(f"{data} holds {found.format}, not tagged words; leave out --format")
        return found

    def prepare(self, dataset: Examples, device: str) -> Job:
        """Sentences as the system reads them; held-out ones are read after the last step."""
        training, held_out = (cast(list[Tagged], one) for one in (dataset.training, dataset.validation))
        names = dataset.labels
        texts = (" ".join(one.tokens) for one in training)
        start = started(self.system, self.model, names, texts, self.train.seed, Tagger)
        run = replace(self, system=start.config)
        special = 0 if isinstance(start.given, Drawn) else 2
        reader = TaggedRows(start.given, names, start.given.limit - special)
        cuts = {name: Cuts(reader.limit, "fine-tuning reads") for name in ("training", "validation")}
        (rows, sentences), (tested, owner) = (
            in_parts(reader, some, cut) for some, cut in zip((training, held_out), cuts.values(), strict=True)
        )
        log_cuts(cuts)
        num_training = len({*sentences})
        sampler = Sampler(len(rows), run.train.batch_size, run.train.seed)

        def load_batch(index: int) -> Batch:
            return reader.batch([rows[i] for i in sampler(index)], (run.train.seed, index)).to(device)

        common = Counter(tag for one in training for tag in one.tags).most_common(1)[0][0]
        truth = of_sentences([row.example.tags for row in tested], owner)
        chance = tag_figures(truth, [[common] * len(tags) for tags in truth])
        return Job(
            run,
            start.system,
            load_batch,
            describe=lambda index: f"sentences {', '.join(map(str, sampler(index)))}",
            data={
                "hash": dataset.hash,
                **start.facts,
                "train": num_training,
                "val": len(truth),
                "chance": chance["accuracy"],
                **({"chance_f1": chance["f1"]} if "f1" in chance else {}),
            },
            about=f"{num_training} training and {len(truth)} held-out sentences, {len(names)} tags, "
            f"{start.about}",
            card=CardFacts(
                {
                    "training sentences": f"{num_training:,}",
                    "held-out sentences": f"{len(truth):,}",
                    "fine-tuned": start.about,
                    "read at once": f"{reader.limit} tokens; longer sentences in parts",
                    "accuracy of always the most frequent tag": f"{chance['accuracy']:.3f}",
                },
                MEANING,
                more=f"Its tags: {', '.join(names)} (`showtell tag`).",
            ),
            validate=lambda module: measure(module, reader, tested, owner, names, device),
            tokenizer_json=start.given.tokenizer.to_json(),
            preprocess=start.preprocess,
            cuts=tuple(cuts.values()),
        )


def in_parts(reader: TaggedRows, examples: Sequence[Tagged], cut: Cuts) -> tuple[list[TaggedRow], list[int]]:
    """Sentences in parts that the system reads, and the number of the sentence of each."""
    parts = [(number, part) for number, one in enumerate(examples) for part in reader.parts(one)]
    found = prepared(reader.prepare, [part for _, part in parts], cut, lambda one: " ".join(one.tokens))
    return found.items, [parts[place][0] for place in found.kept]


def of_sentences(tags: Sequence[Sequence[str]], owner: Sequence[int]) -> list[list[str]]:
    """Tags of parts as those of their sentences, `owner` the number of each part's."""
    joined: dict[int, list[str]] = {}
    for number, some in zip(owner, tags, strict=True):
        joined.setdefault(number, []).extend(some)
    return [*joined.values()]


@torch.no_grad()
def measure(
    system: nn.Module,
    reader: TaggedRows,
    rows: Sequence[TaggedRow],
    owner: Sequence[int],
    names: Sequence[str],
    device: str,
) -> dict[str, float]:
    """`accuracy` per word, where tags are those of entities their `f1`, and `loss`; drawn always alike.

    A word without a token counts as wrong.
    """
    said: list[list[str]] = []
    loss = count = 0.0
    for first in range(0, len(rows), CHUNK):
        some = rows[first : first + CHUNK]
        batch = reader.batch(some, (first,)).to(device)
        logits: Any = cast(Tagger, system).token_tags(batch)
        tags = batch.targets.tags
        loss += float(F.cross_entropy(logits[tags >= 0], tags[tags >= 0], reduction="sum"))
        count += int((tags >= 0).sum())
        best = logits.argmax(-1).tolist()
        said += [
            ["" if place < 0 else names[best[number][place + 1]] for place in row.first]
            for number, row in enumerate(some)
        ]
    truth, found = (of_sentences(tags, owner) for tags in ([row.example.tags for row in rows], said))
    return {**tag_figures(truth, found), "loss": loss / max(count, 1)}
