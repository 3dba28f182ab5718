"""Figures of extracted documents, by kind of material and by field."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from showtell.datasets.documents import read_documents
from showtell.datasets.printed_text import MIN_CONFIDENCE, read_lines
from showtell.errors import UserError
from showtell.pipelines.document_readers import reader_of
from showtell.pipelines.model import Model
from showtell.progress import report
from showtell.tasks.document_figures import document_figures
from showtell.tasks.documents import DocumentError
from showtell.tasks.grammar import accepts

logger = logging.getLogger(__name__)


def document_evaluation(model: Model, data: Path, split: str) -> dict[str, Any]:
    """`document_figures` of what a model reads in the documents of one split, under its default schema.

    `valid` is the share of answers that keep the schema, `truncated` that of those that were cut, `failed`
    that of documents without an answer, whose materials count as missing.

    Raises `UserError` for another split than `train` and `val`, `MissingError` without the weights that read
    text.
    """
    divided = read_documents(data)
    splits = {"train": divided.training, "val": divided.validation}
    if split not in splits:
        raise UserError(f"{data} has no documents in the split {split!r}; it has train, val")
    documents, reader = splits[split], reader_of(model)
    said = list[Any]()
    truncated = failed = valid = 0
    for number, lines in enumerate(read_lines([one.path for one in documents]), 1):
        try:
            found = reader([line for line in lines if line.confidence >= MIN_CONFIDENCE], reader.schema)
        except DocumentError as error:
            logger.info("%s: %s", documents[number - 1].path, error)
            failed += 1
            said.append([])
        else:
            valid += accepts(reader.schema, json.dumps(found.document, ensure_ascii=False))
            truncated += found.truncated
            said.append(found.document)
        report("reading documents", number, len(documents))
    answers = max(len(documents) - failed, 1)
    return {
        "model": model.name,
        "split": split,
        "documents": len(documents),
        "valid": valid / answers,
        "truncated": truncated / answers,
        "failed": failed / len(documents),
        **document_figures([one.materials for one in documents], said),
    }
