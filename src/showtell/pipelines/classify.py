"""Image classification: zero-shot by labels, or by the classes that a model was trained on.

    classifier:    P(class | image) = softmax over classes of  its logits
    dual encoder:  P(label | image) = softmax over labels of  scale * cos(image, label)
    captioner:     P(label | image) = softmax over labels of  log (p(label | image) / p(label | grey))

The second is Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision",
section 3.1. The third is Bayes' rule with all labels equally probable: a captioner finds some words probable
for any image, so what it finds for a grey one is subtracted, as Zhao et al. 2021, "Calibrate Before Use",
subtract what a language model predicts without content.
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
from showtell.datasets.cuts import Cuts, shortened
from showtell.errors import UsageError
from showtell.pipelines.image_files import ImageFiles, Skip, read_batches
from showtell.pipelines.model import Model
from showtell.pipelines.shipped import zero_shot_model
from showtell.pipelines.text_input import Text
from showtell.protocols import Captioner, Encoded, ImageClassifier, SharedSpace
from showtell.tasks.likelihood import likelihood

SCALE = 1 / 0.07
"""The `logit_scale` of a dual encoder that has none, such as VSE: CLIP's initial one. The order of the labels
does not depend on it."""


@dataclass(frozen=True)
class LabelScore:
    """A label with its probability among the given ones."""

    label: str
    probability: float


@dataclass(frozen=True)
class Classified:
    """An image with its label."""

    path: str
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
        return self.path


def classify(
    images: ImageFiles,
    labels: Sequence[str] | None = None,
    model: Model | None = None,
    *,
    template: str = "{}",
    max_pixels: int = MAX_PIXELS,
    skip: Skip | None = None,
    strict: bool = False,
) -> Iterator[Classified]:
    """The best label of each image file, in the order given; labels are told apart by the shipped dual
    encoder where its packages are here and no model is given, else by the shipped captioner.

    Without labels, the classes that the model was trained on. A label replaces `{}` in the template, such as
    "a photo of {}". A file that cannot be read is passed to `skip`; without `skip` it raises `ImageError`.

    Raises as `ZeroShot`, or without labels as `TrainedClasses`.

    Example::

        for image in classify("pets/", ["a dog", "a cat"]):
            print(image.path, image.label, image.probability)
    """
    if labels is not None:
        labels = checked_labels(labels, template)
    model = model or default_model(labels)
    classifier = (
        TrainedClasses(model, template) if labels is None else ZeroShot(model, labels, template, strict)
    )
    for batch in read_batches(images, model, max_pixels, skip):
        if not batch:
            continue
        probabilities = classifier(model.encode([pixels for _, pixels in batch]))
        for (path, _), row in zip(batch, probabilities.tolist(), strict=True):
            found = [LabelScore(label, p) for label, p in zip(classifier.labels, row, strict=True)]
            found.sort(key=lambda one: -one.probability)
            yield Classified(str(path), found[0].label, found[0].probability, found, model.name)


def default_model(labels: Sequence[str] | None, device: str = "auto") -> Model:
    """What tells labels apart where no model is named. Raises `UsageError` without labels."""
    if labels is None:
        raise UsageError("name labels with --labels, or with --model a model that was trained on classes")
    return zero_shot_model(device)


class TrainedClasses:
    """A classifier with the classes that it was trained on."""

    def __init__(self, model: Model, template: str = "{}") -> None:
        """Raises `UsageError` for a model without named classes, and for a template."""
        if not model.can(ImageClassifier) or not model.system.class_names:
            raise UsageError(f"the model {model.name} has no named classes; name labels with --labels")
        if template != "{}":
            raise UsageError("a template needs labels; trained classes take none")
        self.labels = list(model.system.class_names)
        self._model = model

    @torch.inference_mode()
    def __call__(self, encoded: Encoded) -> Tensor:
        """Probabilities of the classes, `[B K]`, for encoded images."""
        return self._model.system.classify(encoded.to(self._model.device)).softmax(1).float()


class ZeroShot:
    """A model and labels, for any number of images."""

    def __init__(
        self, model: Model, labels: Sequence[str], template: str = "{}", strict: bool = False
    ) -> None:
        """Labels, cut to the tokens that the model reads, or with `strict` refused by a `UserError`.

        Raises `UsageError` for fewer than two labels, an empty one, a duplicate, two that are the same to the
        model, a word that it does not know, a template without `{}`, and a model that is neither a dual
        encoder nor a captioner.
        """
        self.labels = checked_labels(labels, template)
        self._model = model
        self._dual = model.can(SharedSpace)
        if not self._dual and not model.can(Captioner):
            if model.can(ImageClassifier):
                raise UsageError(
                    f"the model {model.name} only knows the classes it was trained on; leave out --labels"
                )
            model.require(SharedSpace)
        texts = [_known(model, template.replace("{}", label)) for label in self.labels]
        cuts = Cuts(model.max_length, f"{model.name} reads", "label", strict)
        for text in texts:
            cuts.add(text.text, text.cut)
        _require_distinct(texts, cuts)
        cuts.log()
        self._ids = [text.ids for text in texts]
        if self._dual:
            self._scale = float(getattr(model.system, "logit_scale", SCALE))
            self._vectors = F.normalize(model.vectors_of(self._ids), dim=-1)
        else:
            grey = model.prepare(np.full((8, 8, 3), 128, np.uint8))
            self._grey = self._logprobs(model.encode([grey]))

    def __call__(self, encoded: Encoded) -> Tensor:
        """Probabilities of the labels, `[B K]`, for encoded images."""
        if self._dual:
            scores = self._scale * F.normalize(encoded.pooled, dim=-1) @ self._vectors.T
        else:
            scores = self._logprobs(encoded) - self._grey
        return scores.softmax(1)

    @torch.inference_mode()
    def _logprobs(self, encoded: Encoded) -> Tensor:
        """Log-probability of each label as a caption, `[B K]`, nats."""
        memory = self._model.system.prefill(encoded.to(self._model.device))
        scores = [likelihood(self._model.system, ids, memory) * (len(ids) - 1) for ids in self._ids]
        return torch.stack(scores, 1)


def checked_labels(labels: Sequence[str], template: str = "{}") -> list[str]:
    """Labels without the spaces around them.

    Raises `UsageError` for fewer than two, an empty one, a duplicate, and a template without `{}`.
    """
    if "{}" not in template:
        raise UsageError(f"the template {template!r} has no {{}} for the label")
    named = [label.strip() for label in labels]
    if not all(named):
        raise UsageError(f"label {named.index('') + 1} of {len(named)} is empty; is there a comma too many?")
    if twice := [label for label, count in Counter(map(str.casefold, named)).items() if count > 1]:
        raise UsageError(f"the label {twice[0]!r} is there twice")
    if len(named) < 2:
        raise UsageError("one label leaves nothing to choose from; name two or more")
    return named


def _require_distinct(texts: Sequence[Text], cuts: Cuts) -> None:
    """Raises `UsageError` for two labels of which the model reads the same tokens."""
    seen: dict[tuple[int, ...], Text] = {}
    for text in texts:
        other = seen.setdefault(tuple(text.ids), text)
        if other is not text:
            why = f"they differ after the {cuts.limit} tokens that {cuts.reader}"
            if not (text.cut or other.cut):
                why = "they are the same tokens to the model"
            names = f"{shortened(other.text)} and {shortened(text.text)}"
            raise UsageError(f"the labels {names} cannot be told apart: {why}; shorten or reword them")


def _known(model: Model, text: str) -> Text:
    found = model.read_text(text)
    if found.unknown or not found.known:
        unknown = ", ".join(found.unknown) or "any word"
        raise UsageError(f"the model {model.name} does not know {unknown} of {text[:40]!r}; use other words")
    return found
