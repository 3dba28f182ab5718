"""What fine-tuning starts from: a trained encoder, its vocabulary and its page, or none of them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from showtell.checkpoint.load import Checkpoint, load_checkpoint
from showtell.data.images.page import Page
from showtell.data.images.render.fonts import fonts
from showtell.data.tokenizers.load import load_tokenizer
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.cuts import Cuts
from showtell.datasets.rendered_texts import divide_fonts
from showtell.datasets.text_inputs import Drawn, TextInput, Tokens
from showtell.errors import UsageError, UserError
from showtell.hub.sources import frozen_tensors
from showtell.pairing import PairEncoder
from showtell.runs.job import require, sketch
from showtell.runs.length import epochs
from showtell.train.config import TrainConfig
from showtell.wording import counted

logger = logging.getLogger(__name__)

PAGE = Page(128, 384, 8)
"""Of a system that reads pixels from scratch."""
VOCABULARY = 4096
"""Tokens of a vocabulary from scratch, where the system does not say."""
OWN = (
    *("dropout", "drawn_tokens", "drawn_pages", "letters_weight", "pixel_weight"),
    *("num_classes", "class_names", "abstains"),
)
"""Settings that do not follow from the model that fine-tuning starts from."""


@dataclass(frozen=True)
class Started:
    """A system at the beginning of fine-tuning, and how it reads texts."""

    config: Any
    system: nn.Module
    given: TextInput
    about: str
    """What it starts from."""
    facts: dict[str, Any]
    """What the checkpoint records of that."""
    preprocess: dict[str, Any]
    version: str = ""
    """Of the preprocessing of images that it starts from; empty from scratch."""


@dataclass
class Prepared:
    """Examples that a system can read, and what came of the others."""

    items: list[Any] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    """The place of each among all examples."""


def few_epochs(num_examples: int) -> TrainConfig:
    """Three epochs, the same for both; what is held out is read once, after the last step."""
    steps = epochs(3, num_examples, 32, at_least=300)
    return TrainConfig(
        steps=steps,
        batch_size=32,
        learning_rate=3e-4,
        schedule="linear",
        warmup_steps=steps // 10,
        weight_decay=0.01,
        validate_every=0,
        metric="accuracy",
        higher_is_better=True,
        checkpoint_every=500,
    )


def like(config: Any, other: Any) -> Any:
    """A config with the sizes of another, where both have them and the config does not call them its own."""
    common = {f.name for f in dataclasses.fields(config)} & {f.name for f in dataclasses.fields(other)}
    own = (*OWN, *getattr(config, "own", ()))
    return replace(config, **{name: getattr(other, name) for name in common.difference(own)})


def started(
    config: Any, model: str, names: Sequence[str], texts: Iterable[str], seed: int, *protocols: type
) -> Started:
    """The system of a config with classes of these names, if any, which starts from the checkpoint `model`.

    Its encoder, vocabulary and page are those of the checkpoint; without one, parameters are random and the
    vocabulary is that of `texts`. Raises `UsageError` for a checkpoint of another kind of encoder.
    """
    kind = "fine-tuning"
    shape = sketch(config, kind, *protocols)
    fits = hasattr(shape, "heads") and (not names or hasattr(config, "with_classes"))
    require(fits, kind, shape, "it has no new head")
    before = load_checkpoint(Path(model), "cpu", frozen_tensors) if model else None
    if before is None:
        made = shape.vocabulary
        size = getattr(config, "vocab_size", VOCABULARY)
        tokenizer = SubwordTokenizer.train(texts, made.kind, size, made.family)
        if hasattr(config, "with_tokenizer"):
            config = config.with_tokenizer(tokenizer)
    else:
        config, tokenizer = _adopted(config, before, model)
    if names:
        config = config.with_classes(tuple(names))
    torch.manual_seed(seed)
    system = config.build()
    about = "from scratch"
    if before is not None:
        _copy(system, before, model)
        about = f"from {before.record.get('recipe', type(before.system).__name__)}@{before.hash[:12]}"
    else:
        logger.info("no --model: %s is trained from scratch", type(system).__name__)
    given, preprocess = _reading(system, config, tokenizer, before)
    version = str(before.preprocess.get("version", "")) if before else ""
    return Started(
        config, system, given, about, {"start": before.hash if before else ""}, preprocess, version
    )


def prepared(
    prepare: Callable[[Any], tuple[Any, int]],
    examples: Sequence[Any],
    cuts: Cuts,
    text_of: Callable[[Any], str],
) -> Prepared:
    """The examples that the system can read; those that no font draws are left out, logged and counted.

    `prepare` gives an example as the system reads it and how many tokens that lost. Raises `UserError` where
    none is left.
    """
    found, reason = Prepared(), ""
    for place, example in enumerate(examples):
        try:
            item, lost = prepare(example)
        except UserError as error:
            reason = reason or str(error)
            continue
        cuts.add(text_of(example), lost)
        found.items.append(item)
        found.kept.append(place)
    if not found.items:
        raise UserError(reason or "there is no text to read")
    if lost := len(examples) - len(found.items):
        logger.warning("%s of %d left out: %s", counted(lost, "text"), len(examples), reason)
    return found


def _adopted(config: Any, before: Checkpoint, model: str) -> tuple[Any, SubwordTokenizer]:
    """The config with the sizes of a checkpoint, and its tokenizer."""
    tokenizer = None
    if before.tokenizer_json:
        tokenizer = load_tokenizer(before.tokenizer_json, model, before.preprocess.get("texts"))
    if not isinstance(tokenizer, SubwordTokenizer):
        raise UsageError(f"{model} has no vocabulary of subwords; give --model another checkpoint")
    return like(config, before.system.config), tokenizer


def _copy(system: nn.Module, before: Checkpoint, model: str) -> None:
    """Copy all parameters but those of the heads. Raises `UsageError` that names one that is not there."""
    theirs = before.system.state_dict()
    heads: tuple[str, ...] = getattr(system, "heads", ())
    adopted = getattr(system, "adopted", lambda _, tensor: tensor)
    for name, tensor in system.state_dict().items():
        there = adopted(name, theirs[name]) if name in theirs else None
        if there is not None and there.shape == tensor.shape:
            tensor.copy_(there)
        elif not name.startswith(heads):
            raise UsageError(
                f"{model} is a {type(before.system).__name__} without the {name} that "
                f"{type(system).__name__} needs; give --model a checkpoint of the same kind of encoder"
            )


def _reading(
    system: Any, config: Any, tokenizer: SubwordTokenizer, before: Checkpoint | None
) -> tuple[TextInput, dict[str, Any]]:
    """How the system reads texts, and what the checkpoint says of that."""
    if system.reads != "pixels" or isinstance(system, PairEncoder):
        said = {"texts": before.preprocess["texts"]} if before and "texts" in before.preprocess else {}
        return Tokens(tokenizer, config.max_length, getattr(config, "num_segments", 0)), said
    version = before.preprocess.get("version", "") if before else PAGE.version
    try:
        page = Page.of(str(version))
    except ValueError as error:
        raise UsageError(f"{error}; give --model a checkpoint that reads pages, such as a VLP") from error
    limit = getattr(config, "drawn_tokens", None) or config.max_length - 2
    most = getattr(config, "drawn_pages", 1)
    return Drawn(tokenizer, limit, page, divide_fonts(fonts())[0], most), {"version": page.version}
