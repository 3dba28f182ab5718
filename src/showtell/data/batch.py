"""One batch of images and texts, with the targets to predict: what every system reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from showtell.data.named import Tensors

Rows = slice | Tensor
"""Consecutive rows, or a mask `bool [R]` of them."""


class ImageBatch(Tensors):
    """`B` images, in one or more of the forms that systems read (`system.reads`)."""

    def __init__(
        self,
        *,
        pixels: Tensor | None = None,
        features: Tensor | None = None,
        views: Tensor | None = None,
        originals: Tensor | None = None,
        sizes: Tensor | None = None,
        boxes: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> None:
        of_features = {"boxes": boxes, "keep": keep}
        super().__init__(
            pixels=pixels, features=features, views=views, originals=originals, sizes=sizes, **of_features
        )

    @property
    def pixels(self) -> Tensor:
        """`uint8 [B 3 H W]`, preprocessed but not normalised."""
        return self["pixels"]

    @property
    def features(self) -> Tensor:
        """`float32 [B N D]`, from a frozen backbone."""
        return self["features"]

    @property
    def views(self) -> Tensor:
        """`float32 [V B 3 S S]` in 0..1, `V` augmented views of each image, not normalised."""
        return self["views"]

    @property
    def originals(self) -> Tensor:
        """`uint8 [B 3 H W]`, as `pixels` would be if nothing in them were masked."""
        return self["originals"]

    @property
    def sizes(self) -> Tensor | None:
        """`int64 [B 2]`, height and width of each image in `pixels`; below and on the right is padding."""
        return self.tensors.get("sizes")

    @property
    def boxes(self) -> Tensor | None:
        """`float32 [B N 4]`, left, top, right and bottom of each of `features`, in 0..1; None for a grid."""
        return self.tensors.get("boxes")

    @property
    def keep(self) -> Tensor | None:
        """`bool [B N]`, True for one of `features` that is real, False for padding."""
        return self.tensors.get("keep")

    def __len__(self) -> int:
        return next((len(t[0]) if n == "views" else len(t) for n, t in self.tensors.items()), 0)

    def part(self, rows: slice) -> ImageBatch:
        """Consecutive images."""
        return ImageBatch(**{n: t[:, rows] if n == "views" else t[rows] for n, t in self.tensors.items()})

    def to(self, device: torch.device | str) -> ImageBatch:
        """The same images on another device."""
        return ImageBatch(**{n: t.to(device) for n, t in self.tensors.items()})


@dataclass(frozen=True)
class TextBatch:
    """`R` rows of at most `L` tokens: one text per row, or several packed into it."""

    ids: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.int64))
    """`int64 [R L]`, with start and end tokens."""
    keep: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.bool))
    """`bool [R L]`, True for a real token, False for padding."""
    owner: Tensor | None = None
    """`int64 [R]`, the index of the image that each text describes, or of the prompt that it continues."""
    segments: Tensor | None = None
    """`int64 [R L]`, 0 in a first sentence, 1 in a second."""
    sequences: Tensor | None = None
    """`int64 [R L]`, the index of the text in its row that a token belongs to, where texts are packed."""
    positions: Tensor | None = None
    """`int64 [R L]`, a token's position in its own text, from 0; None where each row is one text."""
    groups: Tensor | None = None
    """`int64 [R L]`, the index of the word that a token is a piece of, from 0 in each row."""
    features: Tensor | None = None
    """`float32 [R D]`, each text's vector from a frozen encoder, computed once for all epochs."""
    answers: Tensor | None = None
    """`bool [R L]`, True for a token of an answer, which alone is predicted; None: all tokens are."""

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, rows: Rows) -> TextBatch:
        """Some of the rows; `owner` still counts all images."""
        return self._each(lambda tensor: tensor[rows])

    def to(self, device: torch.device | str) -> TextBatch:
        """The same texts on another device."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> TextBatch:
        return replace(self, **{name: change(t) for name, t in vars(self).items() if t is not None})


class Targets(Tensors):
    """What a system is trained to predict beyond the images and texts themselves."""

    def __init__(
        self,
        *,
        labels: Tensor | None = None,
        classes: Tensor | None = None,
        follows: Tensor | None = None,
        masked: Tensor | None = None,
        boxes: Tensor | None = None,
        letters: Tensor | None = None,
        letter_boxes: Tensor | None = None,
        tags: Tensor | None = None,
        spans: Tensor | None = None,
        scores: Tensor | None = None,
    ) -> None:
        of_texts = {"classes": classes, "follows": follows, "masked": masked, "scores": scores}
        # Of the characters that are drawn, row by row: the token of each `[R C]`, its box `[R C 4]` or NaN.
        of_texts |= {"letters": letters, "letter_boxes": letter_boxes}
        super().__init__(labels=labels, boxes=boxes, tags=tags, spans=spans, **of_texts)

    @property
    def labels(self) -> Tensor:
        """`int64 [B]`, the class of each image."""
        return self["labels"]

    @property
    def classes(self) -> Tensor:
        """`int64 [R]`, the class of each text."""
        return self["classes"]

    @property
    def scores(self) -> Tensor:
        """`float32 [R K]`, how right each of `K` answers to a text is, in 0..1."""
        return self["scores"]

    @property
    def follows(self) -> Tensor:
        """`bool`, True where the second sentence follows the first: one per text, row by row."""
        return self["follows"]

    @property
    def masked(self) -> Tensor:
        """`bool [R L]`, True for a token that is drawn as `[MASK]` in its image."""
        return self["masked"]

    @property
    def boxes(self) -> Tensor:
        """`float32 [R L 4]`: left, top, right, bottom of each token in its image, in pixels, or NaN."""
        return self["boxes"]

    @property
    def tags(self) -> Tensor:
        """`int64 [R L]`, the tag of each token; -1 for one that has none."""
        return self["tags"]

    @property
    def spans(self) -> Tensor:
        """`int64 [R 2]`, the first and the last token of the answer in each row; 0 where it has none."""
        return self["spans"]

    def part(self, images: slice, texts: Rows) -> Targets:
        """The targets of some of the images and of some of the texts."""
        return Targets(**{n: t[images if n == "labels" else texts] for n, t in self.tensors.items()})

    def to(self, device: torch.device | str) -> Targets:
        """The same targets on another device."""
        return Targets(**{n: t.to(device) for n, t in self.tensors.items()})


@dataclass(frozen=True)
class Batch:
    """`B` images, `R` rows of text and the targets; a group that a source does not have is empty.

    `prompts` are what several texts begin with, read once; each text names its own by `owner`.

    >>> batch = Batch(texts=TextBatch(*pad([[5, 6, 7], [8]])))
    >>> len(batch), len(batch.images), batch.texts.keep.sum(1).tolist()
    (2, 0, [3, 1])
    """

    images: ImageBatch = field(default_factory=ImageBatch)
    texts: TextBatch = field(default_factory=TextBatch)
    targets: Targets = field(default_factory=Targets)
    prompts: TextBatch = field(default_factory=TextBatch)

    def __len__(self) -> int:
        """Images, or texts where there are no images."""
        return len(self.images) or len(self.texts)

    def part(self, index: int, parts: int) -> Batch:
        """Part `index` of `parts` about equal ones: consecutive images with their texts, or texts alone.

        Raises `ValueError` when there are fewer items than parts, or texts share prompts.
        """
        if len(self.prompts):
            raise ValueError("a batch whose texts share prompts cannot be divided")
        if len(self) < parts:
            raise ValueError(f"a batch of {len(self)} cannot be divided into {parts} parts")
        first, last = (len(self) * i // parts for i in (index, index + 1))
        images, owner = slice(first, last), self.texts.owner
        rows: Rows = images if owner is None else (owner >= first) & (owner < last)
        texts = self.texts.part(rows)
        if texts.owner is not None:
            texts = replace(texts, owner=texts.owner - first)
        follows = rows
        if self.texts.positions is not None:  # packed: one target per text, in its row
            row = ((self.texts.positions == 0) & self.texts.keep).nonzero()[:, 0]
            follows = (row >= first) & (row < last)
        return Batch(self.images.part(images), texts, self.targets.part(images, follows))

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(*(part.to(device) for part in vars(self).values()))


def pad(sequences: Sequence[Sequence[int]], padding: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of different lengths as `ids [R L]` and `keep [R L]`, L the longest of them.

    >>> ids, keep = pad([[5, 6, 7], [8]])
    >>> ids.tolist(), keep.tolist()
    ([[5, 6, 7], [8, 0, 0]], [[True, True, True], [True, False, False]])
    """
    length = max(map(len, sequences), default=0)
    ids = torch.full((len(sequences), length), padding, dtype=torch.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.as_tensor(sequence, dtype=torch.int64)
    lengths = torch.tensor([len(s) for s in sequences], dtype=torch.int64)
    return ids, torch.arange(length)[None] < lengths[:, None]
