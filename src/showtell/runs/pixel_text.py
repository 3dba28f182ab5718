"""A pixel-text run: texts in, drawn as images while it trains; a system that reads them out."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from showtell.checkpoint.card import CardFacts
from showtell.data.batch import Batch
from showtell.data.images.page import Page
from showtell.data.images.render.fonts import Font, fonts
from showtell.data.images.render.style import size_class
from showtell.data.texts.corpus import Documents
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.rendered_texts import RenderedTexts, Rendering, divide_fonts, trimmed
from showtell.datasets.texts import Texts, read_texts
from showtell.errors import UsageError
from showtell.protocols import HasTokenEmbeddings, Trainable
from showtell.runs.job import Job, SystemConfig, require, sketch
from showtell.tasks.metrics import character_error_rate
from showtell.tasks.reading import TextReader, read_encoded
from showtell.train.config import TrainConfig

logger = logging.getLogger(__name__)

KIND = "pixel-text"
MEASURED, CHUNK = 96, 16
"""Images of a validation, and of one batch of it."""
WHOLE = 8
"""Of so many batches one keeps the blank paper of its pages, which are whole where they are read."""
MEANING = {
    "loss": "negative log-likelihood per token, some of them masked",
    "accuracy": "accuracy of the next token that the image shows",
    "masked_accuracy": "accuracy of the next token where the image shows a mask",
    "cer": "character error rate of reading images without masks",
}


@dataclass(frozen=True)
class PixelTextRun:
    """Trains a system that is a `TextReader` on texts that are drawn anew each time."""

    trains_on: ClassVar = "texts"

    system: SystemConfig
    """`vocab_size` is the most that the vocabulary may hold."""
    train: TrainConfig
    canvas: tuple[int, int] = (512, 512)
    """Height and width of an image, in pixels."""
    letter: int = 0
    """The height of small letters on the image, in pixels; 0: as large as fits."""
    curriculum: tuple[int, ...] = (50, 100, 144)
    """The most tokens of a text in each stage of the training."""
    shares: tuple[float, ...] = (0.3, 0.3, 0.4)
    """The share of the training that each stage has."""
    mask_rate: float = 0.15
    """Share of the tokens that are drawn as `[MASK]`."""
    whole_words: bool = False
    """Mask all tokens of a word together, or none."""
    inverted: float = 0.5
    """Share of the images that are white on black."""

    def __post_init__(self) -> None:
        if len(self.shares) != len(self.curriculum) or min(self.shares, default=0) <= 0:
            raise UsageError(
                f"shares={self.shares}: give a number above 0 for each stage of {self.curriculum}"
            )
        longest = getattr(self.system, "max_length", 0) - 2
        if min(self.curriculum) < 1 or max(self.curriculum) > longest:
            raise UsageError(f"curriculum={self.curriculum}: give tokens from 1 to {longest} per text")
        if not (0 <= self.mask_rate <= 1 and 0 <= self.inverted <= 1):
            raise UsageError("mask_rate and inverted are shares: give numbers from 0 to 1")
        if min(self.canvas) < 1 or self.letter < 0:
            raise UsageError(f"canvas={self.canvas}, letter={self.letter}: give pixels")

    @property
    def page(self) -> Page:
        """How an image that is read is prepared."""
        return Page(*self.canvas, self.letter)

    def stage(self, step: int) -> int:
        """The stage of the curriculum of update `step`, from 0."""
        done = (step + 0.5) / self.train.steps * sum(self.shares)
        return min(sum(done > end for end in accumulate(self.shares)), len(self.shares) - 1)

    def read(self, data: Path, format: str | None = None) -> Texts:
        """The documents of a file or folder of texts."""
        return read_texts(data, format)

    def prepare(self, dataset: Texts, device: str) -> Job:
        """Vocabulary, fonts and the system; the best parameters by the validation loss are kept."""
        shape = sketch(self.system, KIND, Trainable, TextReader, HasTokenEmbeddings)
        require(hasattr(shape, "vocabulary"), KIND, shape, "it names no vocabulary to learn")
        config: Any = self.system
        documents = self._enough(dataset.training, 1.0, max(self.curriculum))
        logger.info("learning a vocabulary from %d of %d documents", len(documents), len(dataset.training))
        vocabulary = shape.vocabulary
        tokenizer = SubwordTokenizer.train(documents, vocabulary.kind, config.vocab_size, vocabulary.family)
        run = replace(self, system=config.with_tokenizer(tokenizer))
        torch.manual_seed(run.train.seed)
        system = run.system.build()
        seen, unseen = divide_fonts(fonts())
        stages = [
            RenderedTexts(
                run._enough(dataset.training, share / sum(run.shares), tokens),
                tokenizer,
                run.rendering(tokens),
                seen,
                least=1,
                most=run._items(share / sum(run.shares)),
            )
            for tokens, share in zip(run.curriculum, run.shares, strict=True)
        ]
        samplers = [stage.batches(run.train.batch_size, run.train.seed) for stage in stages]

        def load_batch(index: int) -> Batch:
            stage = run.stage(index // run.train.accumulate)
            batch = stages[stage].batch(samplers[stage](index), (run.train.seed, index))
            return trimmed(batch, shape.tower.stride) if run.letter and index % WHOLE else batch

        def describe(index: int) -> str:
            stage = run.stage(index // run.train.accumulate)
            return f"texts {', '.join(map(str, samplers[stage](index)))} of stage {stage + 1}"

        return Job(
            run,
            system,
            load_batch,
            describe,
            data={
                "hash": dataset.hash,
                "vocabulary": hashlib.sha256(tokenizer.to_json().encode()).hexdigest(),
                "fonts": hashlib.sha256("\n".join(font.name for font in seen).encode()).hexdigest(),
                "train": len(documents),
                "val": len(dataset.validation),
            },
            about=f"{', '.join(str(len(stage)) for stage in stages)} texts of at most "
            f"{', '.join(map(str, run.curriculum))} tokens, {len(seen)} fonts, "
            f"a vocabulary of {len(tokenizer)} tokens",
            card=CardFacts(
                {
                    "training documents": f"{len(documents):,}",
                    "validation documents": f"{len(dataset.validation):,}",
                    "vocabulary": f"{len(tokenizer):,} tokens, from the training documents alone",
                    "fonts": f"{len(seen)} to train on, {len(unseen)} held out",
                    "image, pixels": f"{run.canvas[0]} x {run.canvas[1]}",
                    "longest text": f"{max(run.curriculum)} tokens",
                },
                MEANING,
            ),
            validate=run.measure([*dataset.validation], tokenizer, seen, device),
            tokenizer_json=tokenizer.to_json(),
            preprocess={"version": run.page.version},
        )

    def rendering(self, tokens: int, mask_rate: float | None = None) -> Rendering:
        """How texts of at most so many tokens are drawn."""
        config: Any = self.system
        return Rendering(
            size_class(tokens),
            self.canvas,
            self.mask_rate if mask_rate is None else mask_rate,
            self.whole_words,
            self.inverted,
            self.page if self.letter else None,
            bool(getattr(config, "letters_weight", 0)),
            bool(getattr(config, "pixel_weight", 0)),
        )

    def measure(
        self,
        documents: list[str],
        tokenizer: SubwordTokenizer,
        among: Sequence[Font],
        device: str = "cpu",
        count: int = MEASURED,
    ) -> Any:
        """The figures of a system on held-out texts as long as those of the last stage, always drawn
        alike."""

        def held_out(mask_rate: float) -> list[Batch]:
            rendering = self.rendering(self.curriculum[-1], mask_rate)
            drawn = RenderedTexts(documents, tokenizer, rendering, among)
            chosen = np.linspace(0, len(drawn) - 1, min(len(drawn), count)).astype(int).tolist()
            firsts = range(0, len(chosen), CHUNK)
            return [drawn.batch(chosen[first : first + CHUNK], (first,)) for first in firsts]

        masked, whole = held_out(self.mask_rate), held_out(0.0)

        def figures(system: nn.Module) -> dict[str, float]:
            found = token_figures(system, [batch.to(device) for batch in masked])
            read, texts = list[str](), list[str]()
            for batch in whole:
                encoded = cast(Any, system).encode_images(batch.to(device))
                height, width = batch.images.pixels.shape[2:]
                read += [
                    one.text for one in read_encoded(cast(Any, system), tokenizer, encoded, (height, width))
                ]
                texts += [tokenizer.decode(ids.tolist()) for ids in batch.texts.ids]
            return {**found, "cer": character_error_rate(read, texts)}

        return figures

    def _items(self, share: float) -> int:
        """The texts that a share of the training reads."""
        return math.ceil(self.train.steps * self.train.accumulate * self.train.batch_size * share)

    def _enough(self, documents: Documents, share: float, tokens: int) -> list[str]:
        """As many documents, evenly chosen, as a share of the training reads in texts of so many tokens."""
        items = self._items(share)
        order = np.random.default_rng(self.train.seed).permutation(len(documents))
        words = np.array([len(document.split()) for document in documents])[order]  # at least a token each
        order = order[: int(np.searchsorted(words.cumsum(), items * tokens)) + 1]
        wanted = set(order.tolist())
        chosen = {place: document for place, document in enumerate(documents) if place in wanted}
        return [chosen[place] for place in order.tolist()]


@torch.no_grad()
def token_figures(system: nn.Module, batches: Sequence[Batch]) -> dict[str, float]:
    """`loss`, per token and its end; `accuracy` of tokens that are shown and of masked ones."""
    loss = count = 0.0
    right, total = torch.zeros(2), torch.zeros(2)
    for batch in batches:
        reader: Any = system
        ids, real = batch.texts.ids, batch.texts.keep[:, 1:]
        memory = reader.prefill(reader.encode_images(batch))
        owner = torch.arange(len(ids), device=ids.device)
        logits = reader.teacher_forced_logits(memory, owner, ids, batch.texts.keep)
        targets, masked = ids[:, 1:][real], batch.targets.masked[:, 1:][real].long()
        loss += float(F.cross_entropy(logits, targets, reduction="sum"))
        count += len(targets)
        total += masked.bincount(minlength=2).cpu()
        right += masked[logits.argmax(1) == targets].bincount(minlength=2).cpu()
    shown, hidden = (right / total.clamp(min=1)).tolist()
    return {"loss": loss / count, "accuracy": shown, "masked_accuracy": hidden}
