"""Figures of extracted documents: materials that are found, and their fields, exactly and nearly."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from showtell.data.documents.materials import KIND
from showtell.tasks.answer_figures import overlap
from showtell.tasks.page_words import CJK
from showtell.tasks.word_labels import label, normalised

UNIT = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
"""A run of letters and digits, or a Chinese or Japanese character."""
SCORES = ("exact", "normalised", "f1")
Materials = Sequence[Mapping[str, Any]]


def field_scores(said: str, truth: str) -> tuple[float, float, float]:
    """Whether a value is the true one, whether it is without case, blanks and signs, and the F1 of its words.

    A value that is missing, or should be, is "".

    >>> field_scores("NO 290,JALAN AIR", "NO 290, JALAN AIR"), field_scores("9.00", "")
    ((0.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    """
    words = overlap(UNIT.findall(said.casefold()), UNIT.findall(truth.casefold()))
    return float(said == truth), float(normalised(said) == normalised(truth)), words


def document_figures(truth: Sequence[Materials], said: Sequence[Materials]) -> dict[str, Any]:
    """`kinds`, the F1 of the materials by kind; `exact`, `normalised`, `f1`, means over the fields.

    `by_kind` has the same of each kind and `by_field` of each field, means over the materials that have it or
    are said to. Materials of one kind in one document are paired so that most fields agree; one without a
    partner has every field wrong.

    >>> one, other = ({KIND: "receipt", "total": total} for total in ("9.00", "RM9.00"))
    >>> found = document_figures([[one]], [[other]])
    >>> found["kinds"], found["exact"], round(found["f1"], 2)
    (1.0, 0.0, 0.5)
    """
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    matched = total = 0
    for known, found in zip(truth, said, strict=True):
        total += len(known) + len(found)
        for one, other in _pairs(known, found):
            matched += bool(one and other)
            kind = (one or other)[KIND]
            for name in {**one, **other}:
                if name != KIND:
                    rows[label(kind, name)].append(field_scores(str(other.get(name, "")), one.get(name, "")))
    by_field = {
        name: dict(zip(SCORES, np.mean(rows[name], 0).tolist(), strict=True)) for name in sorted(rows)
    }
    kinds = sorted({name.partition("/")[0] for name in by_field})
    of_kind = {kind: [by_field[name] for name in by_field if name.startswith(f"{kind}/")] for kind in kinds}
    return {
        "kinds": 2 * matched / total if total else 1.0,
        **_means(list(by_field.values())),
        "by_kind": {kind: _means(of_kind[kind]) for kind in kinds},
        "by_field": by_field,
    }


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) if rows else 0.0 for name in SCORES}


def _pairs(truth: Materials, said: Materials) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Materials of one kind together, {} for one that has no partner."""
    for kind in sorted({str(one.get(KIND)) for one in [*truth, *said]}):
        known = [one for one in truth if one.get(KIND) == kind]
        found = [one for one in said if str(one.get(KIND)) == kind]
        agree = [
            [sum(field_scores(str(b.get(name, "")), a[name])[2] for name in a) for b in found] for a in known
        ]
        first, second = linear_sum_assignment(agree, maximize=True) if known and found else ((), ())
        yield from ((known[i], found[j]) for i, j in zip(first, second, strict=True))
        yield from ((one, {}) for i, one in enumerate(known) if i not in set(first))
        yield from (({}, one) for j, one in enumerate(found) if j not in set(second))
