"""Models that bring images and texts together, side by side: parameters, FLOPs, time by part, quality.

Kim et al. 2021, "ViLT", figure 1, measured anew: the milliseconds of the text's embedding, of the image's,
and of their fusion, for one image and one text, beside how well captions find their images, or how many
questions are answered right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from showtell.data.captions.entry import Entry
from showtell.data.captions.read import read_captions
from showtell.data.images.decode import ImageError
from showtell.datasets.captions import of_split
from showtell.datasets.image_questions import as_many, read_split
from showtell.errors import UsageError, UserError
from showtell.evaluation.costs import flops, image_batch, milliseconds
from showtell.evaluation.image_answers import image_answer_figures
from showtell.pairing import PairAnswerer, PairScorer
from showtell.pipelines.engines.rerank import joined
from showtell.pipelines.model import Model
from showtell.progress import report
from showtell.protocols import SharedSpace
from showtell.tasks.metrics import ranks, recall
from showtell.tasks.pair_scores import pair_scores
from showtell.wording import counted

CHUNK = 32
"""Images embedded at once."""


@dataclass(frozen=True)
class Comparison:
    """The figures of one model."""

    model: str
    system: str
    parameters: int
    """Without those of a frozen backbone."""
    backbone: str
    """Of the frozen image encoder before the system, if any."""
    flops: int
    """Of one image and one text: of matrix products and convolutions, those of a backbone included."""
    milliseconds: dict[str, float]
    """Of one image and one text: `text`, `image` and `fusion`."""
    images: int
    text_to_image: dict[str, float]
    """R@1, 5 and 10 of the first caption of each image among all images; empty for a model that answers."""
    image_to_text: dict[str, float]
    """The same of each image among those captions."""
    unreadable: int
    """Images that were left out."""
    questions: int = 0
    """That a model that answers was asked."""
    answers: dict[str, float] = field(default_factory=dict)
    """Their `accuracy` and its standard error; empty for a model that answers none."""


def compare(
    models: Iterable[Model],
    data: Path | str | None = None,
    split: str = "val",
    *,
    format: str | None = None,
    images: int = 100,
    questions: Path | str | None = None,
) -> list[Comparison]:
    """Every model on the first `images` captioned images of a split of `data`, or, if it answers questions
    about images, on all `questions` of that split.

    A model of pairs scores each text with each image: its time grows with the square of their number. The
    models may be an iterator that loads them: each is refused before the next is loaded.

    Raises `UsageError` for a model that does neither, and where what it needs is not given; `UserError` for a
    split with fewer than two captioned images, or without questions.
    """
    fit = list[Model]()
    for model in models:
        finds = _finds(model)
        if not finds and not model.can(PairAnswerer):
            raise UsageError(f"the model {model.name} compares no images with texts; leave it out")
        if finds and data is None:
            raise UsageError(f"the model {model.name} finds images by captions; give some with --data")
        if not finds and questions is None:
            raise UsageError(f"the model {model.name} answers questions; give some with --questions")
        fit.append(model)
    finders = any(map(_finds, fit))
    entries = _captioned(Path(data), split, format)[:images] if data is not None and finders else []
    return [
        _finding(model, entries) if _finds(model) else _answering(model, Path(questions or ""), split)
        for model in fit
    ]


def _finds(model: Model) -> bool:
    """Whether a model finds images by captions; another one answers questions."""
    return model.can(PairScorer) or model.can(SharedSpace)


def _captioned(data: Path, split: str, format: str | None) -> list[Entry]:
    """The captioned images of a split, two or more: each is the best of one, whatever finds it."""
    entries = of_split(data, read_captions(data, format), split)
    if len(entries) < 2:
        raise UserError(
            f"{data} has one captioned image in the split {split!r}, which any model finds; "
            "name another --split, or add images to this one"
        )
    return entries


def _finding(model: Model, entries: Sequence[Entry]) -> Comparison:
    """The figures of a model that finds images by captions."""
    pixels, captions, unreadable = list[np.ndarray](), list[str](), 0
    for entry in entries:
        try:
            pixels.append(model.read(entry.path))
        except ImageError:
            unreadable += 1
        else:
            captions.append(entry.captions[0])
    if len(pixels) < 2:
        read = "none" if not pixels else "one alone"
        raise UserError(
            f"{read} of {counted(len(entries), 'image')} can be read by {model.name}; to be told apart there "
            "must be two"
        )
    rows = [model.tokenizer.encode(text, model.max_length) for text in captions]
    scores = _scores(model, pixels, rows)
    own = range(len(rows))
    return Comparison(
        *_costs(model, pixels[:1], rows[0]),
        len(rows),
        _recalls(scores, own),
        _recalls(scores.T, own),
        unreadable,
    )


def _answering(model: Model, questions: Path, split: str) -> Comparison:
    """The figures of a model that answers questions."""
    figures = image_answer_figures(model, questions, split)
    first = as_many(read_split(questions, split), model.system.num_images)[0]
    pixels = [model.read(path) for path in first.images]
    ids = model.tokenizer.encode(first.text, model.max_length)
    known = {name: figures[name] for name in ("accuracy", "accuracy_se")}
    return Comparison(
        *_costs(model, pixels, ids),
        figures["images"],
        {},
        {},
        len(figures["unreadable"]),
        figures["questions"],
        known,
    )


def _costs(
    model: Model, pixels: Sequence[np.ndarray], ids: Sequence[int]
) -> tuple[str, str, int, str, int, dict[str, float]]:
    """What a model is, and what one text with its image, or images, costs it."""
    backbone = model.image_input.backbone if model.image_input else None
    return (
        model.name,
        type(model.system).__name__,
        sum(parameter.numel() for parameter in model.system.parameters()),
        backbone.name if backbone else "",
        flops(model, pixels, ids),
        milliseconds(model, pixels, ids),
    )


def _recalls(scores: np.ndarray, own: range) -> dict[str, float]:
    return {f"recall{k}": value for k, value in recall(ranks(scores, own)).items()}


@torch.inference_mode()
def _scores(model: Model, pixels: Sequence[np.ndarray], rows: Sequence[Sequence[int]]) -> np.ndarray:
    """How well each text matches each image, `[R B]`."""
    chunks = [pixels[first : first + CHUNK] for first in range(0, len(pixels), CHUNK)]
    if not model.can(PairScorer):
        images = torch.cat([model.encode(some).pooled for some in chunks])
        scores: np.ndarray = (model.vectors_of(rows) @ images.T).cpu().numpy()
        return scores
    embedded = joined([model.system.embed_images(image_batch(model, some)) for some in chunks])
    scored = list[Tensor]()
    for place, ids in enumerate(rows):
        scored.append(pair_scores(model.system, [ids], embedded)[0])
        report(f"scoring pairs by {model.name}", place + 1, len(rows))
    return torch.stack(scored).numpy()
