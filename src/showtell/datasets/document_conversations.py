"""Labelled documents as a language model is asked for them, and as it is tuned on them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from showtell.data.conversations.conversation import Conversation, Message, Source
from showtell.data.documents.labelled import Labelled, Material
from showtell.data.documents.materials import KIND, MATERIALS, schema_of
from showtell.data.tokenizers.chat import IMAGE
from showtell.datasets.documents import pages_of, read_documents
from showtell.errors import UserError
from showtell.tasks.documents import DocumentError, asked, instruction, page_text, written
from showtell.wording import counted

logger = logging.getLogger(__name__)


def document_source(data: Path, format: str | None, seeing: bool) -> Source:
    """A conversation for each training document of a data set; those held out are left to be evaluated on.

    The question holds the text of the image with its layout, or, for a model that is `seeing`, the image, as
    `showtell extract` asks. The answers keep the schema of the kinds of material in the training documents.
    Documents that do not keep it are left out, counted. Raises as `read_documents` and `pages_of`, and
    `UserError` where none is left.
    """
    documents = read_documents(data, format)
    logger.info("%s held out, not read", counted(len(documents.validation), "document"))
    kinds = kinds_of([material for one in documents.training for material in one.materials])
    schema = schema_of(kinds)
    labelled, answers, wrong = list[Labelled](), list[str](), list[str]()
    for one in documents.training:
        try:
            answers.append(written([_ordered(material, kinds) for material in one.materials], schema))
            labelled.append(one)
        except DocumentError as error:
            wrong.append(f"{one.path}: {error}")
    if wrong:
        logger.warning(
            "%s left out, whose materials cannot be written; the first: %s",
            counted(len(wrong), "document"),
            wrong[0],
        )
    if not labelled:
        raise UserError(f"{data}: no document is left to train on; the first: {wrong[0]}")
    if seeing:
        questions = [IMAGE + instruction(schema)] * len(labelled)
    else:
        pages = pages_of(labelled)
        questions = [asked(page_text(page.texts, page.boxes), schema)[0]["content"] for page in pages]
    conversations = [
        Conversation(
            (Message("user", question), Message("assistant", answer)),
            (one.path,) if seeing else (),
            where=str(one.path),
        )
        for one, question, answer in zip(labelled, questions, answers, strict=True)
    ]
    return Source("documents", conversations, [], (), schema)


def kinds_of(materials: Sequence[Material]) -> dict[str, list[str]]:
    """The kinds of some materials and the fields of each: those known by default in their order, then others.

    >>> kinds_of([{KIND: "receipt", "vat": "1"}, {KIND: "pass", "to": "A", "from": "B"}])
    {'receipt': ['company', 'date', 'address', 'total', 'vat'], 'pass': ['to', 'from']}
    """
    found: dict[str, dict[str, None]] = {}
    for material in materials:
        kind = material[KIND]
        fields = found.setdefault(kind, dict.fromkeys(MATERIALS.get(kind, ())))
        fields.update(dict.fromkeys(name for name in material if name != KIND))
    return {kind: list(fields) for kind, fields in found.items()}


def _ordered(material: Material, kinds: dict[str, list[str]]) -> dict[str, Any]:
    """A material with its fields in the order of the schema, without empty ones."""
    kind = material[KIND]
    return {KIND: kind, **{name: material[name] for name in kinds[kind] if material.get(name)}}
