"""What a file holds, and the name that its content has wherever the file lies."""

from __future__ import annotations

import hashlib
from pathlib import Path

from showtell.data.images.decode import ImageError


def read_content(path: Path) -> tuple[bytes, bytes]:
    """A file's bytes and their SHA-256 digest.

    Raises `ImageError` where there is no file to read; a pipe or a folder is not opened.
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
