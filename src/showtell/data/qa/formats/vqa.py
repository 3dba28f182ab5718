"""VQA v2: a file of questions, and beside it one of annotations with ten answers to each.

Source: Goyal et al. 2017, "Making the V in VQA Matter". The images are COCO's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Problem
from showtell.data.captions.records import read_json
from showtell.data.qa.answers import normalise_answer
from showtell.data.qa.examples import ImageQuestion
from showtell.data.qa.images import ImageRows, coco_names
from showtell.data.splits import split_in

LOOKED_FOR = "VQA v2's *_questions.json, with its *_annotations.json and the images beside it"


def fits(file: Path) -> bool:
    """Whether a file is one of questions, as VQA calls and begins it."""
    name = file.name.lower()
    if not name.endswith("questions.json"):
        return False
    try:
        with file.open("rb") as opened:
            return b'"questions"' in opened.read(4096)
    except OSError:
        return False


def read(file: Path, problems: list[Problem]) -> Iterator[ImageQuestion | None]:
    """The questions of a file; None for one without answers, as those of the test split are."""
    value = read_json(file, problems)
    questions = value.get("questions") if isinstance(value, dict) else None
    if not isinstance(questions, list):
        problems.append(Problem(file, None, 'has no list "questions"', LOOKED_FOR))
        return
    answers = _answers(file, problems)
    subset, rows = str(value.get("data_subtype") or ""), ImageRows(file, problems)
    for number, one in enumerate(questions):
        asked: dict[str, Any] = one if isinstance(one, dict) else {}
        given = answers.get(asked.get("question_id"))
        if given is None and (asked or not answers):
            yield None
            continue
        image = asked.get("image_id")
        names = [] if image is None else [image]
        spelt = [coco_names(image, subset)] if names else None
        where = f"questions[{number}]"
        found = rows.example(None, where, names, asked.get("question"), given or (), spellings=spelt)
        if found is not None:
            yield found


def _answers(questions: Path, problems: list[Problem]) -> dict[Any, list[str]]:
    """The answers to each question, spelt alike, from the annotations of the same split."""
    split = split_in(questions.stem)
    beside = [
        file
        for file in sorted(questions.parent.glob("*annotations.json"))
        if (said := split_in(file.stem)) and split and said[0] == split[0]
    ]
    found: dict[Any, list[str]] = {}
    for file in beside:
        value = read_json(file, problems)
        annotations = value.get("annotations") if isinstance(value, dict) else None
        if not isinstance(annotations, list):
            problems.append(Problem(file, None, 'has no list "annotations"', "copy it again"))
            continue
        for number, one in enumerate(annotations):
            answers = one.get("answers") if isinstance(one, dict) else None
            given = [
                normalise_answer(str(answer["answer"]))
                for answer in answers or ()
                if isinstance(answer, dict) and answer.get("answer")
            ]
            if given := [answer for answer in given if answer]:
                found[one.get("question_id")] = given
            else:
                what = f"annotations[{number}] has no answers"
                problems.append(Problem(file, None, what, 'write "answers": [{"answer": ...}]'))
    return found
