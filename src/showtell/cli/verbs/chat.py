"""`showtell chat`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from showtell.cli.input import Failures, stdin_lines
from showtell.cli.options import DEFAULT_MAX_PIXELS, Device, Json, MaxPixels, OwnModel
from showtell.cli.output import print_json, print_note, print_part, print_text
from showtell.errors import UsageError, UserError
from showtell.wording import THESE_CHAT

if TYPE_CHECKING:
    from showtell.tasks.pen import Piece

PANEL = "Images"


def chat(
    files: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="The images that all questions are about.")
    ],
    model: OwnModel = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer at most.")] = 256,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Ask about images, question after question: by a LLaVA, of showtell train llava_mini or imported, or a
    Qwen-VL folder.

    Questions are lines of standard input; on a terminal, Ctrl-D ends. The answers before are remembered. A
    question that does not fit into what the model reads is named on standard error, and the exit status is 1.
    """
    if model is None:
        raise UsageError(f"no model that answers about images is shipped: {THESE_CHAT}")
    from showtell.pipelines.chat import open_chat

    talk = open_chat(files, model, device, max_pixels)
    failures = Failures()
    for question in _questions():
        try:
            found = talk.ask(question, max_tokens, None if json else _print_piece)
        except UsageError:
            raise
        except UserError as error:  # this question alone is wrong
            failures(error)
            continue
        if json:
            said = {"question": question, "answer": found.completion, "tokens": found.tokens}
            print_json({**said, "finish": found.finish, "model": talk.model})
        else:
            print_text()
            if found.finish == "length":
                print_note(f"cut after {found.tokens} tokens; --max-tokens allows more")
    failures.exit()


def _questions() -> Iterator[str]:
    """The lines of standard input that are not empty; a terminal is asked for each."""
    if not sys.stdin.isatty():
        yield from filter(str.strip, stdin_lines())
        return
    while True:
        print_part("> ", sys.stderr)
        line = sys.stdin.readline()
        if not line:
            print_note("")
            return
        if line.strip():
            yield line.strip()


def _print_piece(piece: Piece) -> None:
    print_part(piece.text)
