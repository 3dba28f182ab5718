"""`showtell evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import (
    DEFAULT_BEAM,
    Beam,
    Consensus,
    Data,
    Device,
    Format,
    Json,
    Model,
    Precision,
    Regions,
    Strict,
    engine_names,
)
from showtell.cli.output import flattened, print_json, print_table

PANEL = "Training and evaluation"


def evaluate(
    data: Data,
    model: Model = None,
    split: Annotated[str, typer.Option(help="The split of the data to evaluate on.")] = "val",
    format: Format = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Evaluate this search engine only; repeat for more.",
            show_default=False,
            autocompletion=engine_names,
        ),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="How many captions to search for.")] = 1000,
    beam: Beam = DEFAULT_BEAM,
    consensus: Consensus = True,
    words: Annotated[
        Path | None,
        typer.Option(
            help="A folder with questions-words.txt or wordsim353.tsv: evaluate word embeddings too.",
            show_default=False,
        ),
    ] = None,
    regions: Regions = None,
    strict: Strict = False,
    device: Device = "auto",
    precision: Precision = "float32",
    json: Json = False,
) -> None:
    """Evaluate a captioner or a dual encoder: captions, search, retrieval, word embeddings; or the answers of
    a model that was trained to answer questions about images.

    On labelled documents (SROIE, materials.jsonl): what a tagger or a language model reads in them, by kind
    of material and field; by default the shipped tagger.
    """
    from showtell.data.documents.labelled import holds_documents
    from showtell.evaluation.evaluate import evaluate
    from showtell.pipelines.document_readers import SHIPPED
    from showtell.pipelines.model import load_model

    figures = evaluate(
        load_model(
            model or (SHIPPED if holds_documents(data) else None),
            device,
            regions=regions,
            precision=precision,
        ),
        data,
        split,
        format=format,
        engines=engine,
        queries=queries,
        beam=beam,
        consensus=consensus,
        words=words,
        strict=strict,
    )
    if json:
        print_json(figures)
    else:
        print_table(["figure", "value"], [(name, _shown(value)) for name, value in flattened(figures)])


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
