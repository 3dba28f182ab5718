"""The verbs for images: caption, index, search, similar."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from showtell.cli.options import (
    DEFAULT_LIBRARY,
    DEFAULT_MAX_PIXELS,
    Device,
    Engine,
    Json,
    LibraryPath,
    MaxPixels,
    ModelPath,
    Seed,
    Top,
)
from showtell.cli.output import complain, emit, progress, say, table, text
from showtell.errors import UsageError, UserError

if TYPE_CHECKING:
    from showtell.pipelines.search import Hit


def caption(
    files: Annotated[
        list[str], typer.Argument(help="Images, folders of images, or - to read paths line by line.")
    ],
    model: ModelPath = None,
    beam: Annotated[int, typer.Option(min=1, help="Hypotheses kept by beam search.")] = 5,
    num: Annotated[int, typer.Option(min=1, help="Captions an image.")] = 1,
    sample: Annotated[
        Literal["nucleus"] | None, typer.Option(help="Draw captions instead of searching the best.")
    ] = None,
    seed: Seed = 0,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Say what images show, and how sure that is.

    A file that cannot be read is named on standard error; the others go on, and the exit status is 1.
    """
    from showtell.pipelines.caption import caption
    from showtell.pipelines.model import load_model

    failed: list[object] = []

    def skip(error: object) -> None:
        failed.append(error)
        complain(error)

    given = (path for name in files for path in (lines() if name == "-" else [name]))
    loaded = load_model(model, device)
    for image in caption(
        given, loaded, beam=beam, num=num, sample=sample, seed=seed, max_pixels=max_pixels, skip=skip
    ):
        if json:
            emit(image)
            continue
        text(image.path)
        for said in image.captions:
            text(f"  {said.text}  ({said.logprob_per_token:.2f} per token)")
    if failed:
        raise typer.Exit(1)


def index(
    folder: Annotated[Path | None, typer.Argument(help="A folder of images.", show_default=False)] = None,
    library: LibraryPath = DEFAULT_LIBRARY,
    model: ModelPath = None,
    captions: Annotated[bool, typer.Option(help="Have the model caption every image.")] = True,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make everything anew.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the library with its images; change nothing.")
    ] = False,
    forget: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Drop the vectors of a model, such as clip@0123456789ab.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Bring a library into step with a folder of images.

    Reads what is new or changed, drops what is gone. Another model's vectors are kept beside, and follow
    when that model indexes. Images that cannot be read are listed with the reason in skipped.jsonl
    in the library.
    """
    if forget is not None:
        from showtell.library.forget import forget as drop

        if folder is not None:
            raise UsageError(f"--forget indexes nothing: leave out {folder}")
        drop(library, forget)
        return say(f"{library}: the vectors of {forget} are gone")
    if verify:
        return _verify(library, json)
    if folder is None:
        raise UsageError("name the folder of images to index")
    from showtell.pipelines.index import index
    from showtell.pipelines.model import load_model

    loaded = load_model(model, device)
    with progress(f"indexing {folder}") as tell:
        report = index(
            folder,
            library,
            loaded,
            captions=captions,
            progress=tell,
            max_pixels=max_pixels,
            rebuild=rebuild,
        )
    counts = asdict(report)
    if lost := counts.pop("lost"):
        complain(lost)
    if beside := counts.pop("beside"):
        say(
            f"{library} keeps the vectors of {', '.join(beside)} beside those of {loaded.name}; "
            f"showtell index --library {shlex.quote(str(library))} --forget {beside[-1]} drops such"
        )
    if json:
        emit(counts)
    else:
        seconds = counts.pop("seconds")
        text(f"{', '.join(f'{name} {count}' for name, count in counts.items())} in {seconds:.1f} s")
    if report.skipped:
        say(f"{report.skipped} skipped: {library / 'skipped.jsonl'} says why")
    return None


def search(
    query: Annotated[str, typer.Argument(help="What the image shows, or - for one query a line.")],
    library: LibraryPath = DEFAULT_LIBRARY,
    engine: Annotated[
        Engine | None,
        typer.Option(
            help="likelihood: images of which the model would say this. inversion: images like the one "
            "it imagines. captions: images whose stored captions have these words. dot: images whose "
            "vectors are near that of the words. Without it, likelihood or dot, as the model can.",
            show_default=False,
        ),
    ] = None,
    top: Top = 10,
    model: ModelPath = None,
    loss_curve: Annotated[
        bool, typer.Option("--loss-curve", help="Also show how the inversion descended.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find images by description."""
    if loss_curve and engine != Engine.inversion:
        raise UsageError(f"--loss-curve is of the inversion engine, not of {engine}")
    from showtell.pipelines.model import load_model
    from showtell.pipelines.search import Searcher

    searcher = Searcher(library, None if engine == Engine.captions else load_model(model, device))
    failed = False
    for asked in lines() if query == "-" else [query]:
        try:
            answer = searcher.search(asked, engine, top, seed)
        except UserError as error:
            if query != "-":
                raise
            complain(error)
            failed = True
            continue
        if answer.unknown:
            complain(f"left out, as the model does not know them: {', '.join(answer.unknown)}")
        _show(asked, answer.hits, json)
        if loss_curve and answer.loss_curve is not None:
            curve = [round(loss, 4) for loss in answer.loss_curve]
            if json:
                emit({"query": asked, "loss_curve": curve})
            else:
                text(f"loss, nats a word: {' '.join(f'{loss:.3f}' for loss in curve)}")
    if failed:
        raise typer.Exit(1)


def similar(
    image: Annotated[Path, typer.Argument(help="An image, in the library or not.")],
    library: LibraryPath = DEFAULT_LIBRARY,
    top: Top = 10,
    model: ModelPath = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find the images most like an image."""
    from showtell.pipelines.model import load_model
    from showtell.pipelines.search import similar

    found = similar(image, library, load_model(model, device), top, max_pixels=max_pixels)
    _show(str(image), found, json)


def _show(query: str, hits: Sequence[Hit], json: bool) -> None:
    if json:
        for hit in hits:
            emit({"query": hit.query, "rank": hit.rank, "path": hit.path, "score": hit.score})
    elif not hits:
        text(f"{query}: nothing found")
    else:
        text(query)
        table(["rank", "score", "path"], [(hit.rank, hit.score, hit.path) for hit in hits])


def _verify(library: Path, json: bool) -> None:
    from showtell.library.verify import verify

    problems = verify(library)
    for problem in problems:
        emit(problem) if json else text(f"{problem.path}: {problem.what}")
    if problems:
        say(
            f"mend it with: showtell index FOLDER --library {shlex.quote(str(library))}, "
            "and with --rebuild where that does not help"
        )
        raise typer.Exit(1)
    say(f"{library}: nothing is wrong")


def lines() -> Iterator[str]:
    """Lines of standard input as they come, empty ones left out."""
    for line in sys.stdin:
        if line := line.rstrip("\r\n"):
            yield line
