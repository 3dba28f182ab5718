"""Options that several verbs share."""

from __future__ import annotations

import ast
import pkgutil
from pathlib import Path
from typing import Annotated, Any

import typer

from showtell import device
from showtell.pipelines import engines

Json = Annotated[bool, typer.Option("--json", help="Print JSON Lines.")]


def _model(default: str) -> Any:
    """The option of a model; `default` says what is taken without it."""
    return typer.Option(
        "--model",
        "-m",
        envvar="SHOWTELL_MODEL",
        help="A checkpoint, the folder of a training run, or a name that `showtell models` lists; " + default,
        show_default=False,
    )


Model = Annotated[str | None, _model("default: the shipped model.")]
OwnModel = Annotated[str | None, _model("none of these is shipped.")]
Library = Annotated[
    Path, typer.Option("--library", "-l", envvar="SHOWTELL_LIBRARY", help="The folder of the library.")
]
Data = Annotated[Path, typer.Option("--data", "-d", help="Images with captions: a folder or a caption file.")]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Format of the captions; default: detected.", show_default=False),
]
Precision = Annotated[
    device.Precision,
    typer.Option(help="int8: linear layers in 8 bits, on a CPU: several times as fast, nearly as exact."),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Top = Annotated[int, typer.Option("--top", "-n", min=1, help="How many results to show.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed.")]
MaxPixels = Annotated[int, typer.Option(min=1, help="Refuse larger images before decoding them.")]
MaxImageTokens = Annotated[
    int | None,
    typer.Option(
        min=4,
        help="The most tokens that a Qwen-VL makes of an image, which is resized to them: more show smaller "
        "print, and take more memory and time. Default: 512 on a CPU, 1280 on a GPU (Qwen3-VL: 392, 980).",
        show_default=False,
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse texts that are too long; do not cut them.")]
Regions = Annotated[
    Path | None,
    typer.Option(
        help="For a model that reads regions: the file or folder of those of your images. "
        "Default: what it was trained on.",
        show_default=False,
    ),
]
Images = Annotated[
    list[str],
    typer.Argument(
        help="Images, folders of images, or - to read paths from standard input, one per line or separated "
        "by NUL (find -print0)."
    ),
]
Beam = Annotated[int, typer.Option(min=1, max=1000, help="Beam size.")]
Consensus = Annotated[
    bool,
    typer.Option(
        "--consensus/--most-probable",
        help="Of a beam's captions choose the one that most agrees with all, or the most probable one.",
    ),
]

DEFAULT_LIBRARY = Path("library")
# Equal to `tasks.caption.BEAM`, whose import would load torch for `--help`.
DEFAULT_BEAM = 10
# Equal to `data.images.decode.MAX_PIXELS`, whose import would load Pillow for `--help`.
DEFAULT_MAX_PIXELS = 100_000_000


def engine_names() -> list[str]:
    """The search engines, by the files of `pipelines/engines`: an import would load torch for `--help`."""
    return sorted(module.name for module in pkgutil.iter_modules(engines.__path__))


def engines_help() -> str:
    """A line for each engine: its name, and the first line of its file."""
    folder = Path(engines.__path__[0])
    docs = {
        name: ast.get_docstring(ast.parse((folder / f"{name}.py").read_text())) for name in engine_names()
    }
    return "\n\n".join(f"{name}: {(doc or '').partition(chr(10))[0]}" for name, doc in docs.items())
