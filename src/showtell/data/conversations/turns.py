"""A record with a list of messages, whatever its fields are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from showtell.data.conversations.conversation import ROLES, Conversation, Fault, Message, Role
from showtell.data.tokenizers.chat import IMAGE

SPELLED: Mapping[str, Role] = {
    **{role: role for role in ROLES},
    **{"human": "user", "gpt": "assistant", "developer": "system"},
    **{"observation": "tool", "function_call": "function"},
}
"""What people call the roles."""


@dataclass(frozen=True)
class Turns:
    """The names under which a record's messages, their roles and their texts stand."""

    mark: str
    """The field that holds the messages, which tells the format."""
    role: str
    content: str
    spelled: Mapping[Role, str] = field(default_factory=dict)
    """How the roles are written; those that are not here by their own names."""

    def read(self, record: Mapping[str, Any]) -> list[Message]:
        """The messages. Raises `Fault`."""
        given = record.get(self.mark)
        if not isinstance(given, list) or not given:
            raise Fault(
                f"{self.mark} is no list of messages", f'write "{self.mark}": [{{"{self.role}": ...}}]'
            )
        return [self._message(number, one) for number, one in enumerate(given, 1)]

    def write(self, conversation: Conversation) -> dict[str, Any]:
        """The record without its images."""
        spelled = {role: self.spelled.get(role, role) for role in ROLES}
        return {
            self.mark: [
                {self.role: spelled[one.role], self.content: one.content} for one in conversation.messages
            ]
        }

    def renamed(self, columns: Mapping[str, str], tags: Mapping[str, str]) -> Turns:
        """The same with the names that a `dataset_info.json` gives."""
        said: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
        said |= {"observation": "tool", "function": "function"}
        spelled = {role: tags[f"{name}_tag"] for name, role in said.items() if f"{name}_tag" in tags}
        return replace(
            self,
            mark=columns.get("messages", self.mark),
            role=tags.get("role_tag", self.role),
            content=tags.get("content_tag", self.content),
            spelled={**self.spelled, **spelled},
        )

    def _message(self, number: int, given: Any) -> Message:
        if not isinstance(given, dict):
            fix = f'write {{"{self.role}": "user", "{self.content}": "..."}}'
            raise Fault(f"message {number} is {_kind(given)}, not an object", fix)
        for name in (self.role, self.content):
            if name not in given:
                fix = f"write {name!r}, or say in dataset_info.json what it is called"
                raise Fault(f"message {number} has no {name!r}, only {', '.join(map(repr, given))}", fix)
        known: dict[str, Role] = {**SPELLED, **{name: role for role, name in self.spelled.items()}}
        role = known.get(given[self.role]) if isinstance(given[self.role], str) else None
        if role is None:
            raise Fault(
                f"message {number} has the role {given[self.role]!r}", f"write one of {', '.join(known)}"
            )
        return Message(role, text_of(given[self.content], f"message {number}"))


def text_of(value: Any, what: str) -> str:
    """A text as it stands, or the parts of one, as chat completions write them. Raises `Fault`."""
    if isinstance(value, list) and value and all(isinstance(p, dict) and "type" in p for p in value):
        return "".join(_part(part, what) for part in value)
    if not isinstance(value, str):
        fix = "write it as a text; JSON goes in as one: " + _quoted(value)
        raise Fault(f"{what} is {_kind(value)}, not a text", fix)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        fix = "write the whole character, or delete it"
        raise Fault(f"{what} holds half a character at {error.start}: {value[error.start]!r}", fix) from None
    return value


def _part(part: Mapping[str, Any], what: str) -> str:
    if part["type"] == "text":
        return text_of(part.get("text"), what)
    if part == {"type": "image"}:
        return IMAGE
    fix = 'a part is {"type": "text", "text": ...} or {"type": "image"}, whose file stands under images'
    raise Fault(f"{what} has a part of the type {part['type']!r} that is not read", fix)


def _kind(value: Any) -> str:
    """What JSON calls a value.

    >>> _kind({}), _kind(None), _kind(2)
    ('an object', 'null', 'a number')
    """
    if value is None:
        return "null"
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value"}
    return names.get(type(value), "a number")


def _quoted(value: Any) -> str:
    """The beginning of a value as a JSON text within JSON."""
    text = json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
