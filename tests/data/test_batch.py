"""A batch divided among processes: nothing lost, nothing twice, texts with their images."""

from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from showtell.data.batch import IMAGES, Batch


def full(num_images: int, owner: list[int]) -> Batch:
    """Every field; each value says whose it is."""
    of_image, of_text = torch.arange(num_images), torch.arange(len(owner))
    words = of_text[:, None].expand(-1, 3)
    return Batch(
        pixels=of_image.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2),
        grid=of_image.view(-1, 1, 1).float(),
        views=of_image.view(1, -1, 1, 1, 1).expand(2, -1, 3, 2, 2).float(),
        labels=of_image,
        ids=words,
        keep=torch.ones(len(owner), 3, dtype=torch.bool),
        owner=torch.tensor(owner, dtype=torch.int64),
        segments=words,
        sequences=words,
        groups=words,
        follows=of_text % 2 == 0,
    )


@given(st.data(), st.integers(1, 9), st.integers(1, 4))
def test_the_parts_are_the_whole(data: st.DataObject, num_images: int, parts: int) -> None:
    owner = data.draw(st.lists(st.integers(0, num_images - 1), max_size=12))
    batch = full(num_images, owner)
    if num_images < parts:
        with pytest.raises(ValueError, match=f"a batch of {num_images} cannot be divided into {parts}"):
            batch.part(0, parts)
        return
    divided = [batch.part(index, parts) for index in range(parts)]
    sizes = [len(part) for part in divided]
    assert sum(sizes) == num_images
    assert max(sizes) - min(sizes) <= 1
    assert torch.equal(torch.cat([p.labels for p in divided]), batch.labels)
    texts = torch.cat([p.ids[:, 0] for p in divided])
    assert sorted(texts.tolist()) == list(range(len(owner)))
    for part in divided:
        for name in IMAGES.keys() - {"labels"}:
            assert torch.equal(
                getattr(part, name).flatten(0, IMAGES[name])[..., 0].flatten().unique(), part.labels
            )
        for name in ("segments", "sequences", "groups"):
            assert torch.equal(getattr(part, name), part.ids)
        assert torch.equal(part.follows, part.ids[:, 0] % 2 == 0)
        for own, text in zip(part.owner.tolist(), part.ids[:, 0].tolist(), strict=True):
            assert int(part.labels[own]) == owner[text]


def test_texts_alone_are_divided_by_rows() -> None:
    batch = Batch(ids=torch.arange(10).view(5, 2), keep=torch.ones(5, 2, dtype=torch.bool))
    assert len(batch) == 5
    assert [part.ids.tolist() for part in (batch.part(i, 2) for i in range(2))] == [
        [[0, 1], [2, 3]],
        [[4, 5], [6, 7], [8, 9]],
    ]


def test_a_new_field_must_say_whose_it_is() -> None:
    of_texts = {"ids", "keep", "owner", "segments", "sequences", "positions", "groups", "follows"}
    assert {f.name for f in fields(Batch)} == IMAGES.keys() | of_texts
