"""`instruction`, `input` and `output`: one question and its answer, as Alpaca has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from showtell.data.conversations.conversation import Conversation, Fault, Message
from showtell.data.conversations.turns import text_of

LOOKED_FOR = 'JSON or JSON Lines of {"instruction", "input", "output", "images": [...]}'
FORMATTING = "alpaca"
"""What a `dataset_info.json` calls it."""


@dataclass(frozen=True)
class _Alpaca:
    """The names of a record's fields."""

    mark: str = "instruction"
    query: str = "input"
    response: str = "output"
    history: str = "history"
    """Earlier turns: pairs of a question and its answer."""

    def read(self, record: Mapping[str, Any]) -> list[Message]:
        """The messages. Raises `Fault`."""
        earlier = record.get(self.history) or []
        if not isinstance(earlier, list) or not all(isinstance(p, list) and len(p) == 2 for p in earlier):
            raise Fault(f"{self.history} is no list of pairs", 'write [["question", "answer"], ...]')
        asked = [text_of(record.get(name) or "", name) for name in (self.mark, self.query)]
        pairs = [*earlier, ("\n".join(filter(None, asked)), record.get(self.response))]
        return [
            message
            for question, answer in pairs
            for message in (
                Message("user", text_of(question, "a question")),
                Message("assistant", text_of(answer, self.response)),
            )
        ]

    def write(self, conversation: Conversation) -> dict[str, Any]:
        """The record without its images. Raises `Fault` for what is no question and answer."""
        system = [one.content for one in conversation.messages if one.role == "system"]
        turns = [one for one in conversation.messages if one.role != "system"]
        if other := next((one.role for one in turns if one.role not in ("user", "assistant")), None):
            raise Fault(f"{conversation.where} has a message of the {other}", "choose another --format")
        pairs = [[turns[n].content, turns[n + 1].content] for n in range(0, len(turns), 2)]
        record: dict[str, Any] = {self.mark: pairs[-1][0], self.query: "", self.response: pairs[-1][1]}
        record |= {"system": system[0]} if system else {}
        return record | ({self.history: pairs[:-1]} if pairs[1:] else {})

    def renamed(self, columns: Mapping[str, str], tags: Mapping[str, str]) -> _Alpaca:
        """The same with the names that a `dataset_info.json` gives."""
        theirs = {"mark": columns.get("prompt", self.mark)}
        theirs |= {f.name: columns[f.name] for f in fields(self) if f.name in columns}
        return replace(self, **theirs)


LAYOUT = _Alpaca()
