"""`showtell data convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Json
from showtell.cli.output import print_json, print_text
from showtell.errors import UserError

PANEL = "Training and evaluation"


def convert(
    data: Annotated[
        Path, typer.Argument(help="Conversations: a file, a folder, or what a dataset_info.json names.")
    ],
    output: Annotated[Path, typer.Argument(help="The file to write: .json, or .jsonl for JSON Lines.")],
    to: Annotated[str, typer.Option(help="messages (role, content), conversations (from, value) or alpaca.")],
    json: Json = False,
) -> None:
    """Write conversations in another format; only what is whole is converted."""
    from showtell.data.conversations.read import read_conversations
    from showtell.data.conversations.write import write_conversations
    from showtell.wording import counted

    source = read_conversations(data)
    if source.problems:
        problems = counted(len(source.problems), "problem")
        raise UserError(
            f"{data} has {problems}, which `showtell data check` lists; first: {source.problems[0]}"
        )
    write_conversations(source.conversations, output.absolute(), to)
    done = {"file": output, "format": to, "conversations": len(source.conversations)}
    print_json(done) if json else print_text(str(output))
