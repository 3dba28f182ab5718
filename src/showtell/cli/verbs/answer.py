"""`showtell answer`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.input import lines
from showtell.cli.options import Device, Json, OwnModel, Strict
from showtell.cli.output import print_json, print_text
from showtell.errors import UsageError

PANEL = "Texts"


def answer(
    questions: Annotated[
        list[str], typer.Argument(help="Questions, or - to read them from standard input, one per line.")
    ],
    passage: Annotated[str | None, typer.Option(help="The text that answers.", show_default=False)] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the passage from a file.", show_default=False)
    ] = None,
    model: OwnModel = None,
    strict: Strict = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Answer questions on a passage.

    The model is a run of `showtell train answer_bert`, which points at the answer, or `answer_vlp`, which
    draws question and passage and writes it. A long passage is read in windows; the surest one answers.
    """
    from showtell.data.texts.files import read_whole
    from showtell.pipelines.answer import answer
    from showtell.pipelines.model import load_model

    if (passage is None) == (file is None):
        raise UsageError("give either --passage with a text or --file with one")
    if model is None:
        raise UsageError(
            "no model that answers questions on texts is shipped: name one with --model, or train one with "
            "`showtell train answer_bert --data SQUAD --output RUN`"
        )
    text = read_whole(file) if passage is None and file else passage or ""
    for one in answer(lines(questions), text, load_model(model, device), strict=strict):
        if json:
            print_json(one)
        else:
            print_text(f"{one.question}\n  {one.answer or 'no answer'}  (log-odds {one.log_odds:.2f})")
