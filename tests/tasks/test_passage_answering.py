"""Answers from windows of passages: the best span, and the window of the best log-odds."""

import itertools

import torch

from showtell.data.batch import Batch, TextBatch
from showtell.tasks.passage_answering import LONGEST, PassageAnswer, Window, best_answers, pointed

PASSAGE = "the cat sat on the mat"
SPANS = [(0, 3), (3, 7), (7, 11), (11, 14), (14, 18), (18, 22)]


def test_the_best_span_is_that_of_a_loop_over_all() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        logits = torch.randn(1, 10, 2, generator=generator)
        (found,) = pointed(logits, [Window(PASSAGE, SPANS, 3)])
        scores = {
            (i, j): (logits[0, 3 + i, 0] + logits[0, 3 + j, 1] - logits[0, 0].sum()).item()
            for i, j in itertools.combinations_with_replacement(range(6), 2)
        }
        (first, last), best = max(scores.items(), key=lambda pair: pair[1])
        assert found.text == PASSAGE[SPANS[first][0] : SPANS[last][1]].strip()
        assert PASSAGE[found.begin :].startswith(found.text)
        assert abs(found.log_odds - best) < 1e-5


def test_a_span_is_not_longer_than_it_may_be() -> None:
    count = LONGEST + 5
    logits = torch.zeros(1, count + 1, 2)
    logits[0, 1, 0] = logits[0, count, 1] = 9.0  # the first and the last token, too far apart
    logits[0, LONGEST, 1] = 8.0
    (found,) = pointed(logits, [Window("a" * count, [(n, n + 1) for n in range(count)], 1)])
    assert found.text == "a" * LONGEST


class Pointer:
    """Points at the token whose id is highest; none has the logit of token 0."""

    def span_logits(self, batch: Batch) -> torch.Tensor:
        return batch.texts.ids[..., None].expand(-1, -1, 2).float()


def test_each_question_is_answered_by_the_window_that_is_surest() -> None:
    def chunk(*rows: tuple[int, list[int], int]):
        ids = torch.tensor([ids for _, ids, _ in rows])
        windows = [(number, Window(PASSAGE, SPANS[first : first + 2], 1)) for number, _, first in rows]
        return Batch(texts=TextBatch(ids, torch.ones_like(ids).bool())), windows

    chunks = [chunk((0, [5, 1, 9], 0), (0, [0, 6, 1], 2)), chunk((1, [4, 1, 2], 4))]
    found = best_answers(Pointer(), None, chunks)
    assert found == [PassageAnswer("sat", 12.0, 8), PassageAnswer("mat", -4.0, 19)]
