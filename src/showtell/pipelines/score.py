"""What an explanation explains: one number that a model gives an image, by what the model can do.

image classifier   log P(class | image)
captioner          log p(caption | image), or log p(its word | image, the words before)
reader             the same of the text that it reads
dual encoder       cos(image, text)
image encoder      cos(image, the vector of the explained image itself)
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.data.tokenizers.words import WordTokenizer
from showtell.datasets.cuts import Cuts
from showtell.errors import UsageError, UserError
from showtell.pipelines.model import Model
from showtell.pipelines.text_input import Text
from showtell.protocols import Captioner, Encoded, ImageClassifier, ImageEncoder, SharedSpace
from showtell.tasks.decoding import beam_search
from showtell.tasks.reading import TextReader
from showtell.tasks.words import ALIKE
from showtell.wording import counted, lacks

logger = logging.getLogger(__name__)

SAID = 64
"""Tokens of what a model says that sets no limit, with start and end."""


@dataclass(frozen=True)
class Scored:
    """A score with its name, and what it reads of a caption."""

    name: str
    """For people: `log P(cat)`, in nats unless it is a cosine."""
    target: str | None
    """The class, caption, word or text; None where the image is compared with itself."""
    score: Callable[[Tensor], Tensor]
    """Prepared images `float32 [B 3 S S]` in 0..1 to `[B]`, on the model's device, with gradients."""
    caption: Text | None = None
    """The caption that a captioner scores."""
    read: tuple[int, ...] = ()
    """The tokens of `caption` that are scored, counted from the first predicted one."""


def score_of(model: Model, prepared: np.ndarray, target: str | None = None) -> Scored:
    """The score of a target for images like `prepared`, `uint8 [S S 3]`, the one to be explained.

    Without a target: the most probable class, the best caption, or the similarity of the image to itself.
    A captioner's target is a word of its best caption, or else a caption.

    Raises `UsageError` for a model without an image encoder, and for a target that it does not know;
    `UserError` where it writes nothing of the image, and there is no target.
    """
    model.require(ImageEncoder)
    if target is not None and not target.strip():
        raise UsageError("the target is empty; name a class, a word or a text, or leave it out")
    if model.can(ImageClassifier) and model.system.class_names:
        return _class(model, prepared, target)
    if model.can(Captioner) or model.can(TextReader):
        return _caption(model, prepared, target)
    if target is None and not model.can(ImageClassifier):
        return _itself(model, prepared)
    if model.can(SharedSpace):
        return _similarity(model, _known(model, target or ""))
    if model.can(ImageClassifier):
        return _class(model, prepared, target)
    raise UsageError(
        f"the model {model.name} takes no target: it {lacks(ImageClassifier)}; leave out the target, "
        "or choose another with --model"
    )


def _class(model: Model, prepared: np.ndarray, target: str | None) -> Scored:
    def logprobs(pixels: Tensor) -> Tensor:
        return model.system.classify(encode(model, pixels)).float().log_softmax(1)

    with torch.no_grad():
        probable = logprobs(floats(prepared, model.device))[0]
    numbers = [str(index) for index in range(len(probable))]
    names = list(model.system.class_names) or numbers
    if target is None:
        index = int(probable.argmax())
    else:
        folded = [name.casefold() for name in names]
        if target.casefold() not in folded:
            near = difflib.get_close_matches(target.casefold(), folded, 1, 0.0)[0]
            unnamed = "" if model.system.class_names else ", which have numbers and no names"
            raise UsageError(
                f"the model {model.name} has no class {target!r}; did you mean "
                f"{names[folded.index(near)]!r}? It has {counted(len(names), 'class')}{unnamed}"
            )
        index = folded.index(target.casefold())
    return Scored(f"log P({names[index]})", names[index], lambda pixels: logprobs(pixels)[:, index])


def _caption(model: Model, prepared: np.ndarray, target: str | None) -> Scored:
    said = _said(model, prepared)
    if target is None and not said.strip():
        verb = "reads no text" if model.can(TextReader) else "says nothing"
        raise UserError(
            f"the model {model.name} {verb} in this image, which leaves nothing to explain; name a text with "
            "--target to explain why it is improbable here"
        )
    text = model.read_text(said)
    every = tuple(range(len(text.ids) - 1))
    name, read = f"log p({said})", every
    if target is not None:
        read = tuple(i for i in _places(model, said, target) if i in every)
        name = f"log p({target}) in the caption {said!r}"
        if not read:
            text = _known(model, target)
            if " " not in target.strip():
                logger.warning(
                    "%r is not in the caption %r: the map explains how probable it is as a whole caption",
                    *(target, said),
                )
            said = target
            name, read = f"log p({said})", tuple(range(len(text.ids) - 1))
    ids = torch.tensor(text.ids, device=model.device)
    chosen = torch.tensor(read, device=model.device)

    def score(pixels: Tensor) -> Tensor:
        memory = model.system.prefill(encode(model, pixels))
        rows = ids.expand(len(pixels), -1)
        owner = torch.arange(len(pixels), device=ids.device)
        logits = model.system.teacher_forced_logits(memory, owner, rows, torch.ones_like(rows).bool())
        logprobs = logits.float().log_softmax(-1).gather(1, rows[:, 1:].reshape(-1, 1))
        return logprobs.view(len(pixels), -1)[:, chosen].sum(1)

    return Scored(name, target if target is not None else said, score, text, read)


def _said(model: Model, prepared: np.ndarray) -> str:
    """What a captioner says of an image, or a reader reads there, token by token."""
    encoded = model.encode([prepared])
    tokenizer = model.tokenizer
    if isinstance(tokenizer, WordTokenizer):
        return model.best_captions(encoded)[0]
    with torch.inference_mode():
        ((best,),) = beam_search(
            model.system,
            model.system.prefill(encoded),
            start=tokenizer.start,
            end=tokenizer.end,
            beam=1,
            max_tokens=(model.max_length or SAID) - 2,
            banned=tokenizer.never_generated(model.system.config.vocab_size),
        )
    return tokenizer.decode(best.ids)


def _places(model: Model, caption: str, target: str) -> range:
    """The tokens of a caption that are the words of `target`, where these stand in it; else none."""
    pieces = model.tokenizer.pieces(caption)
    wanted = target.strip().casefold()
    for first in range(len(pieces.ids)):
        for last in range(first + 1, len(pieces.ids) + 1):
            words = {*pieces.groups[first:last]}
            around = {*pieces.groups[max(first - 1, 0) : first], *pieces.groups[last : last + 1]}
            span = caption[pieces.offsets[first][0] : pieces.offsets[last - 1][1]]
            if span.strip().casefold() == wanted and not words & around:
                return range(first, last)
    return range(0)


def _similarity(model: Model, text: Text) -> Scored:
    vector = F.normalize(model.vectors_of([text.ids]), dim=-1)[0]
    return Scored(f"cos(image, {text.text})", text.text, lambda pixels: _unit(model, pixels) @ vector)


def _itself(model: Model, prepared: np.ndarray) -> Scored:
    with torch.no_grad():
        vector = _unit(model, floats(prepared, model.device))[0]
    return Scored("cos(image, itself)", None, lambda pixels: _unit(model, pixels) @ vector)


def _unit(model: Model, pixels: Tensor) -> Tensor:
    """Vectors of length 1, `[B D]`."""
    if model.can(SharedSpace) and model.image_input is not None:
        vectors = model.system.image_vectors(model.image_input.differentiable(pixels))
    else:
        vectors = encode(model, pixels).pooled
    return F.normalize(vectors.float(), dim=-1)


def encode(model: Model, pixels: Tensor) -> Encoded:
    """Prepared images `float32 [B 3 S S]` in 0..1, with gradients of the pixels."""
    assert model.image_input is not None
    encoded = model.system.encode_images(model.image_input.differentiable(pixels))
    return Encoded(encoded.tokens.float(), encoded.pooled.float(), encoded.keep)


def floats(prepared: np.ndarray, device: str) -> Tensor:
    """A prepared image `uint8 [S S 3]` as `float32 [1 3 S S]` in 0..1."""
    return torch.from_numpy(prepared).to(device).permute(2, 0, 1)[None].float() / 255


def _known(model: Model, target: str) -> Text:
    """The target as the model reads it. Raises `UsageError` with the nearest words for unknown ones."""
    text = model.read_text(target)
    if text.unknown or not text.known:
        word = text.unknown[0] if text.unknown else target
        near = difflib.get_close_matches(word.casefold(), model.words.words, 3, ALIKE)
        hint = f"did you mean {', '.join(near)}?" if near else "use other words"
        where = "" if word == target else f" of the target {target!r}"
        raise UsageError(f"the model {model.name} does not know {word!r}{where}; {hint}")
    cuts = Cuts(model.max_length, f"{model.name} reads", "target")
    cuts.add(text.text, text.cut)
    cuts.log()
    return text
