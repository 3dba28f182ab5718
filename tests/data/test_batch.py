"""Batches: divided among processes nothing is lost or doubled, and texts stay with their images."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from showtell.data.batch import Batch, ImageBatch, Targets, TextBatch


def full(num_images: int, owner: list[int]) -> Batch:
    """A batch with every field; each value is the index of its image or text."""
    of_image, of_text = torch.arange(num_images), torch.arange(len(owner))
    tokens = of_text[:, None].expand(-1, 3)
    return Batch(
        ImageBatch(
            pixels=of_image.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2),
            features=of_image.view(-1, 1, 1).float(),
            views=of_image.view(1, -1, 1, 1, 1).expand(2, -1, 3, 2, 2).float(),
        ),
        TextBatch(
            tokens,
            torch.ones(len(owner), 3, dtype=torch.bool),
            owner=torch.tensor(owner, dtype=torch.int64),
            segments=tokens,
            sequences=tokens,
            groups=tokens,
        ),
        Targets(labels=of_image, follows=of_text % 2 == 0),
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
    assert torch.equal(torch.cat([p.targets.labels for p in divided]), batch.targets.labels)
    texts = torch.cat([p.texts.ids[:, 0] for p in divided])
    assert sorted(texts.tolist()) == list(range(len(owner)))
    for part in divided:
        labels, own = part.targets.labels, part.texts
        for name, axis in {"pixels": 0, "features": 0, "views": 1}.items():
            of_image = part.images[name].movedim(axis, 0).flatten(1)
            assert (of_image == labels[:, None]).all()
        for tensor in (own.segments, own.sequences, own.groups):
            assert torch.equal(tensor, own.ids)
        assert torch.equal(part.targets.follows, own.ids[:, 0] % 2 == 0)
        for image, text in zip(own.owner.tolist(), own.ids[:, 0].tolist(), strict=True):
            assert int(labels[image]) == owner[text]


def test_texts_alone_are_divided_by_rows() -> None:
    batch = Batch(texts=TextBatch(torch.arange(10).view(5, 2), torch.ones(5, 2, dtype=torch.bool)))
    assert len(batch) == 5
    assert [part.texts.ids.tolist() for part in (batch.part(i, 2) for i in range(2))] == [
        [[0, 1], [2, 3]],
        [[4, 5], [6, 7], [8, 9]],
    ]


def test_all_of_a_batch_moves() -> None:
    moved = full(3, [0, 2]).to("meta")
    tensors = [*moved.images.tensors.values(), *moved.targets.tensors.values()]
    tensors += [t for t in vars(moved.texts).values() if t is not None]
    assert len(tensors) == 3 + 2 + 6
    assert {t.device.type for t in tensors} == {"meta"}


def test_what_a_batch_lacks_is_named() -> None:
    assert len(Batch()) == len(Batch().texts) == 0
    with pytest.raises(ValueError, match="the batch has no features, only pixels"):
        _ = Batch(ImageBatch(pixels=torch.zeros(1, 3, 2, 2))).images.features
    with pytest.raises(ValueError, match="the batch has no labels"):
        _ = Batch().targets.labels
