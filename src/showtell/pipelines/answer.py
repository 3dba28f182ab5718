"""Questions on a passage answered by a model that reads it as tokens, or as images that are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from showtell.data.qa.examples import Question
from showtell.data.tokenizers.wellformed import wellformed
from showtell.datasets.cuts import Cuts
from showtell.datasets.question_windows import QuestionWindows
from showtell.errors import UsageError
from showtell.pipelines.classify_texts import text_input
from showtell.pipelines.model import Model
from showtell.tasks.passage_answering import best_answers


@dataclass(frozen=True)
class AnsweredQuestion:
    """A question with its answer."""

    question: str
    answer: str
    """Empty where the model says that the passage has none."""
    begin: int | None
    """Its first character in the passage; None for an answer that was written, not pointed at."""
    log_odds: float
    """log P(answer) - log P(none), nats, in the window that answers."""
    windows: int
    """Parts of the passage that were read with the question."""
    model: str
    """Name of the model."""


def answer(
    questions: Iterable[str], passage: str, model: Model, *, strict: bool = False
) -> Iterator[AnsweredQuestion]:
    """The answer to each question on a passage, which may be long: the best of its windows answers.

    A question of more than half of what the model reads is cut, with a warning, or with `strict` refused by a
    `UserError`; so are an empty passage, and a text that no font draws, where it is drawn. Raises
    `UsageError` for a model that does not answer questions on passages.

    Example::

        for one in answer(["Who runs?"], "Ann runs and Bob sits.", load_model("run")):
            print(one.answer, one.log_odds)
    """
    if not hasattr(model.system.config, "abstains"):
        raise UsageError(
            f"the model {model.name} does not answer questions on passages; train one with showtell train "
            "answer_bert"
        )
    given, passage = text_input(model), wellformed(passage)
    reader = QuestionWindows(given)
    cuts = Cuts(reader.limit // 2, f"{model.name} reads", "question", strict=strict)
    for question in questions:
        row, lost = reader.prepare(Question("", passage, wellformed(question), ()))
        cuts.add(question, lost)
        (best,) = best_answers(model.system, given.tokenizer, reader.chunks([row], model.device))
        none = model.system.config.abstains and best.log_odds < 0
        yield AnsweredQuestion(
            question,
            "" if none else best.text,
            None if none else best.begin,
            best.log_odds,
            len(row.windows),
            model.name,
        )
    cuts.log()
