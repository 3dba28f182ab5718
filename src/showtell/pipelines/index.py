"""Make a library of a folder of images, and keep it in step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from showtell.data.captions.read import read_captions
from showtell.data.images.decode import MAX_PIXELS
from showtell.datasets.captions import log_problems
from showtell.errors import UserError
from showtell.library.index import IndexReport
from showtell.library.index import index as index_images
from showtell.library.search import Library
from showtell.pipelines.model import Model, load_model
from showtell.protocols import Captioner, ImageEncoder


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
    """Bring a library into step with a folder, captions that lie beside the images included.

    Unchanged images are not read again. `captions=False` leaves out the model's captions, the
    slowest part; a model that puts no images into words adds none. Other models' vectors stay beside
    this one's. Skipped images are listed with their reasons in `skipped.jsonl` in the library.
    Without a model, the shipped one.

    Raises `UsageError` for a model that sees no images.
    """
    if not Path(folder).is_dir():
        raise UserError(f"there is no folder {folder}")
    model = model or load_model()
    model.require(ImageEncoder)
    own_captions, whole = _own_captions(Path(folder))
    return index_images(
        folder,
        library,
        model,
        captions=captions and model.can(Captioner),
        own_captions=own_captions,
        keep_captions=not whole,
        progress=progress,
        max_pixels=max_pixels,
        rebuild=rebuild,
    )


def open_library(folder: Path | str, model: Model | None = None) -> Library:
    """The model's vectors in a library; without a model, the vectors indexed last that came with captions.

    Says on standard error where another model has indexed other images since.
    """
    library = Library.open(folder, model, captioned=model is None)
    if library.behind:
        print(
            f"{library.behind} has indexed other images or captions into {folder} since {library.name}: "
            "index with this model too, and it finds them",
            file=sys.stderr,
        )
    return library


def _own_captions(folder: Path) -> tuple[dict[Path, tuple[str, ...]], bool]:
    """What the folder itself says of its images, in whatever format, and whether all of it could be read.

    Saying nothing is no mistake. What is wrong is said on standard error: a caption that a person took away
    leaves the library, one that a broken file hides does not.
    """
    try:
        source = read_captions(folder)
    except UserError as error:
        first_line = str(error).partition("\n")[0]
        print(
            f"captions beside the images cannot be read, and stored ones stay: {first_line}",
            file=sys.stderr,
        )
        return {}, False
    log_problems(folder, source)
    unread = next((problem for problem in source.problems if problem.unread), None)
    if unread:
        print(f"images that lost all captions by this keep the stored ones: {unread}", file=sys.stderr)
    return {entry.path: entry.captions for entry in source.entries if entry.captions}, not unread
