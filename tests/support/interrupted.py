"""A run of conversations that is interrupted in the middle."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from showtell.datasets.conversation_input import ConversationInput


@contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch, batch: int) -> Iterator[None]:
    """A `KeyboardInterrupt`, which is expected, in place of batch number `batch`, from 0."""
    made, count = ConversationInput.batch, iter(range(100))

    def stops(self, rows):
        if next(count) == batch:
            raise KeyboardInterrupt
        return made(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(ConversationInput, "batch", stops)
        with pytest.raises(KeyboardInterrupt):
            yield
