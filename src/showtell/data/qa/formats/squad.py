"""Questions on passages, as SQuAD and XQuAD write them: one JSON file.

Source: Rajpurkar et al. 2016, 2018 (questions without an answer).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Problem
from showtell.data.captions.records import read_json
from showtell.data.qa.examples import Question

LOOKED_FOR = 'JSON of {"data": [{"paragraphs": [{"context", "qas": [{"question", "answers"}]}]}]}'


def fits(file: Path) -> bool:
    """Whether a file begins as SQuAD does."""
    if file.suffix.lower() != ".json":
        return False
    try:
        with file.open("rb") as opened:
            start = opened.read(4096)
    except OSError:
        return False
    return b'"paragraphs"' in start or (b'"data"' in start and b'"context"' in start)


def read(file: Path, problems: list[Problem]) -> Iterator[Question]:
    """The questions of a file; one whose answer is not where it should be is a problem."""
    value = read_json(file, problems)
    articles = value.get("data") if isinstance(value, dict) else None
    if not isinstance(articles, list):
        if not any(problem.file == file for problem in problems):
            problems.append(Problem(file, None, 'has no list "data"', LOOKED_FOR))
        return
    for number, article in enumerate(articles):
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            fix = 'write {"paragraphs": [...]}'
            problems.append(Problem(file, None, f"data[{number}] has no paragraphs", fix))
            continue
        for place, paragraph in enumerate(paragraphs):
            yield from _questions(file, f"data[{number}].paragraphs[{place}]", paragraph, problems)


def _questions(file: Path, where: str, paragraph: Any, problems: list[Problem]) -> Iterator[Question]:
    context = paragraph.get("context") if isinstance(paragraph, dict) else None
    asked = paragraph.get("qas") if isinstance(paragraph, dict) else None
    if not isinstance(context, str) or not isinstance(asked, list):
        problems.append(Problem(file, None, f"{where} has no context, or no qas", "write both"))
        return
    for number, one in enumerate(asked):
        here = f"{where}.qas[{number}]"
        question = one.get("question") if isinstance(one, dict) else None
        if not isinstance(question, str) or not question.strip():
            problems.append(Problem(file, None, f"{here} has no question", "write it, or delete the entry"))
            continue
        answers = one.get("answers")
        found = _answers(answers, context)
        if found is None:
            what = f"{here} has no answers"
            problems.append(Problem(file, None, what, 'write "answers": [{"answer_start", "text"}]'))
        elif wrong := next(((s, t) for s, t in found if context[s : s + len(t)] != t or s < 0), None):
            start, text = wrong
            at = context.find(text)
            fix = f"its answer_start is {at}" if at >= 0 else "copy the answer from the context"
            problems.append(Problem(file, None, f"{here}: {text!r} is not at character {start}", fix))
        elif not found and not one.get("is_impossible"):
            fix = 'add one, or "is_impossible": true'
            problems.append(Problem(file, None, f"{here} has an empty list of answers", fix))
        else:
            yield Question(str(one.get("id", here)), context, question.strip(), found)


def _answers(answers: Any, context: str) -> tuple[tuple[int, str], ...] | None:
    """Start and text of each answer; None where something else is written."""
    if not isinstance(answers, list):
        return None
    found = []
    for answer in answers:
        start, text = (answer.get("answer_start"), answer.get("text")) if isinstance(answer, dict) else (0, 0)
        if not isinstance(start, int) or not isinstance(text, str) or not text:
            return None
        found.append((start, text))
    return tuple(dict.fromkeys(found))
