"""Image files: finding them in a folder, and reading the bytes of one."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath

from showtell.data.images.decode import ImageError, why_no_file
from showtell.data.images.kinds import READABLE, UNREADABLE, is_nameless_image
from showtell.errors import UserError
from showtell.wording import counted, one_line

logger = logging.getLogger(__name__)

# What storage boxes, systems and archives put beside a person's files: thumbnails, bins, snapshots, metadata.
_SYSTEM = re.compile(
    r"@eaDir|@tmp|@Recycle|@Recently-Snapshot|@__thumb|#recycle|#snapshot|~snapshot|__MACOSX|\$RECYCLE\.BIN"
    r"|RECYCLER|System Volume Information|lost\+found|(eh)?thumbs(_vista)?\.db|desktop\.ini|.*\.lrdata",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Survey:
    """The images under a folder, and what was passed over while looking for them."""

    images: list[Path]
    passed_over: Counter[str]
    """How many system or hidden folders, and hidden images or files of a system, by their names."""


def no_images(folder: Path | str) -> UserError:
    """What to raise for a folder that must hold images."""
    return UserError(f"there are no images in {folder}; name a folder that holds JPEG, PNG or others")


def survey(folder: Path | str) -> Survey:
    """All image files under a folder, at any depth, sorted: by name, or by content where it has no ending.

    Hidden files and folders and those of systems (`@eaDir`, `__MACOSX`) are passed over; links to folders are
    followed once. A subfolder that cannot be listed is returned as if it were an image, so that reading it
    records why, and so are images of kinds that cannot be read. Raises `UserError` if `folder` itself cannot
    be listed.
    """
    found: list[Path] = []
    passed_over: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()

    def listing_failed(error: OSError) -> None:
        if Path(error.filename) == Path(folder):
            raise UserError(f"{folder}: {error.strerror}; name a folder that holds images")
        found.append(Path(error.filename))

    for parent, folders, files in os.walk(folder, onerror=listing_failed, followlinks=True):
        try:
            status = Path(parent).stat()
        except OSError as error:  # it went away, or was closed, while its parent was listed
            error.filename = parent
            listing_failed(error)
            folders.clear()
            continue
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        passed_over.update(name for name in folders if is_passed_over(name))
        folders[:] = sorted(name for name in folders if not is_passed_over(name))
        for name in files:
            if is_passed_over(name):
                if _SYSTEM.fullmatch(name) or is_image_name(name.lstrip("._")):
                    passed_over[name] += 1
            elif is_image_name(name) or is_nameless_image(Path(parent, name)):
                found.append(Path(parent, name))
    return Survey(sorted(found), passed_over)


def find_images(folder: Path | str) -> list[Path]:
    """The images that `survey` finds; what it passed over is logged, counted."""
    found = survey(folder)
    log_passed_over(folder, found.passed_over)
    return found.images


def log_passed_over(folder: Path | str, passed_over: Counter[str]) -> None:
    """One message: how many hidden and system folders and files, and the most frequent names."""
    if passed_over:
        names = [f"{name} ({count})" if count > 1 else name for name, count in passed_over.most_common(3)]
        names += ["..."] * (len(passed_over) > 3)
        what = counted(passed_over.total(), "hidden or system item")
        logger.info("%s: %s passed over: %s", folder, what, one_line(", ".join(names)))


def is_passed_over(name: str) -> bool:
    """Whether a file or folder is hidden, or one that a system made and no person looks into.

    >>> is_passed_over("@eaDir"), is_passed_over(".Trash-1000"), is_passed_over("Thumbs.db")
    (True, True, True)
    >>> is_passed_over("holiday")
    False
    """
    return name.startswith(".") or _SYSTEM.fullmatch(name) is not None


def is_image_name(name: str) -> bool:
    """Whether a file name is that of an image, of a kind that is read or not; a hidden file's is not.

    >>> is_image_name("猫 100%.JPG"), is_image_name("IMG_1.CR2")
    (True, True)
    >>> is_image_name("._cat.jpg"), is_image_name("cat.txt")
    (False, False)
    """
    ending = PurePath(name).suffix.lower()
    return not name.startswith(".") and (ending in READABLE or ending in UNREADABLE)


def read_content(path: Path) -> tuple[bytes, bytes]:
    """A file's bytes and their SHA-256 digest.

    Raises `ImageError` if it cannot be read; a pipe or a folder is not opened.
    """
    try:
        if not path.is_file():
            raise ImageError(path, why_no_file(path))
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(path, f"cannot be opened: {error.strerror or error}") from None
    except MemoryError:
        raise ImageError(path, "needs more memory than there is") from None
    return data, hashlib.sha256(data).digest()
