"""The complete run of a language model: texts in, a vocabulary and a checkpoint out."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from showtell.data.batch import Batch
from showtell.data.sampler import Sampler
from showtell.data.texts.contiguous import Blocks, FullSentences
from showtell.data.texts.corpus import Corpus, tokenise
from showtell.data.texts.pack import pack, stack
from showtell.data.texts.pairs import SentencePairs
from showtell.data.tokenizers.families import Name
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.training import Kind
from showtell.datasets.texts import Texts, count_words, read_texts
from showtell.errors import UsageError
from showtell.objectives.masked_tokens import mask_tokens
from showtell.progress import progress_lines
from showtell.runs.execute import fit
from showtell.runs.language_card import language_card
from showtell.systems.bert import BERT, BERTConfig
from showtell.systems.gpt import GPT, GPTConfig
from showtell.systems.roberta import RoBERTa, RoBERTaConfig
from showtell.tasks.language import predict_masked, predict_next
from showtell.train.config import TrainConfig

Config = BERTConfig | RoBERTaConfig | GPTConfig
Examples = SentencePairs | FullSentences | Blocks
KINDS: dict[type[Any], tuple[type[nn.Module], Kind, Name]] = {
    BERTConfig: (BERT, "wordpiece", "bert"),
    RoBERTaConfig: (RoBERTa, "bpe", "roberta"),
    GPTConfig: (GPT, "bpe", "gpt2"),
}
"""Of each configuration: its system, and the vocabulary that its paper learns."""
MEASURED, AT_ONCE = 2048, 32
"""Examples that a validation reads, evenly spaced over those kept apart; and in one batch."""
MASK_RATE = 0.15


@dataclass(frozen=True)
class LanguageModelRun:
    """Everything that decides the result, but the texts."""

    system: Config
    """`vocab_size` is the most that the vocabulary may hold; the ids of special words are those it gives."""
    train: TrainConfig
    whole_words: bool = False
    """Hide all pieces of a word together, or none."""

    def read(self, data: Path, format: str | None = None) -> Texts:
        """The documents of a file or folder of texts, how they are parted said on standard error."""
        return read_texts(data, format)

    def run(
        self, name: str, data: Texts, output: Path, *, resume: bool = False, device: str = "cpu"
    ) -> dict[str, Any]:
        """Learn a vocabulary from the training documents, train, write `output/model`."""
        cls, kind, family = KINDS[type(self.system)]
        try:
            with torch.device("meta"):
                cls(self.system)  # a wrong setting is found before an hour of reading
        except ValueError as error:
            raise UsageError(str(error)) from error
        print(f"learning a vocabulary from {data.num_training} words", file=sys.stderr)
        tokenizer = SubwordTokenizer.train(data.training, kind, self.system.vocab_size, family)
        recipe = replace(self, system=fitted(self.system, tokenizer))
        torch.manual_seed(recipe.train.seed)
        system = cls(recipe.system)
        corpus = tokenise(data.training, tokenizer, progress_lines("documents tokenised"))
        examples = recipe.examples(corpus, tokenizer)
        measure = recipe.measure(data.validation, tokenizer, device)
        sampler = Sampler(len(examples), recipe.train.batch_size, recipe.train.seed)

        def load_batch(index: int) -> Batch:
            return recipe.batch(examples, sampler(index), (recipe.train.seed, index), tokenizer)

        return fit(
            system,
            recipe,
            output,
            name=name,
            data={
                "hash": data.hash,
                "vocabulary": hashlib.sha256(tokenizer.to_json().encode()).hexdigest(),
                "documents": len(data.training),
                "train": len(corpus.ids),
                "val": len(data.validation),
            },
            about=f"{len(corpus.ids)} tokens in {len(examples)} examples to learn from, "
            f"{len(data.validation)} documents to choose by, {len(tokenizer)} tokens known",
            load_batch=load_batch,
            validate=measure,
            tokenizer_json=tokenizer.to_json(),
            card=language_card,
            resume=resume,
            device=device,
        )

    def examples(self, corpus: Corpus, tokenizer: SubwordTokenizer) -> Examples:
        """What the system's paper cuts a corpus into."""
        length = self.system.max_length
        match self.system:
            case BERTConfig():
                return SentencePairs(corpus, start=tokenizer.start, end=tokenizer.end, max_length=length)
            case RoBERTaConfig():
                return FullSentences(corpus, start=tokenizer.start, end=tokenizer.end, max_length=length)
            case GPTConfig():
                return Blocks(corpus, start=tokenizer.start, end=tokenizer.end, max_length=length)

    def batch(
        self, examples: Examples, items: Sequence[int], seed: tuple[int, ...], tokenizer: SubwordTokenizer
    ) -> Batch:
        """Some of the examples, short ones packed into one row; the seed decides what is random in them."""
        generator = np.random.default_rng(seed)
        drawn = [examples(item, generator) for item in items]
        if isinstance(self.system, GPTConfig):
            return stack(drawn, tokenizer.pad)  # rows of running text are full
        batch = pack(drawn, self.system.max_length, tokenizer.pad)
        return batch if self.whole_words else replace(batch, texts=replace(batch.texts, groups=None))

    def measure(
        self, texts: list[str], tokenizer: SubwordTokenizer, device: str = "cpu"
    ) -> Callable[[nn.Module], dict[str, float]]:
        """What says how well a system knows texts, the same words hidden each time.

        Of BERT and RoBERTa: `loss`, nats a hidden word, and `accuracy`, how many of them were guessed, with
        15 % hidden; of BERT also `next_sentence`, how many pairs were told apart. Of GPT: `loss`, nats a
        token, and `perplexity`, e to that power, a token and a word (as spaces part them).
        """
        corpus = tokenise(texts, tokenizer)
        examples = self.examples(corpus, tokenizer)
        chosen = np.linspace(0, len(examples) - 1, min(len(examples), MEASURED)).astype(int).tolist()
        batches = [
            self.batch(examples, chosen[first : first + AT_ONCE], (first,), tokenizer).to(device)
            for first in range(0, len(chosen), AT_ONCE)
        ]
        if isinstance(self.system, GPTConfig):
            # Each document's end is a token too.
            return lambda gpt: _perplexity(
                cast(GPT, gpt), batches, (len(corpus.ids) + len(texts)) / count_words(texts)
            )
        hidden = [
            mask_tokens(
                batch.texts.ids,
                batch.texts.keep,
                mask_id=self.system.mask_id,
                vocab_size=len(tokenizer),
                special=tokenizer.special,
                rate=MASK_RATE,
                groups=batch.texts.groups,
                generator=torch.Generator(device).manual_seed(index),
            )
            for index, batch in enumerate(batches)
        ]

        def guessed(system: nn.Module) -> dict[str, float]:
            score = predict_masked(cast(BERT | RoBERTa, system), zip(batches, hidden, strict=True))
            figures = {"loss": score.nats / score.count, "accuracy": score.right / score.count}
            return figures | (
                {"next_sentence": _told_apart(system, batches)}
                if isinstance(system, BERT) and system.config.pooler
                else {}
            )

        return guessed


def fitted(config: Config, tokenizer: SubwordTokenizer) -> Config:
    """The configuration with the vocabulary's size and special words."""
    if isinstance(config, GPTConfig):
        return replace(config, vocab_size=len(tokenizer))
    assert tokenizer.mask is not None
    if isinstance(config, RoBERTaConfig):
        # From here the reference library counts: positions up to the id of padding are padding's.
        config = replace(config, first_position=tokenizer.pad + 1)
    return replace(
        config, vocab_size=len(tokenizer), mask_id=tokenizer.mask, special=tuple(tokenizer.special)
    )


def steps(most: int, num_words: int, batch_size: int, max_length: int, epochs: int = 20) -> int:
    """`most` updates, or as many as read few texts `epochs` times, but 200 at least.

    >>> steps(10_000, 10**7, 32, 64), steps(10_000, 10**5, 32, 64), steps(10_000, 100, 32, 64)
    (10000, 977, 200)
    """
    return min(most, max(200, math.ceil(epochs * num_words / (batch_size * max_length))))


def short_training(steps: int, batch_size: int, **settings: Any) -> TrainConfig:
    """The run of a `_mini`: soon warm, validated and saved eight times."""
    often = max(steps // 8, 1)
    return TrainConfig(
        steps=steps, batch_size=batch_size, validate_every=often, checkpoint_every=often, **settings
    )


def _perplexity(gpt: GPT, batches: list[Batch], tokens_per_word: float) -> dict[str, float]:
    score = predict_next(gpt, batches)
    loss = score.nats / score.count
    return {
        "loss": loss,
        "perplexity": math.exp(loss),
        "perplexity_per_word": math.exp(loss * tokens_per_word),
    }


def _told_apart(bert: BERT, batches: list[Batch]) -> float:
    """The share of pairs of which BERT rightly says whether the second sentence follows."""
    right = count = 0
    for batch in batches:
        yes, no = bert.next_sentence_logits(bert.encode(batch), batch).unbind(1)
        right += int(((yes > no) == batch.targets.follows).sum())
        count += len(batch.targets.follows)
    return right / count
