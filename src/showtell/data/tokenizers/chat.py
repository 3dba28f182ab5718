"""Messages as the one text that a language model was taught to answer: its chat template."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from showtell.errors import UserError

Message = Mapping[str, Any]
"""`role`, such as system, user or assistant, and `content`: a text, or parts, each `{"type": "text", "text":
...}` or `{"type": "image"}`, which stands for the next of the images that come with the messages."""


ANSWERS = ("assistant", "function")
"""The roles that a model speaks."""
IMAGE = "<image>"
"""Stands where a message shows the next image."""


def render_chat(
    template: str,
    messages: Sequence[Message],
    names: Mapping[str, str],
    special: Collection[str],
    *,
    answered: bool = False,
) -> str:
    """The text of messages up to where the model's answer begins, as `transformers` makes it.

    `names` are the special tokens that a template may name: `bos_token`. Templates come with weights of
    others, so they run in a sandbox. Where the last message is the answer (`answered`), the text is all.
    A template that writes no content but that in parts, as LLaVA's, is given every content so.

    Raises `UserError` for messages without role or content, for content that spells one of the `special`
    tokens, and for what the template refuses.
    """
    if not messages:
        raise UserError("a conversation needs a message: {'role': 'user', 'content': '...'}")
    for message in messages:
        if not isinstance(message.get("role"), str) or not isinstance(message.get("content"), str | list):
            raise UserError(f"a message has a role and a content, both texts; {dict(message)!r} has not")
        text = message_text(message)
        if spelled := [token for token in special if token in text]:
            raise UserError(
                f"a message spells the special token {spelled[0]}, which would end it; write it otherwise"
            )
    if _in_parts_alone(template):
        messages = [{**message, "content": all_parts(message["content"])} for message in messages]
    try:
        return _compiled(template).render(
            messages=messages, add_generation_prompt=not answered, raise_exception=_refuse, **names
        )
    except Exception as error:  # a template is a program of others: it may raise anything
        raise UserError(f"the model's chat template does not take these messages: {error}") from error


def answered_chat(
    template: str, messages: Sequence[Message], names: Mapping[str, str], special: Collection[str], end: str
) -> list[tuple[str, bool]]:
    """The text of a conversation in pieces, each with whether the model writes it: an answer with its `end`.

    What stands before an answer is what `render_chat` makes of the messages before it: the model is trained
    on what it will read.

    Raises `UserError` as `render_chat`, and for a template whose answers cannot be told from the rest.
    """
    pieces: list[tuple[str, bool]] = []
    read = ""
    for count, message in enumerate(messages):
        if message["role"] not in ANSWERS:
            continue
        before = render_chat(template, messages[:count], names, special)
        whole = render_chat(template, messages[: count + 1], names, special, answered=True)
        answer, ended, _ = whole.removeprefix(before).partition(end)
        if not before.startswith(read) or not whole.startswith(before):
            raise UserError(
                "the model's chat template rewrites a conversation as it goes on, so that its answers "
                "cannot be told; adapt another model"
            )
        if not ended or message["content"].strip() not in answer:
            raise UserError(
                f"the model's chat template does not write the answer {message['content'][:40]!r} as it is, "
                f"followed by {end}"
            )
        pieces += [(before[len(read) :], False), (answer + end, True)]
        read = before + answer + end
    return pieces


def message_text(message: Message) -> str:
    """The texts of a message, one per line.

    >>> parts = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    >>> message_text({"role": "user", "content": parts})
    'What is it?'
    """
    if isinstance(message["content"], str):
        return message["content"]
    return "\n".join(part["text"] for part in message["content"] if part["type"] == "text")


def parts_of(content: str) -> str | list[dict[str, Any]]:
    """A text with `<image>` in it as the parts of a message; one without stays a text.

    >>> parts_of("<image>What is it?")
    [{'type': 'image'}, {'type': 'text', 'text': 'What is it?'}]
    """
    first, *rest = content.split(IMAGE)
    if not rest:
        return content
    texts = [[{"type": "text", "text": text}] if text else [] for text in (first, *rest)]
    return [*texts[0], *(part for text in texts[1:] for part in ({"type": "image"}, *text))]


def all_parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A content in parts, whatever it is; the line breaks around an image are the template's to write.

    >>> all_parts("<image>\\nWhat is it?")
    [{'type': 'image'}, {'type': 'text', 'text': 'What is it?'}]
    """
    if not isinstance(content, str):
        return content
    parts = parts_of(content)
    if isinstance(parts, str):
        return [{"type": "text", "text": parts}]
    return [{**part, "text": part["text"].strip("\n")} if "text" in part else part for part in parts]


def in_text(content: Any) -> Any:
    """A content in parts as one text, `<image>` in the place of each image, one part per line.

    >>> in_text([{"type": "image"}, {"type": "text", "text": "What is it?"}])
    '<image>\\nWhat is it?'
    """
    if not isinstance(content, list):
        return content
    return "\n".join(IMAGE if part["type"] == "image" else part["text"] for part in content)


@lru_cache
def _in_parts_alone(template: str) -> bool:
    """Whether a template leaves out a content that is a text, and writes one in parts."""
    word = "probe"

    def written(content: str | list[dict[str, Any]]) -> bool:
        messages = [{"role": "user", "content": content}]
        try:
            return word in _compiled(template).render(messages=messages, raise_exception=_refuse)
        except Exception:  # a template is a program of others: it may raise anything
            return False

    return not written(word) and written(all_parts(word))


@lru_cache
def _compiled(template: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    return environment.from_string(template)


class _Generation(Extension):
    """`{% generation %}` around an answer, as templates of `transformers` may mark it: its text stays."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[Node]:
        """The statements up to `{% endgeneration %}`."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refuse(message: str) -> NoReturn:
    """What templates call to refuse messages."""
    raise TemplateError(message)
