"""An instruction run: conversations in, an adapter of a language model out, which answers as they do.

Questions about images, and labelled documents, are conversations of one question each. Those about the same
images come together, as one item of a batch.

A system that reads images has an `image_id`, which stands among the ids for each token of an image, and
computes the loss of the answers given the images of the batch, in the order of those ids.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import nn

from showtell.checkpoint.adapters import adapter_in, base_parts
from showtell.checkpoint.card import CardFacts
from showtell.checkpoint.load import Checkpoint
from showtell.data.batch import Batch
from showtell.data.features import ImageStore
from showtell.data.sampler import Sampler
from showtell.data.tokenizers.load import load_tokenizer
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.caches import log_skipped
from showtell.datasets.conversation_input import (
    ConversationInput,
    EncodedConversation,
    Shown,
    StoredImages,
    unreadable,
)
from showtell.datasets.conversations import Conversations, read_divided, readable, together
from showtell.datasets.cuts import Cuts, log_cuts
from showtell.errors import UsageError, UserError
from showtell.hub.checkpoints import open_checkpoint
from showtell.hub.qwen_vl import is_qwen_vl
from showtell.hub.qwen_vl_system import qwen_base
from showtell.nn.lora import add_lora
from showtell.progress import report
from showtell.protocols import ImageEncoder, Trainable
from showtell.runs.image_source import store_of
from showtell.runs.job import Figures, Job
from showtell.train.config import TrainConfig
from showtell.train.distributed import count

CHUNK = 8
"""Conversations of one batch of a validation."""
MEANING = {
    "loss": "negative log-likelihood per token of the answers",
    "perplexity": "perplexity per token of the answers",
}


@dataclass(frozen=True)
class InstructionRun:
    """Trains low-rank layers of a language model to give the answers of conversations."""

    trains_on: ClassVar = "conversations"

    train: TrainConfig
    model: str = ""
    """The model to adapt: a checkpoint, or a name that `showtell models` lists."""
    rank: int = 16
    """Of the correction of each matrix."""
    alpha: float = 32.0
    """The corrections count `alpha / rank` times."""
    max_length: int = 0
    """Tokens of the longest conversation; longer ones are left out. 0: all that the model reads."""
    held_out: float = 0.05
    """The share of the conversations that validates, where no file is called val; 0: none."""

    def __post_init__(self) -> None:
        for name, least in (("rank", 1), ("max_length", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; give {least} or more")
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise UsageError(f"alpha is {self.alpha}; give a number above 0")
        if not 0 <= self.held_out < 1:
            raise UsageError(f"held_out is {self.held_out}; give 0 or more and less than 1")

    def read(self, data: Path, format: str | None = None) -> Conversations:
        """The conversations of a file or folder, or one for each document, or question about images."""
        if not self.model:
            raise UsageError("name the model to adapt with --model; `showtell models` lists some")
        if adapter_in(Path(self.model)):
            raise UsageError(f"{self.model} is an adapter itself; `showtell merge` makes a model of it first")
        return read_divided(data, format, self.held_out, is_qwen_vl(self.model))

    def prepare(self, dataset: Conversations, device: str) -> Job:
        """The model with new corrections, the conversations as it reads them."""
        base = qwen_base(self.model, device) if is_qwen_vl(self.model) else open_checkpoint(self.model)
        system: Any = base.system
        dataset, given = conversation_input(base, dataset, self.model, device)
        torch.manual_seed(self.train.seed)
        add_lora(system, _layers(system, self.model), self.rank, self.alpha)
        limit = min(self.max_length or system.config.max_length, system.config.max_length)
        cuts = {
            name: Cuts(limit, f"{self.model} is trained on", "conversation", whole=True)
            for name in ("training", "validation")
        }
        rows = given.fitting(dataset.training, cuts["training"])
        measured = given.fitting(dataset.validation, cuts["validation"])
        log_cuts(cuts)
        if not rows:
            raise UserError(f"no conversation fits into {limit} tokens; raise max_length, or shorten them")
        groups = together(row.images for row in rows)
        sampler = Sampler(len(groups), self.train.batch_size, self.train.seed)

        def chosen(index: int) -> list[int]:
            return [number for group in sampler(index) for number in groups[group]]

        tokens = sum(sum(row.answers) for row in rows)
        data: dict[str, Any] = {"hash": dataset.hash, "base": base.hash}
        data |= {"train": len(rows), "val": len(measured)}
        if dataset.schema is not None:
            data["schema"] = dataset.schema
        return Job(
            self,
            system,
            load_batch=lambda index: given.batch([rows[i] for i in chosen(index)]),
            describe=lambda index: f"conversations {', '.join(map(str, chosen(index)))}",
            data=data,
            about=f"{len(rows)} training conversations with {tokens} tokens of answers, {len(measured)} "
            f"validation conversations, corrections of {self.model}@{base.hash[:12]}",
            card=CardFacts(
                {
                    "adapts": f"`{self.model}`, of hash `{base.hash[:12]}`",
                    "training conversations": f"{len(rows):,}, {tokens:,} tokens of answers",
                    "validation conversations": f"{len(measured):,}",
                    "longest conversation": f"{limit} tokens",
                },
                MEANING,
                more="An adapter: low-rank corrections of its base, which it needs "
                "(`showtell generate --chat`). `showtell merge` makes one model of both.",
            ),
            validate=(lambda module: measure(module, measured, given, device)) if measured else None,
            cuts=tuple(cuts.values()),
            frozen=base_parts(system, base),
            base=base,
        )


def answering_tokenizer(base: Checkpoint, name: str) -> SubwordTokenizer:
    """The tokenizer of a model that answers messages. Raises `UsageError` for one without a chat template."""
    texts = base.preprocess.get("texts")
    tokenizer = load_tokenizer(base.tokenizer_json, name, texts) if base.tokenizer_json else None
    if not isinstance(tokenizer, SubwordTokenizer) or not tokenizer.chat_template:
        raise UsageError(
            f"{name} has no chat template, which says how messages are read; adapt another model"
        )
    return tokenizer


def conversation_input(
    base: Checkpoint, dataset: Conversations, name: str, device: str
) -> tuple[Conversations, ConversationInput]:
    """How the model called `name` reads conversations, and those whose images can be read.

    Raises `UsageError` for images where it reads none.
    """
    tokenizer, system = answering_tokenizer(base, name), cast(Any, base.system)
    sides = (dataset.training, dataset.validation)
    showing = [one for side in sides for one in side if one.images]
    if not showing:
        return dataset, ConversationInput(tokenizer)
    own, reads = hasattr(system, "conversation_images"), hasattr(system, "image_id")
    if not own and not (reads and isinstance(system, ImageEncoder)):
        raise UsageError(f"{showing[0].where} shows images, which {name} does not read; adapt another model")
    if count() > 1:
        raise UsageError("conversations that show images are trained by one process: leave out torchrun")
    paths = list(dict.fromkeys(path for one in showing for path in one.images))
    if own:
        shown: Shown = system.conversation_images
        skipped = unreadable(shown, paths)
    else:
        store = store_of(base, name, device)
        found = store.add(paths)
        rows = dict(zip(paths, found.rows.tolist(), strict=True))
        shown, skipped = stored_images(system, store, rows), found.skipped
    log_skipped(skipped)
    training, validation = (readable(side, skipped) for side in sides)
    if not training:
        raise UserError("no training conversation has images that can be read; showtell data check says why")
    return replace(dataset, training=training, validation=validation), ConversationInput(tokenizer, shown)


def stored_images(system: Any, store: ImageStore, rows: Mapping[Path, int]) -> StoredImages:
    """Images of a store as a system reads them, which makes as many tokens of each.

    Raises `UserError` where none could be read.
    """
    if (first := max(rows.values())) < 0:
        raise UserError(f"none of the {len(rows)} images can be read; showtell data check says why")
    with torch.no_grad():
        tokens = system.encode_images(Batch(store.images([first]))).tokens.shape[1]
    return StoredImages(store, rows, system.image_id, tokens)


@torch.no_grad()
def measure(
    system: nn.Module, rows: Sequence[EncodedConversation], given: ConversationInput, device: str
) -> Figures:
    """`loss` and `perplexity` per token of the answers."""
    model, nll, total = cast(Trainable, system), 0.0, 0
    for first in range(0, len(rows), CHUNK):
        step = model.forward(given.batch(rows[first : first + CHUNK]).to(device))
        tokens = int(step.counts["lm"])
        nll, total = nll + float(step.losses["lm"]) * tokens, total + tokens
        report("validating", min(first + CHUNK, len(rows)), len(rows))
    return {"loss": nll / total, "perplexity": math.exp(nll / total)}


def _layers(system: nn.Module, name: str) -> list[str]:
    """The linear layers that a system lets an adapter correct. Raises `UsageError` for one that lets none."""
    prefixes = getattr(system, "lora", None)
    if prefixes is None or not isinstance(system, Trainable):
        raise UsageError(
            f"{name} is a {type(system).__name__}, no language model that is adapted; give another"
        )
    return [
        layer
        for layer, module in system.named_modules()
        if layer.startswith(prefixes) and isinstance(module, nn.Linear)
    ]
