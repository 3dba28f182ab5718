"""The split of an item, read from wherever a person wrote it: a column, the name of a file, or a folder.

`train`, `val` and `test` have many spellings. In a column one of them stands alone; a file or folder may say
more (`captions_train2014.json`, `seg_train/`). A folder's name is judged beside its siblings, because
`bullet_train/` may be a class: it is a split if it says nothing else (`val2017`, `test_images`), or if a
sibling says the same of another split (`seg_train`, `seg_test`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

COLUMNS = ("split", "set", "subset", "partition")
"""Headings of the column that names a row's split."""
_SPLITS = {
    "train": ("train", "training", "restval"),  # restval: the rest of COCO's val images in Karpathy's splits
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {alias: name for name, aliases in _SPLITS.items() for alias in aliases}
_PLAIN = (
    "set sets split splits data dataset image images img imgs jpg jpeg png photo photos pic pics "
    "caption captions annotation annotations label labels labelled text texts list file files folder part "
    "metadata mini full all v"
)
"""Words beside that of a split that say nothing more."""
_GLUED = re.compile(rf"^({'|'.join(sorted(_SPLIT_OF, key=len, reverse=True))})(set|data|images?|imgs?)$")


def split_name(name: str) -> str | None:
    """`train`, `val` or `test` for any common name of a split, else None.

    >>> split_name("Validation"), split_name("restval"), split_name("holiday")
    ('val', 'train', None)
    """
    return _SPLIT_OF.get(name.strip().lower())


def split_of_row(values: Mapping[str, object]) -> str | None:
    """The split that a row of a table or a JSON record names, in the first column that could.

    >>> split_of_row({"text": "a dog", "Split": "dev"}), split_of_row({"split": "holiday"})
    ('val', None)
    """
    named = {key.strip().lower(): value for key, value in values.items()}
    return split_name(str(next((named[key] for key in COLUMNS if key in named), "")))


def split_in(name: str) -> tuple[str, str] | None:
    """The one split that the words of a name hold, and its other words; None for none or several splits.

    >>> split_in("seg_train"), split_in("testSet"), split_in("captions_val2014")
    (('train', 'seg'), ('test', ''), ('val', ''))
    >>> split_in("trainstation"), split_in("train_val")
    (None, None)
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    splits, others = set(), []
    for word in re.findall(r"[^\W\d_]+", spaced.lower()):
        glued = _GLUED.match(word)
        if split := _SPLIT_OF.get(glued[1] if glued else word):
            splits.add(split)
        elif word not in _PLAIN.split():
            others.append(word)
    return (splits.pop(), " ".join(others)) if len(splits) == 1 else None


def sibling_splits(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Those of sibling names that are splits, each with its split and its other words.

    >>> sibling_splits(["seg_train", "seg_test", "bullet_train", "val2017"])
    {'seg_train': ('train', 'seg'), 'seg_test': ('test', 'seg'), 'val2017': ('val', '')}
    """
    found = {name: said for name in names if (said := split_in(name))}
    of_rest: dict[str, set[str]] = defaultdict(set)
    for split, rest in found.values():
        of_rest[rest].add(split)
    return {name: said for name, said in found.items() if not said[1] or len(of_rest[said[1]]) > 1}


def split_of_file(file: PurePath, root: PurePath) -> str | None:
    """The split that the name of a file says, or else a folder between it and `root`.

    >>> split_of_file(PurePath("data/my_train.csv"), PurePath("data"))
    'train'
    >>> split_of_file(PurePath("data/validation/captions.csv"), PurePath("data"))
    'val'
    """
    if said := split_in(file.stem):
        return said[0]
    folders = file.relative_to(root).parts[:-1] if file.is_relative_to(root) else ()
    return next((split for folder in reversed(folders) if (split := split_name(folder))), None)


def folder_splits(folders: Iterable[Sequence[str]]) -> Mapping[tuple[str, ...], dict[str, str]]:
    """For each path of folders those that are splits, outermost first; most often one or none.

    >>> folder_splits([("train", "cat"), ("test", "cat"), ("extra",)])
    {('train', 'cat'): {'train': 'train'}, ('test', 'cat'): {'test': 'test'}, ('extra',): {}}
    """
    paths = dict.fromkeys(map(tuple, folders))
    children: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for path in paths:
        for depth, name in enumerate(path):
            children[path[:depth]].add(name)
    known = {parent: sibling_splits(sorted(names)) for parent, names in children.items()}

    def named(path: tuple[str, ...]) -> dict[str, str]:
        beside = [known[path[:depth]] for depth in range(len(path))]
        return {name: here[name][0] for name, here in zip(path, beside, strict=True) if name in here}

    return {path: named(path) for path in paths}
