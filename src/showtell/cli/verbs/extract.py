"""`showtell extract`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.input import Failures, paths
from showtell.cli.options import DEFAULT_MAX_PIXELS, Device, Images, Json, MaxImageTokens, MaxPixels
from showtell.cli.output import print_error, print_indented, print_json, print_note, print_text
from showtell.wording import counted, one_line

PANEL = "Images"


def extract(
    files: Images,
    schema: Annotated[
        Path | None,
        typer.Option(
            help="The JSON schema of the answers; default: a list of materials, each with its kind, as the "
            "model was trained.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="A run of `showtell train extract_fields` or `tune`, a folder of Qwen-VL as published, or a "
            "language model with a chat template: a checkpoint, or a name that `showtell models` lists. "
            "Default: the shipped model, for receipts and Chinese licences.",
            show_default=False,
        ),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="The most tokens of a language model's answer.")
    ] = 768,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    max_image_tokens: MaxImageTokens = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Turn images of documents, and PDFs, into JSON that keeps a schema.

    Their printed text is read first; a Qwen-VL sees the image itself. An answer that had no room for all it
    found says `truncated` and holds what is whole. A file without an answer is named on standard error; the
    others are still read, and the exit status is 1.
    """
    from showtell.data.json import read_object
    from showtell.pipelines.document_readers import SHIPPED, load_reader
    from showtell.pipelines.extract import extract

    wanted = None if schema is None else read_object(schema)
    reader = load_reader(model or SHIPPED, device, max_tokens, max_image_tokens)
    failures, unsure, truncated = Failures(), 0, 0
    for found in extract(paths(files), reader, schema=wanted, max_pixels=max_pixels, skip=failures):
        unsure, truncated = unsure + found.unsure, truncated + found.truncated
        if not found.documents:
            print_note(f"no document found in {one_line(found.path)}")
        if json:
            print_json(found)
            continue
        print_text(one_line(found.path) + ("" if found.page is None else f", page {found.page}"))
        print_indented(found.documents)
    if unsure:
        print_error(f"left out, hard to read: {counted(unsure, 'line')}")
    if truncated:
        print_error(
            f"truncated after their last whole item: {counted(truncated, 'answer')}; see --max-tokens"
        )
    failures.exit()
