"""Tell images apart: by labels that were never trained, zero-shot, or by classes that a model was taught.

    classifier:    P(class | image) = softmax over classes of  its logits
    dual encoder:  P(label | image) = softmax over labels of  scale * cos(image, label)
    captioner:     P(label | image) = softmax over labels of  log (p(label | image) / p(label | grey))

The second is Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision",
section 3.1. The third is Bayes' rule with all labels equally likely: a captioner says some words of any
image, so what it says of a grey one is taken off, as Zhao et al. 2021, "Calibrate Before Use", take off
what a language model says of nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.data.images.decode import MAX_PIXELS
from showtell.data.tokenizers.words import WordTokenizer
from showtell.errors import UsageError
from showtell.pipelines.image_files import Given, Skip, read_batches
from showtell.pipelines.model import Model, load_model
from showtell.protocols import Captioner, Encoded, ImageClassifier, ImageEncoder, State, TextEncoder
from showtell.tasks.likelihood import likelihood

SCALE = 1 / 0.07
"""For a dual encoder that learned none, as VSE: where CLIP's begins. It does not change the labels' order."""


@dataclass(frozen=True)
class LabelScore:
    """A label and how probable it is among those asked."""

    label: str
    probability: float


@dataclass(frozen=True)
class Classified:
    """An image and its label."""

    path: str
    label: str
    """The most probable."""
    probability: float
    labels: list[LabelScore]
    """All, the most probable first; they add up to 1."""
    model: str
    """Name and hash of who said it."""


def classify(
    images: Given,
    labels: Sequence[str] | None = None,
    model: Model | None = None,
    *,
    template: str = "{}",
    max_pixels: int = MAX_PIXELS,
    skip: Skip | None = None,
) -> Iterator[Classified]:
    """Which of the labels fits each image file best, in the order given; without a model, the shipped one.

    Without labels, the classes that the model was taught. A label takes the place of `{}` in the template,
    such as "a photo of {}". A file that cannot be read is passed to `skip`; without `skip` it raises
    `ImageError`.

    Raises `UsageError` as `Classifier`, or without labels as `Taught`.

    Example::

        for image in classify("pets/", ["a dog", "a cat"]):
            print(image.path, image.label, image.probability)
    """
    model = model or load_model()
    classifier = Taught(model, template) if labels is None else Classifier(model, labels, template)
    for batch in read_batches(images, model, max_pixels, skip):
        if not batch:
            continue
        scores = classifier(model.encode([pixels for _, pixels in batch]))
        for (path, _), row in zip(batch, scores.tolist(), strict=True):
            found = [LabelScore(label, p) for label, p in zip(classifier.labels, row, strict=True)]
            found.sort(key=lambda one: -one.probability)
            yield Classified(str(path), found[0].label, found[0].probability, found, model.name)


class Taught:
    """A model that was taught classes."""

    def __init__(self, model: Model, template: str = "{}") -> None:
        """Raises `UsageError` for a model that was taught none or has no names for them, or a template."""
        if not model.can(ImageClassifier) or not model.system.class_names:
            raise UsageError(f"the model {model.name} knows no classes by name; name some with --labels")
        if template != "{}":
            raise UsageError("a template goes with labels; the classes that were taught need none")
        self.labels = list(model.system.class_names)
        self._model = model

    @torch.inference_mode()
    def __call__(self, encoded: Encoded) -> Tensor:
        """Probabilities of the classes `[B K]` for the images that the model encoded."""
        return self._model.system.classify(self._model.place(encoded)).softmax(1).float().cpu()


class Classifier:
    """A model and labels, ready for any number of images."""

    def __init__(self, model: Model, labels: Sequence[str], template: str = "{}") -> None:
        """Raises `UsageError`.

        For fewer than two labels, an empty one, one twice, a word that the model does not know, a template
        without `{}`, and a model that neither compares images with texts nor captions them.
        """
        self.labels = _checked(labels)
        if "{}" not in template:
            raise UsageError(f"the template {template!r} has no {{}} where the label goes")
        self._model = model
        self._dual = model.can(TextEncoder) and model.can(ImageEncoder)
        if not self._dual and not model.can(Captioner):
            if model.can(ImageClassifier):
                raise UsageError(
                    f"the model {model.name} knows the classes it was taught alone; name no labels"
                )
            model.require(TextEncoder, ImageEncoder)
        texts = [template.replace("{}", label) for label in self.labels]
        _require_words(model, texts)
        if self._dual:
            learned = getattr(model.system, "log_logit_scale", None)
            self._scale = SCALE if learned is None else float(learned.exp())
            self._vectors = F.normalize(model.encode_texts(texts), dim=-1)
        else:
            self._ids = [model.tokenizer.encode(text) for text in texts]
            empty_cache = model.prepare(np.full((8, 8, 3), 128, np.uint8))
            self._grey = self._logprobs(model.encode([empty_cache]))

    def __call__(self, encoded: Encoded) -> Tensor:
        """Probabilities of the labels `[B K]` for the images that the model encoded."""
        if self._dual:
            scores = self._scale * F.normalize(encoded.pooled, dim=-1) @ self._vectors.T
        else:
            scores = self._logprobs(encoded) - self._grey
        return scores.softmax(1)

    @torch.inference_mode()
    def _logprobs(self, encoded: Encoded) -> Tensor:
        """Log-probability of the labels, whole, `[B K]`, nats."""
        memory: State = self._model.system.prefill(self._model.place(encoded))
        scores = [likelihood(self._model.system, ids, memory) * (len(ids) - 1) for ids in self._ids]
        return torch.stack(scores, 1)


def _checked(labels: Sequence[str]) -> list[str]:
    named = [label.strip() for label in labels]
    if not all(named):
        raise UsageError(f"one of the labels {', '.join(map(repr, labels))} is empty")
    if twice := [label for label, count in Counter(map(str.casefold, named)).items() if count > 1]:
        raise UsageError(f"the label {twice[0]!r} is there twice")
    if len(named) < 2:
        raise UsageError("one label leaves nothing to choose between; name two or more")
    return named


def _require_words(model: Model, texts: Sequence[str]) -> None:
    tokenizer = model.tokenizer
    if not isinstance(tokenizer, WordTokenizer):
        return
    for text in texts:
        words = tokenizer.split(text)
        unknown = [word for word in words if tokenizer.id_of(word) is None]
        if unknown or not words:
            raise UsageError(
                f"the model {model.name} does not know {', '.join(unknown) or 'any word'} of {text!r}; "
                "say it in other words"
            )
