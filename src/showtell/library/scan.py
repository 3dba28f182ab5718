"""The images of a folder: found without being read, then read and prepared."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from showtell.data.images.decode import decode_image
from showtell.data.images.files import find_images, read_content
from showtell.data.images.resize import thumbnail
from showtell.library.encoder import LibraryEncoder
from showtell.library.rows import Content, File

THUMBNAIL = 128


def find_files(folder: Path, but: Path, captions: Mapping[Path, tuple[str, ...]]) -> list[File]:
    """Every image under a folder, but for those under another folder; captions by `absolute` path."""
    paths = (absolute(path) for path in find_images(folder))
    return [file_at(path, captions.get(path, ())) for path in paths if but not in path.parents]


def file_at(path: Path, captions: tuple[str, ...] = ()) -> File:
    """A file's size and time; -1 when there is none, so that reading it says what is wrong."""
    try:
        status = path.stat()
    except OSError:
        return File(path, -1, -1, captions)
    return File(path, status.st_size, status.st_mtime_ns, captions)


def absolute(path: Path) -> Path:
    """One spelling of each path, whatever folder it was named from; a link keeps its own name."""
    return _resolved(path.parent) / path.name


@lru_cache(maxsize=1024)
def _resolved(folder: Path) -> Path:
    return folder.resolve()


def is_text(path: Path) -> bool:
    """Whether a table can hold the path: on Linux a name may be any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(path: Path) -> str:
    """A path as text that can be written anywhere, though its name be not valid UTF-8."""
    return os.fsencode(path).decode(errors="replace")


class Reader:
    """Reads an image for an encoder, unless its content is known. Safe to call from many threads."""

    def __init__(self, encoder: LibraryEncoder, known: Mapping[bytes, object], max_pixels: int) -> None:
        """`known` is keyed by the digests of contents that need no decoding; it may grow meanwhile."""
        self._encoder, self._known, self._max_pixels = encoder, known, max_pixels
        # A JPEG is decoded no larger than the network and the thumbnail need.
        self._at_least = 2 * max(encoder.prepare(np.zeros((8, 8, 3), np.uint8)).shape[0], THUMBNAIL)

    def __call__(self, path: Path) -> bytes | Content:
        """The content, or its digest alone when it is known. Raises `ImageError`."""
        data, digest = read_content(path)
        if digest in self._known:
            return digest
        pixels = decode_image(data, path, self._max_pixels, self._at_least)
        width, height = _original_size(data, pixels)
        return Content(digest, self._encoder.prepare(pixels), thumbnail(pixels, THUMBNAIL), width, height)


def _original_size(data: bytes, pixels: np.ndarray) -> tuple[int, int]:
    """Upright width and height before a JPEG was decoded at reduced size."""
    height, width = pixels.shape[:2]
    if not data.startswith(b"\xff\xd8\xff"):
        return width, height
    across, down = JpegImageFile(io.BytesIO(data)).size
    return (across, down) if (across > down) == (width > height) else (down, across)
