"""A language-model run: texts in, a vocabulary and a language model out."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import nn

from showtell.checkpoint.card import CardFacts
from showtell.data.batch import Batch
from showtell.data.sampler import Sampler
from showtell.data.texts.corpus import Corpus, Documents, tokenise
from showtell.data.texts.pack import pack, stack
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.cuts import Cuts
from showtell.datasets.texts import Texts, count_words, read_texts
from showtell.datasets.unknown import log_unknown
from showtell.errors import UserError
from showtell.objectives.masked_tokens import mask_tokens
from showtell.protocols import (
    CausalLanguageModel,
    MaskedLanguageModel,
    NextSentencePredictor,
    TextEncoder,
    Trainable,
)
from showtell.runs.job import Job, SystemConfig, Validate, require, sketch
from showtell.tasks.language import predict_masked, predict_next
from showtell.train.config import TrainConfig
from showtell.wording import counted

logger = logging.getLogger(__name__)

MEASURED, CHUNK = 2048, 32
"""Examples that a validation reads, evenly spaced over those held out; and of one batch."""
MASK_RATE = 0.15
MEANING = {
    "loss": "negative log-likelihood per predicted token",
    "accuracy": f"accuracy on masked tokens, {MASK_RATE:.0%} masked",
    "next_sentence": "accuracy on sentence pairs, half of them random",
    "perplexity": "perplexity per token",
    "perplexity_per_word": "perplexity per word, separated by spaces",
}


@dataclass(frozen=True)
class LanguageModelRun:
    """Trains a system that is a `MaskedLanguageModel` or a `CausalLanguageModel`."""

    trains_on: ClassVar = "texts"

    system: SystemConfig
    """`vocab_size` is the most that the vocabulary may hold; the ids of special tokens are those it gives."""
    train: TrainConfig
    whole_words: bool = False
    """Mask all pieces of a word together, or none."""

    def read(self, data: Path, format: str | None = None) -> Texts:
        """The documents of a file or folder of texts."""
        return read_texts(data, format)

    def prepare(self, dataset: Texts, device: str) -> Job:
        """Vocabulary, corpus and the system; the best parameters by the validation loss are kept."""
        shape = self._shape()
        config: Any = self.system
        logger.info("learning a vocabulary from %d words", dataset.num_training)
        vocabulary = shape.vocabulary
        tokenizer = SubwordTokenizer.train(
            dataset.training, vocabulary.kind, config.vocab_size, vocabulary.family
        )
        run = replace(self, system=config.with_tokenizer(tokenizer))
        torch.manual_seed(run.train.seed)
        system = run.system.build()
        corpus = tokenise(dataset.training, tokenizer)
        log_unknown(tokenizer, dataset.validation)
        with _after_division(dataset, "to train on"):
            examples = run.examples(corpus, tokenizer)
        with _after_division(dataset, "held out to validate"):
            measured = run.measure(dataset.validation, tokenizer, device)
        cuts = _cuts(examples, tokenizer, config.max_length)
        cuts.log()
        sampler = Sampler(len(examples), run.train.batch_size, run.train.seed)
        return Job(
            run,
            system,
            load_batch=lambda index: run.batch(examples, sampler(index), (run.train.seed, index), tokenizer),
            describe=lambda index: f"examples {', '.join(map(str, sampler(index)))}",
            data={
                "hash": dataset.hash,
                "vocabulary": hashlib.sha256(tokenizer.to_json().encode()).hexdigest(),
                "documents": len(dataset.training),
                "train": len(corpus.ids),
                "val": len(dataset.validation),
            },
            about=f"{len(corpus.ids)} tokens in {len(examples)} training examples, {len(dataset.validation)} "
            f"validation documents, a vocabulary of {len(tokenizer)} tokens",
            card=CardFacts(
                {
                    "training documents": f"{len(dataset.training):,}, {len(corpus.ids):,} tokens",
                    "validation documents": f"{len(dataset.validation):,}",
                    "vocabulary": f"{len(tokenizer):,} tokens, from the training documents alone",
                    "longest text": f"{config.max_length} tokens",
                },
                MEANING,
            ),
            validate=measured,
            tokenizer_json=tokenizer.to_json(),
            cuts=[cuts],
        )

    def _shape(self) -> Any:
        """The system without parameters: its class says what a run must know."""
        kind = "language-model"
        shape = sketch(self.system, kind, Trainable, TextEncoder)
        require(
            isinstance(shape, MaskedLanguageModel | CausalLanguageModel),
            kind,
            shape,
            "it predicts neither masked nor next tokens",
        )
        require(hasattr(shape, "vocabulary"), kind, shape, "it names no vocabulary to learn")
        return shape

    def examples(self, corpus: Corpus, tokenizer: SubwordTokenizer) -> Any:
        """The corpus cut into examples as the system's paper does."""
        config: Any = self.system
        return self._shape().examples(
            corpus, start=tokenizer.start, end=tokenizer.end, max_length=config.max_length
        )

    def batch(
        self, examples: Any, items: Sequence[int], seed: tuple[int, ...], tokenizer: SubwordTokenizer
    ) -> Batch:
        """Some of the examples, short ones packed into one row; `seed` decides what is random in them."""
        generator = np.random.default_rng(seed)
        drawn = [examples(item, generator) for item in items]
        if not self._shape().packs:
            return stack(drawn, tokenizer.pad)
        config: Any = self.system
        batch = pack(drawn, config.max_length, tokenizer.pad)
        return batch if self.whole_words else replace(batch, texts=replace(batch.texts, groups=None))

    def measure(self, texts: Documents, tokenizer: SubwordTokenizer, device: str = "cpu") -> Validate:
        """The figures of a system on held-out texts, the same tokens masked each time.

        Of a masked language model: `loss`, the negative log-likelihood per masked token, `accuracy` on masked
        tokens, and `next_sentence`, the accuracy on pairs, where the system predicts that. Of a causal one:
        `loss`, per token, and `perplexity`, its exponential, also per word as separated by spaces.
        """
        corpus = tokenise(texts, tokenizer)
        examples = self.examples(corpus, tokenizer)
        chosen = np.linspace(0, len(examples) - 1, min(len(examples), MEASURED)).astype(int).tolist()
        batches = [
            self.batch(examples, chosen[first : first + CHUNK], (first,), tokenizer).to(device)
            for first in range(0, len(chosen), CHUNK)
        ]
        if isinstance(self._shape(), CausalLanguageModel):
            # Each document's end is a token too.
            per_word = (len(corpus.ids) + len(texts)) / count_words(texts)
            return lambda system: _causal_figures(cast(CausalLanguageModel, system), batches, per_word)
        assert tokenizer.mask is not None
        masked = [
            mask_tokens(
                batch.texts.ids,
                batch.texts.keep,
                mask_id=tokenizer.mask,
                vocab_size=len(tokenizer),
                special=tokenizer.special,
                rate=MASK_RATE,
                groups=batch.texts.groups,
                generator=torch.Generator(device).manual_seed(index),
            )
            for index, batch in enumerate(batches)
        ]

        def figures(system: nn.Module) -> dict[str, float]:
            score = predict_masked(cast(MaskedLanguageModel, system), zip(batches, masked, strict=True))
            found = {"loss": score.nll / score.count, "accuracy": score.correct / score.count}
            if isinstance(system, NextSentencePredictor) and system.predicts_next_sentence:
                found["next_sentence"] = _next_sentence_accuracy(system, batches)
            return found

        return figures


def _cuts(examples: Any, tokenizer: SubwordTokenizer, max_length: int) -> Cuts:
    """The training examples whose own sentences are longer than they can hold."""
    cuts = Cuts(max_length, "an example holds", "sentence pair")
    cuts.seen, cuts.count = len(examples), int((examples.lost > 0).sum())
    if cuts.count:
        item = int((examples.lost > 0).argmax())
        cuts.first = tokenizer.decode(examples.whole(item)).strip(), int(examples.lost[item])
    return cuts


@contextmanager
def _after_division(texts: Texts, side: str) -> Iterator[None]:
    """Adds to an error on which side of the data it arose, and how many documents are on each."""
    try:
        yield
    except UserError as error:
        sides = [counted(len(side), "document") for side in (texts.training, texts.validation)]
        raise type(error)(
            f"of the documents {side}: {error} "
            f"(after the split {sides[0]} to train on, {sides[1]} to validate)"
        ) from error


def short_training(steps: int, batch_size: int, **settings: Any) -> TrainConfig:
    """The loop of a `_mini` recipe: validated and saved eight times."""
    often = max(steps // 8, 1)
    return TrainConfig(
        steps=steps, batch_size=batch_size, validate_every=often, checkpoint_every=often, **settings
    )


def _causal_figures(
    system: CausalLanguageModel, batches: list[Batch], tokens_per_word: float
) -> dict[str, float]:
    score = predict_next(system, batches)
    loss = score.nll / score.count
    return {
        "loss": loss,
        "perplexity": math.exp(loss),
        "perplexity_per_word": math.exp(loss * tokens_per_word),
    }


def _next_sentence_accuracy(system: NextSentencePredictor, batches: list[Batch]) -> float:
    """The share of pairs for which it is predicted correctly whether the second sentence follows."""
    right = count = 0
    for batch in batches:
        tokens = system.encode_texts(batch).tokens
        yes, no = system.next_sentence_logits(tokens, batch).unbind(1)
        right += int(((yes > no) == batch.targets.follows).sum())
        count += len(batch.targets.follows)
    return right / count
