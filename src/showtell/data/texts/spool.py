"""Arrays that grow on disk: of gigabytes of text, memory holds only what is being read."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import numpy as np

from showtell.errors import UserError


class Spool:
    """A one-dimensional array in a temporary file without a name, which goes when nothing reads it.

    >>> spool = Spool(np.int64)
    >>> spool.extend([1, 2]), spool.extend(np.array([3]))
    (None, None)
    >>> spool.array().tolist(), Spool(bool).array().tolist()
    ([1, 2, 3], [])
    """

    def __init__(self, dtype: np.typing.DTypeLike) -> None:
        self._dtype, self._length = np.dtype(dtype), 0
        self._file = tempfile.TemporaryFile(prefix="showtell-")  # noqa: SIM115 (open as long as it is read)

    def extend(self, values: np.ndarray | Sequence[int]) -> None:
        """Add values at the end. Raises `UserError` for a full disk."""
        some = np.ascontiguousarray(values, self._dtype)
        try:
            self._file.write(some.data)
        except OSError as error:
            raise UserError(
                f"no space for the tokens of the texts in {tempfile.gettempdir()} ({error.strerror}); free "
                "some, or name another folder in TMPDIR"
            ) from error
        self._length += len(some)

    def array(self) -> np.ndarray:
        """All values, memory-mapped, to be read."""
        if not self._length:
            return np.zeros(0, self._dtype)
        self._file.flush()
        return np.memmap(self._file, self._dtype, "r", shape=(self._length,))
