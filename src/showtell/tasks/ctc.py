"""Text from the probabilities of characters along a line: connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float


def ctc_greedy(
    probabilities: Float[np.ndarray, "L V"], characters: Sequence[str], *, space: float = 0.5
) -> tuple[str, float]:
    """The most probable character at each place, without repeats and blanks, and their mean probability.

    `characters[0]` is the blank. If `" "` is a character, one is also written where its probability is above
    `space` somewhere between two others: recognisers that were trained on Chinese are too shy of it. The
    confidence of an empty text is 0.

    Source: Graves et al. 2006, "Connectionist Temporal Classification", section 3.2, best path decoding.

    >>> ctc_greedy(np.eye(3)[[1, 1, 0, 1, 2]], ["", "a", "b"])
    ('aab', 1.0)
    >>> shy = np.array([[0, 1, 0], [0.9, 0, 0.1], [0, 1, 0]])
    >>> ctc_greedy(shy, ["", "a", " "])[0], ctc_greedy(shy, ["", "a", " "], space=0.05)[0]
    ('aa', 'a a')
    """
    best = probabilities.argmax(-1)
    kept = np.flatnonzero((best != 0) & (best != np.concatenate([[0], best[:-1]])))
    if not len(kept):
        return "", 0.0
    pieces = [characters[i] for i in best[kept]]
    if " " in characters:
        blank = probabilities[:, characters.index(" ")]
        for i, (before, after) in enumerate(pairwise(kept)):
            apart = " " not in (characters[best[before]], characters[best[after]])
            if apart and blank[before + 1 : after].max(initial=0) > space:
                pieces[i] += " "
    return "".join(pieces), float(probabilities[kept].max(-1).mean())
