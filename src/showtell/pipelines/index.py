"""A library made from a folder of images, and kept up to date."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from showtell.data.captions.read import read_captions
from showtell.data.images.decode import MAX_PIXELS
from showtell.data.images.files import no_images, survey
from showtell.datasets.captions import log_problems
from showtell.errors import UserError
from showtell.hub.shared import sharing
from showtell.library.encoder import Indexer, require_model
from showtell.library.index import IndexReport
from showtell.library.index import index as index_images
from showtell.library.search import Library
from showtell.library.store import LOCK, Store
from showtell.library.stored_rows import holds_images_of
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.shipped import shipped_dual_encoder
from showtell.pipelines.tags import sights
from showtell.protocols import Captioner, ImageEncoder
from showtell.wording import index_command
from showtell.writing import check_writable

logger = logging.getLogger(__name__)


def index(
    folder: Path | str,
    library: Path | str,
    model: Model | None = None,
    *,
    captions: bool = True,
    max_pixels: int = MAX_PIXELS,
    rebuild: bool = False,
    prune: bool = False,
    device: str = "auto",
) -> IndexReport:
    """Make a library of a folder's images and captions, or update it.

    The model defaults to the shipped captioner, loaded on `device`, and beside it the shipped dual encoder,
    which searches: the library then holds vectors of both, and the report is that of the captioner.

    Unchanged images are not read again. `captions=False` leaves out the model's captions, the slowest part; a
    model that is no captioner adds none. Tags and familiarity are stored too, where the model knows them.
    Vectors of other models stay. Skipped images are listed with their reasons in `skipped.jsonl` in the
    library. `prune` allows a run to remove all images stored from the folder, or most of them.

    Raises `UserError` where the library would be a new one without an image, `UsageError` for a model that is
    no image encoder, `TypeError` for what is no model.
    """
    if Path(folder).is_file():
        raise UserError(f"{folder} is a file; name the folder it is in")
    known = Store.fits(library)
    check_writable(Path(library) / LOCK)
    there = Path(folder).is_dir()
    if not there:
        stored = known and holds_images_of(Store.open(library), Path(folder))
        if not (stored and prune):
            drop = "; if its images are really gone, --prune drops them" if stored else ""
            raise UserError(f"there is no folder {folder}{drop}")
    images = survey(folder).images if there else []
    if not images and not known:
        raise no_images(folder)
    shipped = [] if model else [*filter(None, [shipped_dual_encoder(device)]), load_model(device=device)]
    models = [model] if model else _reading_once(shipped)
    for each in models:
        require_model(each)
        each.require(ImageEncoder)
    own_captions, whole = _own_captions(Path(folder)) if images else ({}, False)
    reports = index_images(
        folder,
        library,
        [Indexer(each, captions and each.can(Captioner), partial(sights, each)) for each in models],
        own_captions=own_captions,
        keep_captions=not whole,
        max_pixels=max_pixels,
        rebuild=rebuild,
        prune=prune,
    )
    own = {each.name for each in models}
    lost = next((report.lost for report in reports if report.lost), None)
    return replace(
        reports[-1], beside=tuple(name for name in reports[-1].beside if name not in own), lost=lost
    )


def open_library(folder: Path | str, model: Model | None = None) -> Library:
    """The model's vectors in a library; without a model, the vectors indexed last that came with captions.

    Warns where it holds no images, and where another model has indexed other images since.
    """
    library = Library.open(folder, model, captioned=model is None)
    if not len(library):
        logger.warning("%s holds no images yet; add some: %s", folder, index_command(folder))
    if library.behind:
        logger.warning(
            "%s has indexed other images or captions into %s since %s; index with it too to find them",
            library.behind,
            folder,
            library.name,
        )
    return library


def _reading_once(models: Sequence[Model]) -> list[Model]:
    """The same models, of which a frozen network that several read runs once per image."""
    inputs = [model.image_input for model in models]
    shared = sharing([given.backbone if given else None for given in inputs])
    return [
        replace(model, image_input=replace(given, backbone=backbone)) if given else model
        for model, given, backbone in zip(models, inputs, shared, strict=True)
    ]


def _own_captions(folder: Path) -> tuple[dict[Path, tuple[str, ...]], bool]:
    """The captions that lie in the folder, in any format, and whether all of them could be read.

    None are fine. Problems are warned of: a caption that a person deleted leaves the library, one in a
    damaged file stays.
    """
    try:
        source = read_captions(folder)
    except UserError as error:
        logger.warning(
            "captions in the folder cannot be read, and stored ones stay: %s", str(error).partition("\n")[0]
        )
        return {}, False
    log_problems(folder, source)
    unread = next((problem for problem in source.problems if problem.unread), None)
    if unread:
        logger.warning("images that lost all captions by this keep the stored ones: %s", unread)
    return {entry.path: entry.captions for entry in source.entries if entry.captions}, not unread
