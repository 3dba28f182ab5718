"""Finds the image that a caption file names."""

from __future__ import annotations

import os
import unicodedata
from functools import cached_property
from pathlib import Path, PurePath
from urllib.parse import unquote

from showtell.data.images.files import is_image_name, is_passed_over
from showtell.data.images.kinds import READABLE
from showtell.data.splits import split_in


class Locator:
    """Looks for images beside a caption file and in the folders below it; each folder is listed once.

    The nearest of these that hold any image count: the file's folder and those in it, those two folders down,
    the parent's folder and those in it, those two folders down from there. That covers the common layouts:
    `images/` next to the file, `annotations/` next to `train2014/` or `images/train2014/`, `Flickr8k_text/`
    next to `Flicker8k_Dataset/`. Of equal names, the one in a folder of the caption file's split is found.
    """

    def __init__(self, file: Path, *, nearby: bool = True) -> None:
        """With `nearby` false, names are relative to the file's own folder only."""
        self._listings: dict[Path, dict[str, Path]] = {}
        self.folders = [file.parent]
        for start in (file.parent, file.parent.parent) if nearby else ():
            if start != file.parent and self._any_images():
                break
            below = _folders([start])  # those beside the file count even if none holds an image
            self.folders += [folder for folder in (start, *below) if folder not in self.folders]
            if not self._any_images():
                self.folders += [folder for folder in _folders(below) if folder not in self.folders]
        split = split_in(file.stem)
        if split:
            self.folders.sort(key=lambda folder: (split_in(folder.name) or ("",))[0] != split[0])

    def __call__(self, name: str) -> Path | None:
        """The path of the image called `name`, or None. A name may lack its ending, as ids do."""
        spellings = _spellings(name)
        if not is_image_name(PurePath(name).name):
            spellings += [name + ending for ending in _ENDINGS]
        for spelling in spellings:
            if "/" not in spelling:
                if spelling in self._anywhere:
                    return self._anywhere[spelling]
                continue
            first = spelling.partition("/")[0]
            holders = self.folders if first in ("", ".", "..") else self._holders.get(first, ())
            for folder in holders:
                path = folder / spelling
                if found := self._listing(path.parent).get(path.name):
                    return found
        return None

    @cached_property
    def _anywhere(self) -> dict[str, Path]:
        """The files of all folders by name, those of the first folder first."""
        found: dict[str, Path] = {}
        for folder in reversed(self.folders):
            found |= self._listing(folder)
        return found

    @cached_property
    def _holders(self) -> dict[str, list[Path]]:
        """The folders that hold a folder of a name, so that a name with a slash is sought in these alone."""
        found: dict[str, list[Path]] = {}
        for folder in self.folders:
            for below in _folders([folder], hidden=True):
                found.setdefault(below.name, []).append(folder)
        return found

    def _listing(self, folder: Path) -> dict[str, Path]:
        if folder not in self._listings:
            self._listings[folder] = _files(folder)
        return self._listings[folder]

    def _any_images(self) -> bool:
        return any(is_image_name(name) for folder in self.folders for name in self._listing(folder))


_ENDINGS = sorted(
    {*READABLE, *map(str.upper, READABLE)}, key=lambda ending: (ending.lower() != ".jpg", ending)
)


def _files(folder: Path) -> dict[str, Path]:
    """The files and links in a folder; a broken link too, so that reading it reports why."""
    try:
        with os.scandir(folder) as listed:
            return {one.name: folder / one.name for one in listed if one.is_file() or one.is_symlink()}
    except (OSError, ValueError):
        return {}


def _folders(parents: list[Path], *, hidden: bool = False) -> list[Path]:
    found: list[Path] = []
    for parent in parents:
        try:
            with os.scandir(parent) as listed:
                names = [
                    one.name for one in listed if one.is_dir() and (hidden or not is_passed_over(one.name))
                ]
        except (OSError, ValueError):
            continue
        found += [parent / name for name in sorted(names)]
    return found


def _spellings(name: str) -> list[str]:
    """A name as written, and as Windows, a URL or macOS would spell it.

    >>> _spellings("a%20b.jpg")
    ['a%20b.jpg', 'a b.jpg']
    """
    windows, url = name.replace("\\", "/"), unquote(name)
    macos = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    return list(dict.fromkeys([name, windows, url, *macos]))
