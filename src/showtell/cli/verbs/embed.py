"""`showtell embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.input import Failures, lines, names_file, paths
from showtell.cli.options import DEFAULT_MAX_PIXELS, Device, Json, MaxPixels, Model, Strict
from showtell.cli.output import print_json, print_note, print_text
from showtell.errors import UsageError
from showtell.wording import counted

PANEL = "Images"


def embed(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders of images, .txt or .jsonl files of texts, or - to read paths (texts with "
            "--texts) from standard input."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A .npy file (a .rows.jsonl with the paths or texts goes beside it) or a .parquet file.",
            show_default=False,
        ),
    ] = None,
    texts: Annotated[bool, typer.Option("--texts", help="The arguments are texts, not files.")] = False,
    model: Model = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    strict: Strict = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Embed images or texts: one vector each, to a file or as JSON Lines.

    By default images by the shipped captioner and texts by the shipped dual encoder, `default_search`, whose
    vectors of images (--model default_search) can be compared with them. With --output, --json prints one
    line about the file, else one line per vector. A file that cannot be read is named on standard error; the
    others are still embedded, and the exit status is 1.
    """
    from showtell.pipelines.embed import embed, holds_texts
    from showtell.pipelines.embedding_files import require_ending, save_embeddings
    from showtell.pipelines.model import load_model
    from showtell.pipelines.shipped import dual_encoder

    if output is None and not json:
        raise UsageError("name the file to write with --output vectors.npy or vectors.parquet, or use --json")
    for name in files:
        if texts and name not in ("", "-") and names_file(name):
            print_note(f"{name} is embedded as a text; what is in it is embedded without --texts")
    failures = Failures()
    inputs = lines(files) if texts else paths(files)
    if output is not None:
        require_ending(output)
    of_texts = texts or holds_texts(files[0])
    loaded = dual_encoder(device) if of_texts and model is None else load_model(model, device)
    vectors = embed(inputs, loaded, texts=texts, max_pixels=max_pixels, skip=failures, strict=strict)
    if output is None:
        for one in vectors:
            print_json({**one.source, "vector": one.vector.tolist()})
    else:
        saved = save_embeddings(vectors, output)
        print_json(saved) if json else print_text(saved.output)
        print_note(f"{counted(saved.count, 'vector')} of width {saved.width} by {loaded.name}")
    failures.exit()
