"""`showtell index`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import (
    DEFAULT_LIBRARY,
    DEFAULT_MAX_PIXELS,
    Device,
    Json,
    Library,
    MaxPixels,
    Model,
)
from showtell.cli.output import print_error, print_json, print_note, print_text
from showtell.wording import one_line

PANEL = "Images"


def index(
    folder: Annotated[Path, typer.Argument(help="A folder of images.")],
    library: Library = DEFAULT_LIBRARY,
    model: Model = None,
    captions: Annotated[bool, typer.Option(help="Caption every image with the model.")] = True,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Encode every image again.")] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Drop images that are gone, even if they are most of those stored."),
    ] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Add a folder of images to a library, or update the library after changes in the folder.

    New and changed images are encoded; images that are gone are dropped, but not most of them at once without
    --prune. Vectors of other models stay in the library and are updated when those models index. Images that
    cannot be read are listed, with the reason, in the library's skipped.jsonl.
    """
    from json import loads

    from showtell.data.images.files import no_images
    from showtell.library.store import SKIPPED
    from showtell.pipelines.index import index
    from showtell.pipelines.model import load_model

    loaded = load_model(model, device) if model else None
    report = index(
        folder,
        library,
        loaded,
        captions=captions,
        max_pixels=max_pixels,
        rebuild=rebuild,
        prune=prune,
        device=device,
    )
    counts = asdict(report)
    if lost := counts.pop("lost"):
        print_error(lost)
    if beside := counts.pop("beside"):
        own = loaded.name if loaded else "the shipped models"
        forget = " && ".join(
            f"showtell library forget {name} --library {shlex.quote(str(library))}" for name in beside
        )
        print_note(
            f"{library} also holds vectors of {', '.join(beside)}, besides those of {own}; "
            f"to drop them: {forget}"
        )
    if json:
        print_json(counts)
    else:
        seconds = counts.pop("seconds")
        print_text(f"{', '.join(f'{name} {count}' for name, count in counts.items())} in {seconds:.1f} s")
    if report.skipped:
        log = library / SKIPPED
        first = loads(log.read_bytes().partition(b"\n")[0])
        print_note(
            f"{report.skipped} skipped, see {log}; the first: {one_line(first['path'])}: {first['reason']}"
        )
    if not (report.total or report.skipped or report.removed):
        raise no_images(folder)
