"""Additive attention, scored by a small network."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from showtell.nn.linear import Linear
from showtell.nn.watch import attention_watcher
from showtell.protocols import State


class AdditiveAttention(nn.Module):
    """`e_i = v . tanh(W a_i + U h)`, `alpha = softmax(e)`, `z = sum_i alpha_i a_i`.

    Source: Bahdanau et al. 2015, appendix A.1.2; Xu et al. 2015, equations 4 to 6.
    """

    def __init__(self, token_width: int, query_width: int, width: int) -> None:
        super().__init__()
        self.key = Linear(token_width, width)
        self.query = Linear(query_width, width, bias=False)
        self.score = Linear(width, 1, bias=False)

    def prefill(self, tokens: Float[Tensor, "B N D"]) -> State:
        """Keys `[B N A]` of the tokens, computed once for all queries, and the tokens as values."""
        return {"keys": self.key(tokens), "values": tokens}

    def forward(
        self, query: Float[Tensor, "B K Q"], memory: State
    ) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B K N"]]:
        """Averages `[B K D]` and weights `[B K N]` of `K` queries per image, over its keys and values."""
        hidden = memory["keys"][:, None] + self.query(query).unsqueeze(-2)
        weights = self.score(hidden.tanh_()).squeeze(-1).softmax(-1)
        if (maps := attention_watcher.get()) is not None:
            maps.append(weights.detach())
        return weights @ memory["values"], weights
