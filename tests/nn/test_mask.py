"""The mask rule against its definition, query by query and key by key."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.nn.mask import attention_mask


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_mask_follows_its_definition(data):
    size = data.draw(st.integers(1, 6))
    row = st.lists(st.booleans(), min_size=size, max_size=size)
    keep = data.draw(st.none() | row)
    segments = data.draw(st.none() | st.lists(st.integers(0, 2), min_size=size, max_size=size))
    causal, prefix = data.draw(st.booleans()), data.draw(st.integers(0, size))
    queries = data.draw(st.integers(1, size))
    offset = data.draw(st.integers(0, size - queries)) if keep or segments else size - queries
    mask = attention_mask(
        None if keep is None else torch.tensor([keep]),
        queries=queries,
        offset=offset,
        causal=causal,
        prefix=prefix,
        segments=None if segments is None else torch.tensor([segments]),
    )
    for q in range(queries):
        for k in range(size):
            may = keep is None or keep[k]
            may = may and (segments is None or segments[k] == segments[q + offset])
            may = may and (not causal or k <= q + offset or k < prefix)
            said = True if mask is None else mask.expand(1, 1, queries, size)[0, 0, q, k].item()
            assert said == may
