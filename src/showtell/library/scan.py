"""Listing the images of a folder, then reading and preprocessing them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from showtell.data.images.decode import ImageError, decode_image
from showtell.data.images.files import find_images, read_content
from showtell.data.images.resize import thumbnail
from showtell.library.encoder import LibraryEncoder
from showtell.library.failures import DESCRIPTORS, failure, number_of
from showtell.library.rows import Content, File

THUMBNAIL = 128


def find_files(folder: Path, but: Path, captions: Mapping[Path, tuple[str, ...]]) -> list[File]:
    """Every image under `folder` that is not under `but`; `captions` are keyed by `absolute` path."""
    paths = (absolute(path) for path in find_images(folder))
    return [file_at(path, captions.get(path, ())) for path in paths if but not in path.parents]


def file_at(path: Path, captions: tuple[str, ...] = ()) -> File:
    """A file with its size and time; -1 if it is missing, so that reading it reports why."""
    try:
        status = path.stat()
    except OSError:
        return File(path, -1, -1, captions)
    return File(path, status.st_size, status.st_mtime_ns, captions)


def absolute(path: Path) -> Path:
    """The absolute path, with links resolved except for the file itself."""
    return _resolved(path.parent) / path.name


@lru_cache(maxsize=1024)
def _resolved(folder: Path) -> Path:
    return folder.resolve()


def is_text(path: Path) -> bool:
    """Whether a path is valid Unicode, as a table requires; on Linux a name may be any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


class UnreadError(ImageError):
    """A file that could not be read, which says nothing of the image in it."""


class Reader:
    """Reads an image once for all encoders that do not know its content. Thread-safe."""

    def __init__(
        self, encoders: Sequence[LibraryEncoder], known: Sequence[Mapping[bytes, object]], max_pixels: int
    ) -> None:
        """`known`: for each encoder, the digests of contents that need no decoding; they may grow."""
        self._encoders, self._known, self._max_pixels = encoders, known, max_pixels
        # A JPEG is decoded no larger than the networks and the thumbnail need.
        sizes = (encoder.prepare(np.zeros((8, 8, 3), np.uint8)).shape[0] for encoder in encoders)
        self._at_least = 2 * max(*sizes, THUMBNAIL)

    def __call__(self, path: Path) -> list[bytes | Content]:
        """For each encoder the content, or only its digest if that is known.

        Raises `ImageError`, `UnreadError` if the file cannot be read, `UserError` if no file can be.
        """
        try:
            data, digest = read_content(path)
        except ImageError as error:
            if error.__context__ and number_of(error.__context__) in DESCRIPTORS:
                raise failure(path, error.__context__, "read") from None
            raise UnreadError(path, error.reason) from None
        new = [digest not in known for known in self._known]
        if not any(new):
            return [digest] * len(new)
        pixels = decode_image(data, path, self._max_pixels, self._at_least)
        width, height = _original_size(data, pixels)
        small = thumbnail(pixels, THUMBNAIL)
        return [
            Content(digest, encoder.prepare(pixels), small, width, height) if wanted else digest
            for encoder, wanted in zip(self._encoders, new, strict=True)
        ]


def _original_size(data: bytes, pixels: np.ndarray) -> tuple[int, int]:
    """The upright width and height, also of a JPEG that was decoded at a reduced size."""
    height, width = pixels.shape[:2]
    if not data.startswith(b"\xff\xd8\xff"):
        return width, height
    across, down = JpegImageFile(io.BytesIO(data)).size
    return (across, down) if (across > down) == (width > height) else (down, across)
