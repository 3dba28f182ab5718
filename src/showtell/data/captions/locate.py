"""Finds the image that a caption file names."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from urllib.parse import unquote

from showtell.data.images.files import is_image_name


class Locator:
    """Looks for images beside a caption file and in the folders beside it.

    If those hold no image at all, it also looks one level higher. That covers the common layouts: `images/`
    next to the file, `annotations/` next to `train2014/`, `Flickr8k_text/` next to `Flicker8k_Dataset/`.
    """

    def __init__(self, file: Path, *, nearby: bool = True) -> None:
        """With `nearby` false, names are relative to the file's own folder only."""
        here = file.parent
        self.folders = [here, *_folders(here)] if nearby else [here]
        if nearby and not any(map(_holds_images, self.folders)):
            self.folders += [here.parent, *_folders(here.parent)]

    def __call__(self, name: str) -> Path | None:
        """The path of the image called `name`, or None."""
        spellings = _spellings(name)
        return next((path for f in self.folders for s in spellings if _is_there(path := f / s)), None)


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _holds_images(folder: Path) -> bool:
    try:
        return any(is_image_name(path.name) for path in folder.iterdir())
    except OSError:
        return False


def _spellings(name: str) -> list[str]:
    """A name as written, and as Windows, a URL or macOS would spell it.

    >>> _spellings("a%20b.jpg")
    ['a%20b.jpg', 'a b.jpg']
    """
    windows, url = name.replace("\\", "/"), unquote(name)
    macos = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    return list(dict.fromkeys([name, windows, url, *macos]))


def _is_there(path: Path) -> bool:
    """Whether a file or a link exists; a broken link does, so that reading it reports why."""
    try:
        return path.is_file() or path.is_symlink()
    except (OSError, ValueError):
        return False
