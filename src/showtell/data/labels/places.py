"""The class and the split of each image of a data set, from the folders that it lies in.

    CLASS/IMAGE    train/CLASS/IMAGE    CLASS/train/IMAGE    train_CLASS/IMAGE    CLASS/IMAGE beside test/

Names of splits are not classes, except where they stand among other classes: `train/` beside `bus/`, `car/`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from showtell.data.splits import sibling_splits, split_in
from showtell.errors import UserError

Folders = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where an image belongs."""

    label: str
    split: str | None
    """`train`, `val` or `test`; None where no folder says."""


@dataclass(frozen=True)
class Places:
    """All images of a data set."""

    of_name: dict[str, Place]
    unlabelled: Counter[str]
    """Images without a class, counted by folder; `.` is the data set itself."""
    beside: Counter[str]
    """Images in folders beside those of splits, counted by folder: nothing says what they are for."""
    classes_like_splits: tuple[str, ...]
    """Classes whose names hold that of a split."""


def places(names: Iterable[str]) -> Places:
    """The places of images, by their names in the data set.

    Raises `UserError` for an image in two splits.

    >>> places(["a/seg_train/cat/1.png", "a/seg_test/cat/1.png"]).of_name["a/seg_test/cat/1.png"]
    Place(label='cat', split='test')
    """
    parts = _without_wrapper({name: PurePosixPath(name).parts[:-1] for name in names})
    tree = _Tree(parts.values())
    found, unlabelled, beside = dict[str, Place](), Counter[str](), Counter[str]()
    for name, folders in sorted(parts.items(), key=lambda item: tree.disagree(item[1])):
        splits, rest = tree.read(folders)
        if tree.disagree(folders):
            # These come last: test/train/ is a class if train/train/ beside train/bus/ is one.
            splits, rest = tree.read(folders, {place.label for place in found.values()})
        if len(set(splits.values())) > 1:
            raise UserError(f"{name} is in two splits, {' and '.join(splits)}; rename one of the folders")
        split = next(iter(splits.values()), None)
        rest = rest[1:] if len(rest) > 1 and rest[0] in tree.wrappers else rest
        if split is None and tree.top_is_splits and not tree.has_classes_at_top:
            beside[folders[0] if folders else "."] += 1
        elif not rest:
            unlabelled["/".join(folders) or "."] += 1
        else:
            found[name] = Place(rest[0], split)
    labels = sorted({place.label for place in found.values()})
    return Places(found, unlabelled, beside, tuple(filter(split_in, labels)))


class _Tree:
    """The folders of a data set: which of them are splits."""

    def __init__(self, paths: Iterable[Folders]) -> None:
        self._children: dict[Folders, set[str]] = defaultdict(set)
        self._direct: set[Folders] = set()
        for path in dict.fromkeys(paths):
            self._direct.add(path)
            for depth, name in enumerate(path):
                self._children[path[:depth]].add(name)
        self._named = {
            parent: self._splits_among(parent, sorted(names)) for parent, names in self._children.items()
        }
        top = self._named.get((), {})
        inside = [self._children.get((name,), set()) for name in top]
        others = self._children.get((), set()) - {*top}
        self.top_is_splits = bool(top)
        self.has_classes_at_top = bool(others) and (
            len({split for split, _ in top.values()}) == 1 and "train" not in {s for s, _ in top.values()}
        )
        """Whether the folders beside a split are classes: `cat/`, `dog/` and `test/`."""
        same = set.intersection(*inside) if inside else set()
        self.wrappers = same if all(len(names) == 1 for names in inside) else set()
        """A folder around the classes in every split: `train/images/cat/`, `test/images/cat/`."""

    def disagree(self, folders: Folders) -> bool:
        """Whether the folders of an image name two splits."""
        return len({*self.read(folders)[0].values()}) > 1

    def read(self, folders: Folders, classes: Collection[str] = ()) -> tuple[dict[str, str], Folders]:
        """The folders of an image that are splits, and the others; a split's name may hold a class."""
        splits, rest, inside = dict[str, str](), list[str](), list[str]()
        for depth, name in enumerate(folders):
            parent = folders[:depth]
            here = self._named[parent]
            if splits and self._children[parent] == {folders[depth - 1]} - {*classes}:
                continue  # seg_train/seg_train/, as Kaggle packs
            if name not in here or (splits and (name in classes or {*here} < self._children[parent])):
                rest.append(name)  # train/train/ beside train/bus/ is a class
            else:
                splits[name], words = here[name]
                if len({others for _, others in here.values()}) > 1 and words:
                    inside.append(words)  # cat_train and dog_train
        return splits, tuple(rest or inside)

    def _splits_among(self, parent: Folders, names: list[str]) -> Mapping[str, tuple[str, str]]:
        """The splits among the folders of one folder; none where they are classes."""
        found = sibling_splits(names)
        if len(found) == len(names) or len({split for split, _ in found.values()}) > 1:
            return found
        if {split for split, _ in found.values()} != {"train"}:
            return found
        # `train/` alone beside others is a class (of vehicles), unless it holds classes and they none or the
        # same (`holdout/`).
        inside = {name: self._children.get((*parent, name), set()) for name in names}
        holds = all(len(inside[name]) > 1 for name in found)
        flat = not any(inside[name] for name in names if name not in found)
        alike = len(set.intersection(*inside.values())) > 1
        return found if holds and (flat or alike) else {}


def _without_wrapper(parts: dict[str, Folders]) -> dict[str, Folders]:
    """The folders of each image below those that enclose all images."""
    while parts and all(len(folders) > 1 for folders in parts.values()):
        if len({folders[0] for folders in parts.values()}) > 1:
            break
        parts = {name: folders[1:] for name, folders in parts.items()}
    return parts
