"""Next sentence prediction: does the second sentence follow the first?"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


def next_sentence(logits: Float[Tensor, "R 2"], follows: Bool[Tensor, " R"]) -> Float[Tensor, ""]:
    """Cross-entropy of `logits [R 2]` (follows, does not follow) and `follows`, `bool [R]`, in nats.

    Source: Devlin et al. 2019, section 3.1, task 2.
    """
    return F.cross_entropy(logits, (~follows).long())
