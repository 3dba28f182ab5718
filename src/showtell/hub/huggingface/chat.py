"""The chat template of a folder: how messages become one text."""

from __future__ import annotations

from pathlib import Path

from showtell.data.json import read_object
from showtell.errors import UserError

FILE = "chat_template.jinja"
OLDER = "chat_template.json"
"""Where processors of images and texts, such as Qwen2-VL's, had it."""


def read_chat_template(folder: Path) -> str:
    """The template, in Jinja; empty where there is none.

    `chat_template.jinja`, else `chat_template` in `chat_template.json` or `tokenizer_config.json`: a text, or
    several by name, of which `default` is read.

    Raises `UserError` for a file that holds something else.
    """
    if (file := folder / FILE).is_file():
        try:
            return file.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read {file}: {error}. Copy or download it again.") from error
    for file in (folder / OLDER, folder / "tokenizer_config.json"):
        if file.is_file() and (template := _named_template(file)):
            return template
    return ""


def _named_template(file: Path) -> str:
    said = read_object(file).get("chat_template") or ""
    if isinstance(said, list):
        named = {str(one.get("name")): one.get("template") for one in said if isinstance(one, dict)}
        said = named.get("default", "")
    if not isinstance(said, str):
        raise UserError(f"{file}: chat_template is no text, but {said!r:.40}")
    return said
