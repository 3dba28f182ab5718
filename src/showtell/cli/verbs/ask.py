"""`showtell ask`."""

from __future__ import annotations

from typing import Annotated

import typer

from showtell.cli.input import Failures, names_file, paths
from showtell.cli.options import (
    DEFAULT_MAX_PIXELS,
    Device,
    Json,
    MaxPixels,
    OwnModel,
    Precision,
    Regions,
    Strict,
    Top,
)
from showtell.cli.output import print_json, print_text
from showtell.errors import UsageError
from showtell.wording import one_line

PANEL = "Images"


def ask(
    images_and_question: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE... QUESTION",
            help="Images or folders of images, or - to read paths from standard input; then the question.",
        ),
    ],
    top: Top = 5,
    model: OwnModel = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    regions: Regions = None,
    strict: Strict = False,
    device: Device = "auto",
    precision: Precision = "float32",
    json: Json = False,
) -> None:
    """Answer a question about each image, by a model of `showtell train vqa_vilt`, or one that writes its
    answers, such as an imported BLIP or a LLaVA, which is told to answer by a word or a phrase.

    A model of statements about two images, such as NLVR2's, reads two images for each question. A file that
    cannot be read is named on standard error, and the exit status is 1.
    """
    *files, question = images_and_question
    if not files:
        raise UsageError('name images and then the question: showtell ask cat.jpg "what is it?"')
    if names_file(question):
        raise UsageError(f"{question} is a file: the question comes last, after the images")
    if model is None:
        raise UsageError(
            "no model that answers about images is shipped: name one with --model, of `showtell train "
            "vqa_vilt`, or an imported BLIP, LLaVA or Qwen-VL"
        )
    from showtell.pipelines.ask import ask
    from showtell.pipelines.model import load_model

    failures = Failures()
    loaded = load_model(model, device, regions=regions, precision=precision)
    for one in ask(
        paths(files), question, loaded, top=top, max_pixels=max_pixels, skip=failures, strict=strict
    ):
        if json:
            print_json(one)
        else:
            named = one.path if isinstance(one.path, str) else " ".join(one.path)
            said = ", ".join(f"{each.answer} {each.probability:.2f}" for each in one.answers)
            print_text(f"{one_line(named)}: {said}")
    failures.exit()
