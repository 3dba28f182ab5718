"""Texts, or pairs of them, classified by a model that reads them as tokens, or as images that are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from showtell.data.images.page import Page
from showtell.data.images.render.fonts import fonts
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.cuts import Cuts
from showtell.datasets.rendered_texts import divide_fonts
from showtell.datasets.text_inputs import Drawn, TextInput, Tokens
from showtell.errors import UsageError
from showtell.pairing import PairEncoder
from showtell.pipelines.classify import LabelScore
from showtell.pipelines.model import Model
from showtell.tasks.text_classes import EncodedClassifier, class_logits, mean_logits

BATCH = 32
"""Texts per forward pass."""


@dataclass(frozen=True)
class ClassifiedText:
    """A text with its label."""

    text: str
    label: str
    """The most probable."""
    probability: float
    labels: list[LabelScore]
    """All, the most probable first; the probabilities add up to 1."""
    model: str
    """Name of the model."""

    @property
    def name(self) -> str:
        """What was classified."""
        return self.text


def classify_texts(texts: Iterable[str], model: Model, *, strict: bool = False) -> Iterator[ClassifiedText]:
    """The best of the model's classes for each text, in the order given.

    Two texts with a tab between them are a pair, such as a premise and its hypothesis. A text that is drawn
    may fill several pages, whose logits are averaged. Texts that are too long are cut, with a warning, or
    with `strict` refused by a `UserError`; so is a text that no font draws.
    Raises `UsageError` for a model that does not classify texts.

    Example::

        for one in classify_texts(["What a film!"], load_model("run")):
            print(one.text, one.label, one.probability)
    """
    given: Any = text_input(model)
    if not isinstance(model.system, EncodedClassifier) or not model.system.class_names:
        raise UsageError(
            f"the model {model.name} has no classes of texts; train one with showtell train classify_bert"
        )
    names = model.system.class_names
    cuts = Cuts(given.longest, f"{model.name} reads", strict=strict)
    waiting = iter(texts)
    while some := list(islice(waiting, BATCH)):
        items: list[Any] = []
        for text in some:
            item, lost = given.prepare(tuple(text.split("\t", 1)))
            cuts.add(text, lost)
            items.append(item)
        pages = [(place, page) for place, item in enumerate(items) for page in given.pages(item)]
        # One at a time: how a text is drawn depends on no other.
        batches = (given.batch([page], (0,)).to(model.device) for _, page in pages)
        logits = mean_logits(class_logits(model.system, batches), [place for place, _ in pages])
        for text, row in zip(some, logits.softmax(1).tolist(), strict=True):
            found = [LabelScore(label, p) for label, p in zip(names, row, strict=True)]
            found.sort(key=lambda one: -one.probability)
            yield ClassifiedText(text, found[0].label, found[0].probability, found, model.name)
    cuts.log()


def text_input(model: Model) -> TextInput:
    """How a model reads texts. Raises `UsageError` for one that reads images of other things alone."""
    if not isinstance(model.vocabulary, SubwordTokenizer):
        raise UsageError(f"the model {model.name} reads no texts of subwords; choose another with --model")
    config = model.system.config
    if model.image_input is None or model.can(PairEncoder):
        return Tokens(model.vocabulary, config.max_length, getattr(config, "num_segments", 0))
    page = model.image_input.prepare
    if not isinstance(page, Page):
        raise UsageError(f"the model {model.name} does not read texts on pages; choose another with --model")
    limit = getattr(config, "drawn_tokens", None) or config.max_length - 2
    most = getattr(config, "drawn_pages", 1)
    return Drawn(model.vocabulary, limit, page, divide_fonts(fonts())[0], most)
