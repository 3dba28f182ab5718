"""`showtell fill-mask`."""

from __future__ import annotations

from typing import Annotated

import typer

from showtell.cli import input
from showtell.cli.options import Device, Json, OwnModel, Strict, Top
from showtell.cli.output import print_json, print_note, print_table
from showtell.errors import UsageError, UserError

PANEL = "Texts"


def fill_mask(
    texts: Annotated[list[str], typer.Argument(help="Texts with [MASK] in them, or - for one per line.")],
    model: OwnModel = None,
    top: Top = 5,
    strict: Strict = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Predict the masked tokens of texts; exit status 1 if a text could not be read."""
    from showtell.pipelines.fill_mask import fill_mask
    from showtell.pipelines.model import load_model

    if model is None:
        raise UsageError(
            "no language model is shipped: name one with --model, or train one with "
            "`showtell train bert_mini --data TEXTS --output RUN`"
        )
    loaded = load_model(model, device)
    failures = input.Failures()
    cut = unknown = 0
    for text in input.texts(texts):
        try:
            filled = fill_mask(text, loaded, top, strict=strict)
        except UsageError:
            raise
        except UserError as error:
            failures(error)
            continue
        cut += filled.cut > 0
        unknown += filled.unknown
        if json:
            for prediction in filled.predictions:
                print_json(prediction)
        else:
            rows = [(one.token, one.probability, one.text) for one in filled.predictions]
            print_table(["token", "probability", "text"], rows)
    if unknown:
        print_note(f"tokens that the model does not know: {unknown}")
    if cut:
        print_note(
            f"longer than the {loaded.max_length} tokens that the model reads, and cut: {cut} of the texts"
        )
    failures.exit()
