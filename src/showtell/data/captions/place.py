"""The splits of captioned images by the folders that they lie in."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from showtell.data.captions.entry import Entry, Problem, Source
from showtell.data.splits import folder_splits, split_name

_POOL = re.compile(r"(19|20)\d\d$")
"""A folder named after a year, such as `val2014`: Karpathy's splits, for one, divide it anew."""


def with_folder_splits(source: Source, path: Path) -> Source:
    """The source at `path` with a split for each image whose row names none, where a folder above it does.

    A row and a folder that differ, or two such folders, are a problem. Only folders inside the data count.
    """
    root = path if path.is_dir() else path.parent
    parts = {entry.path: _folders(entry.path, root) for entry in source.entries}
    named = folder_splits(parts.values())
    entries, problems, used = [], list(source.problems), Counter[str]()
    for entry in source.entries:
        folders = named[parts[entry.path]]
        written = split_name(entry.split or "")
        if not folders or (written is None and entry.split):
            entries.append(entry)
            continue
        if written is None:
            entry = replace(entry, split=next(iter(folders.values())))
            used[next(iter(folders))] += 1
        elif not all(map(_POOL.search, folders)):
            problems += _conflict(entry, {f"its row or file says {written!r}": written, **_said(folders)})
            entries.append(entry)
            continue
        problems += _conflict(entry, _said(folders)) if len(folders) > 1 else []
        entries.append(entry)
    return replace(source, entries=entries, problems=problems, by_folder=dict(used))


def _folders(image: Path, root: Path) -> tuple[str, ...]:
    """The folders of an image below the data's folder, or the one beside it that a caption file reaches."""
    for above in (root, root.parent):
        if image.is_relative_to(above):
            return image.relative_to(above).parts[:-1]
    return ()


def _said(folders: dict[str, str]) -> dict[str, str]:
    return {f"its folder {name} says {split!r}": split for name, split in folders.items()}


def _conflict(entry: Entry, said: dict[str, str]) -> list[Problem]:
    """What is wrong with an image of two splits; nothing where all agree."""
    if len(set(said.values())) < 2:
        return []
    fix = "move the image, or correct the other"
    return [Problem(entry.path, None, f"is in two splits: {', '.join(said)}", fix, two_splits=True)]
