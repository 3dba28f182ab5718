"""The Q-Former in plain loops: one row of queries and text in one pass, under a mask."""

import torch
from torch.nn import functional as F

UNI_MODAL, BIDIRECTIONAL, CAUSAL = "uni-modal", "bi-directional", "causal"


def attends(mask, queries, i, j):
    """Whether token `i` attends to token `j`; the first `queries` tokens are queries, the others text."""
    seeks, sought = i < queries, j < queries
    if mask == UNI_MODAL:
        return seeks == sought
    if mask == BIDIRECTIONAL:
        return True
    return sought if seeks else sought or j <= i


def _projected(layer, rows, x):
    bias = 0 if layer.bias is None else layer.bias[rows]
    return [layer.weight[rows] @ one + bias for one in x]


def _attention(layer, x, context, allowed):
    width, heads = layer.output.weight.shape[0], layer.num_heads
    size = width // heads
    if layer.crosses:
        queries = _projected(layer.query, slice(None), x)
        keys = _projected(layer.key_value, slice(width), context)
        values = _projected(layer.key_value, slice(width, None), context)
    else:
        parts = (slice(at * width, (at + 1) * width) for at in range(3))
        queries, keys, values = (_projected(layer.qkv, part, x) for part in parts)
    out = []
    for i, query in enumerate(queries):
        found = []
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            places = [j for j in range(len(keys)) if allowed(i, j)]
            scores = torch.stack([query[own] @ keys[j][own] / size**0.5 for j in places])
            weights = scores.exp() / scores.exp().sum()
            found.append(sum(w * values[j][own] for w, j in zip(weights, places, strict=True)))
        out.append(layer.output(torch.cat(found)))
    return out


def joint(former, image, ids, mask):
    """What queries and text become `[K+L D]`: `image [M C]`, `ids [L]` without padding."""
    count = len(former.queries)
    x = list(former.queries)
    x += [former.embed.tokens.weight[i] + former.embed.positions.weight[at] for at, i in enumerate(ids)]
    x = [former.norm(one) for one in x]
    for block in former.blocks:
        attended = _attention(block.attention, x, x, lambda i, j: attends(mask, count, i, j))
        x = [block.attention_norm(one + more) for one, more in zip(x, attended, strict=True)]
        queries, text = x[:count], x[count:]
        if block.looks:
            crossed = _attention(block.cross_attention, queries, list(image), lambda i, j: True)
            queries = [block.cross_attention_norm(q + more) for q, more in zip(queries, crossed, strict=True)]
        queries = [
            block.query_mlp_norm(q + block.query_mlp.down(F.gelu(block.query_mlp.up(q)))) for q in queries
        ]
        text = [block.mlp_norm(t + block.mlp.down(F.gelu(block.mlp.up(t)))) for t in text]
        x = [*queries, *text]
    return torch.stack(x)
