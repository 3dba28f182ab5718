"""`showtell tag`."""

from __future__ import annotations

from typing import Annotated

import typer

from showtell.cli.input import lines
from showtell.cli.options import Device, Json, OwnModel
from showtell.cli.output import print_json, print_text
from showtell.errors import UsageError

PANEL = "Texts"


def tag(
    texts: Annotated[
        list[str], typer.Argument(help="Texts, or - to read them from standard input, one per line.")
    ],
    model: OwnModel = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Tag the words of texts: parts of speech, or names, by what the model was trained on.

    The model is a run of `showtell train tag_bert` or `tag_vlp`, which draws the texts. Signs are words of
    their own; a long text is tagged in parts.
    """
    from showtell.pipelines.model import load_model
    from showtell.pipelines.tag_texts import tag_texts

    if model is None:
        raise UsageError(
            "no model that tags is shipped: name one with --model, or train one with "
            "`showtell train tag_bert --data TAGS --output RUN`"
        )
    for one in tag_texts(lines(texts), load_model(model, device)):
        if json:
            print_json(one)
        else:
            print_text(
                " ".join(
                    f"{token.text} [{token.tag} {token.probability:.2f}]" if token.tag else token.text
                    for token in one.tokens
                )
            )
