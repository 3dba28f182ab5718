"""Make a library of a folder of pictures, and keep it in step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from showtell.data.image import MAX_PIXELS
from showtell.data.sources.detect import read
from showtell.errors import UserError
from showtell.library.index import IndexReport
from showtell.library.index import index as index_pictures
from showtell.library.search import Library
from showtell.protocols import Captions, EmbedsImages
from showtell.recipes.model import Model, load_model
from showtell.recipes.sources import tell_problems


def index(
    folder: Path | str,
    library: Path | str,
    model: Model | None = None,
    *,
    captions: bool = True,
    progress: Callable[[int, int], None] | None = None,
    max_pixels: int = MAX_PIXELS,
    rebuild: bool = False,
) -> IndexReport:
    """Bring a library into step with a folder, captions that lie beside the pictures included.

    Unchanged pictures are not read again. `captions=False` leaves out the model's captions, the
    slowest part; a model that puts no pictures into words adds none. Other models' vectors stay beside
    this one's. Skipped pictures are listed with their reasons in `skipped.jsonl` in the library.
    Without a model, the shipped one.

    Raises `UsageError` for a model that sees no pictures.
    """
    if not Path(folder).is_dir():
        raise UserError(f"there is no folder {folder}")
    model = model or load_model()
    model.require(EmbedsImages)
    own_captions, whole = _own_captions(Path(folder))
    return index_pictures(
        folder,
        library,
        model,
        captions=captions and model.can(Captions),
        own_captions=own_captions,
        keep_captions=not whole,
        progress=progress,
        max_pixels=max_pixels,
        rebuild=rebuild,
    )


def open_library(folder: Path | str, model: Model | None = None) -> Library:
    """The model's vectors in a library; without a model, the vectors indexed last that came with captions.

    Says on standard error where another model has indexed other pictures since.
    """
    library = Library.open(folder, model, captioned=model is None)
    if library.behind:
        print(
            f"{library.behind} has indexed other pictures or captions into {folder} since {library.name}: "
            "index with this model too, and it finds them",
            file=sys.stderr,
        )
    return library


def _own_captions(folder: Path) -> tuple[dict[Path, tuple[str, ...]], bool]:
    """What the folder itself says of its pictures, in whatever format, and whether all of it could be read.

    Saying nothing is no mistake. What is wrong is said on standard error: a caption that a person took away
    leaves the library, one that a broken file hides does not.
    """
    try:
        source = read(folder)
    except UserError as error:
        first_line = str(error).partition("\n")[0]
        print(
            f"captions beside the pictures cannot be read, and stored ones stay: {first_line}",
            file=sys.stderr,
        )
        return {}, False
    tell_problems(folder, source)
    unread = next((problem for problem in source.problems if problem.unread), None)
    if unread:
        print(f"pictures that lost all captions by this keep the stored ones: {unread}", file=sys.stderr)
    return {entry.path: entry.captions for entry in source.entries if entry.captions}, not unread
