"""What a model can be asked for, by the protocols that its system keeps."""

from __future__ import annotations

from collections.abc import Iterable

from showtell.errors import UsageError
from showtell.protocols import Captioner
from showtell.tasks.reading import TextReader
from showtell.wording import lacks


def keeps(system: object, protocol: type) -> bool:
    """Whether a system keeps a protocol of `showtell.protocols`.

    A reader of drawn texts has the methods of a captioner, since it writes from an image too; what it writes
    describes no image, so it is none.
    """
    if protocol is Captioner and isinstance(system, TextReader):
        return False
    return isinstance(system, protocol)


def require(name: str, system: object, protocols: Iterable[type], option: str = "--model") -> None:
    """Raises `UsageError` for the first protocol that the system of the model `name` does not keep.

    `option` is that of the command line which chose the model.
    """
    for protocol in protocols:
        if not keeps(system, protocol):
            instead = f"choose another with {option}"
            if isinstance(system, TextReader):
                instead = f"it reads drawn texts: ask it with showtell read, or {instead}"
            raise UsageError(f"the model {name} {lacks(protocol)}; {instead}")
