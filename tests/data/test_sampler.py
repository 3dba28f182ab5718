from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.data.sampler import Sampler, SimilarLengths


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**63))
def test_every_item_once_per_epoch(num_items: int, batch_size: int, seed: int) -> None:
    sampler = Sampler(num_items, batch_size, seed)
    stream = [i for step in range(3 * num_items // batch_size + 3) for i in sampler(step)]
    for epoch in range(3):
        assert sorted(stream[epoch * num_items : (epoch + 1) * num_items]) == list(range(num_items))


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 99))
def test_batches_are_full(num_items: int, batch_size: int, step: int) -> None:
    assert len(Sampler(num_items, batch_size)(step)) == batch_size


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**63), st.integers(0, 99))
def test_a_distinct_batch_holds_no_item_twice(num_items: int, batch_size: int, seed: int, step: int) -> None:
    sampler = Sampler(num_items, batch_size, seed, distinct=True)
    assert len(sampler(step)) == len(set(sampler(step))) == min(batch_size, num_items)


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**63))
def test_a_distinct_epoch_holds_no_item_twice(num_items: int, batch_size: int, seed: int) -> None:
    sampler = Sampler(num_items, batch_size, seed, distinct=True)
    steps = max(num_items // batch_size, 1)
    for epoch in range(3):
        batches = [sampler(step) for step in range(epoch * steps, (epoch + 1) * steps)]
        items = [i for batch in batches for i in batch]
        assert len(items) == len(set(items)) > num_items - min(batch_size, num_items)
        assert {sampler.epoch(step) for step in range(epoch * steps, (epoch + 1) * steps)} == {epoch}


def test_a_distinct_epoch_drops_other_items_each_time() -> None:
    sampler = Sampler(5, 4, distinct=True)
    assert {i for step in range(40) for i in sampler(step)} == set(range(5))


def test_each_epoch_and_each_seed_has_its_own_order() -> None:
    sampler, other = Sampler(100, 100, seed=1), Sampler(100, 100, seed=2)
    assert sampler(0) != sampler(1)
    assert sampler(0) != other(0)
    assert sampler(0) != list(range(100))
    assert [sampler.epoch(s) for s in (0, 1, 5)] == [0, 1, 5]


def test_the_first_item_is_uniform() -> None:
    counts = Counter(Sampler(10, 10, seed)(0)[0] for seed in range(2000))
    # 5 standard deviations of a binomial with p = 0.1.
    assert all(abs(counts[i] - 200) < 5 * (2000 * 0.1 * 0.9) ** 0.5 for i in range(10))


def test_threads_in_any_order_see_the_same_batches() -> None:
    sampler = Sampler(50, 7, seed=3)
    expected = [sampler(step) for step in range(100)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(sampler, reversed(range(100)))) == expected[::-1]


@pytest.mark.parametrize(("distinct", "said"), [(True, "is all of them"), (False, "more than once")])
def test_a_batch_larger_than_the_data_is_said(distinct: bool, said: str, caplog) -> None:
    Sampler(4, 4, distinct=distinct)
    assert not caplog.messages
    Sampler(3, 4, distinct=distinct)
    assert "a batch of 4 is more than the 3 items" in caplog.text
    assert said in caplog.text


def test_nothing_to_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="0 and 4"):
        Sampler(0, 4)


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**63))
def test_batches_of_similar_lengths_hold_the_items_of_each_epoch_once(
    num_items: int, batch_size: int, seed: int
) -> None:
    sampler = SimilarLengths(
        num_items, batch_size, lambda epoch: [(7 * i + epoch) % 5 for i in range(num_items)], seed
    )
    steps = max(num_items // batch_size, 1)
    for epoch in range(3):
        items = [i for step in range(epoch * steps, (epoch + 1) * steps) for i in sampler(step)]
        assert len(items) == len(set(items)) == steps * min(batch_size, num_items)
        assert sampler.epoch(epoch * steps) == epoch


def test_a_batch_of_similar_lengths_is_hardly_padded() -> None:
    lengths = [5 + i % 20 for i in range(400)]
    sampler = SimilarLengths(400, 20, lambda epoch: lengths)
    epochs = [[sampler(step) for step in range(20 * epoch, 20 * (epoch + 1))] for epoch in range(2)]
    for batches in epochs:
        assert {len({lengths[i] for i in batch}) for batch in batches} == {1}
        shortest_first = sorted(batches, key=lambda batch: lengths[batch[0]])
        assert batches != shortest_first
