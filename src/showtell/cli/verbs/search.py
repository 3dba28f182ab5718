"""`showtell search`."""

from __future__ import annotations

from typing import Annotated

import typer

from showtell.cli.input import Failures, lines
from showtell.cli.options import (
    DEFAULT_LIBRARY,
    Device,
    Json,
    Library,
    Model,
    Regions,
    Seed,
    Strict,
    Top,
    engine_names,
    engines_help,
)
from showtell.cli.output import print_error, print_json, print_note, print_text
from showtell.cli.results import print_hits
from showtell.errors import UsageError, UserError
from showtell.wording import one_line

PANEL = "Images"


def search(
    query: Annotated[str, typer.Argument(help="A description, or - for one query per line.")],
    library: Library = DEFAULT_LIBRARY,
    engine: Annotated[
        str | None,
        typer.Option(
            help=f"{engines_help()}\n\nDefault: the first that the model supports; without --model "
            "rerank, where this machine does it within 0.2 s.",
            show_default=False,
            autocompletion=engine_names,
        ),
    ] = None,
    top: Top = 10,
    model: Model = None,
    proposer: Annotated[
        str | None,
        typer.Option(
            help="The model that proposes images to --engine rerank. Default: the shipped one.",
            show_default=False,
        ),
    ] = None,
    loss_curve: Annotated[
        bool, typer.Option("--loss-curve", help="Also show the loss of the inversion, step by step.")
    ] = False,
    seed: Seed = 0,
    regions: Regions = None,
    strict: Strict = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find images by a description."""
    if loss_curve and engine != "inversion":
        raise UsageError("--loss-curve needs --engine inversion")
    from showtell.pipelines.engine import engine_named, require_engine
    from showtell.pipelines.model import load_model
    from showtell.pipelines.search import Searcher, check_search
    from showtell.pipelines.shipped import default_engine, model_for, proposer_for

    if proposer and not model:
        raise UsageError("--proposer needs --model, the model that re-ranks what it proposes")
    wanted = engine_named(engine) if engine else None  # an unknown one is refused before all else
    check_search(None if query == "-" else query, library)
    named = model and (wanted is None or wanted.needs_model)
    if model and not named:
        print_note(f"the engine {engine} needs no model: {model} is not read")
    if not model and engine is None:
        engine = default_engine(library, device)
    chosen = load_model(model, device, regions=regions) if named else model_for(library, engine, device)
    proposes = load_model(proposer, device) if proposer else None if named else proposer_for(engine, device)
    if chosen and engine and not proposes:
        require_engine(engine, chosen)
    searcher = Searcher(library, chosen, proposes)
    failures, cuts, told = Failures(), searcher.cuts(strict), False
    for text in lines([query]):
        try:
            answer = searcher.search(text, engine, top, seed, cuts)
        except UserError as error:
            if query != "-":
                raise
            failures(error)
            continue
        if answer.unknown:
            print_error(f"words that the model does not know were ignored: {', '.join(answer.unknown)}")
        if answer.nothing_alike:
            said = one_line(text[:40])
            print_error(f"nothing here looks like that: {said} (the nearest are no nearer than by chance)")
        if not (json or told):
            print_note(f"scores of the engine {answer.engine}")
            told = True
        print_hits(text, answer.hits, library, json, answer.chance, answer.engine)
        if loss_curve and answer.loss_curve is not None:
            curve = [round(loss, 4) for loss in answer.loss_curve]
            if json:
                print_json({"query": text, "loss_curve": curve})
            else:
                print_text(f"loss, nats per token: {' '.join(f'{loss:.3f}' for loss in curve)}")
    cuts.log()
    failures.exit()
