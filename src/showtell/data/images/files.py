"""Image files: finding them in a folder, and reading the bytes of one."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from showtell.data.images.decode import ImageError
from showtell.errors import UserError

# HEIC is included so that a phone's images are reported as skipped.
_IMAGE_NAME = re.compile(r"\.(jpe?g?|jfif|png|gif|webp|bmp|tiff?|avif|jp2|p[bgnp]m|hei[cf])$", re.IGNORECASE)


def find_images(folder: Path | str) -> list[Path]:
    """All files under a folder, at any depth, with the name of an image, sorted.

    Hidden files and folders are ignored; links to folders are followed once. A subfolder that cannot be
    listed is returned as if it were an image, so that reading it records why.
    Raises `UserError` if `folder` itself cannot be listed.
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()

    def listing_failed(error: OSError) -> None:
        if Path(error.filename) == Path(folder):
            raise UserError(f"{folder}: {error.strerror}; name a folder that holds images")
        found.append(Path(error.filename))

    for parent, folders, files in os.walk(folder, onerror=listing_failed, followlinks=True):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in files if is_image_name(name)]
    return sorted(found)


def is_image_name(name: str) -> bool:
    """Whether a file name is that of an image; a hidden file's is not.

    >>> is_image_name("猫 100%.JPG"), is_image_name("._cat.jpg"), is_image_name("cat.txt")
    (True, False, False)
    """
    return not name.startswith(".") and _IMAGE_NAME.search(name) is not None


def read_content(path: Path) -> tuple[bytes, bytes]:
    """A file's bytes and their SHA-256 digest.

    Raises `ImageError` if it cannot be read; a pipe or a folder is not opened.
    """
    try:
        if not path.is_file():
            raise ImageError(path, "is not a file" if path.exists() else "does not exist")
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(path, f"cannot be opened: {error.strerror or error}") from None
    except MemoryError:
        raise ImageError(path, "needs more memory than there is") from None
    return data, hashlib.sha256(data).digest()
