"""What every encoder of pairs must do, found and run by protocol."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.pairing import PairEncoder, PairScorer
from support.tiny import batch, build, examples, found, keeping

OF_REGIONS = [
    name
    for name, system in examples().items()
    if isinstance(system, PairEncoder) and system.reads == "features"
]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def encoder(name):
    return build(found()[name]).eval()


@keeping(PairEncoder)
def test_a_text_meets_the_image_that_it_belongs_to(name):
    system, given = encoder(name), batch()
    fused = system.fuse(given)
    assert fused.pooled.shape == (5, system.fused_width)
    assert fused.tokens.shape[0] == 5
    assert torch.equal(fused.keep[:, : given.texts.ids.shape[1]], given.texts.keep)
    for row, owner in enumerate(given.texts.owner.tolist()):
        real = slice(int(given.texts.keep[row].sum()))
        texts = TextBatch(
            given.texts.ids[row : row + 1, real],
            given.texts.keep[row : row + 1, real],
            segments=given.texts.segments[row : row + 1, real],
        )
        alone = system.fuse(Batch(given.images.part(slice(owner, owner + 1)), texts))
        torch.testing.assert_close(alone.pooled[0], fused.pooled[row], **CLOSE)
        torch.testing.assert_close(alone.tokens[0], fused.tokens[row][fused.keep[row]], **CLOSE)


@keeping(PairEncoder)
def test_vectors_alone_are_those_of_fused_pairs(name):
    system, given = encoder(name), batch()
    torch.testing.assert_close(system.pair_vectors(given), system.fuse(given).pooled, **CLOSE)


@keeping(PairEncoder)
def test_images_embedded_once_give_the_same_pairs(name):
    system, given = encoder(name), batch()
    images = system.embed_images(given)
    assert len(images.tokens) == len(images.pooled) == 4
    fused = system.fuse(Batch(texts=given.texts), images)
    torch.testing.assert_close(fused.pooled, system.fuse(given).pooled, **CLOSE)


@keeping(PairEncoder)
def test_padded_text_and_other_images_are_not_seen(name):
    system, given = encoder(name), batch()
    texts = replace(
        given.texts,
        ids=F.pad(given.texts.ids, (0, 2), value=7),
        keep=F.pad(given.texts.keep, (0, 2)),
        segments=F.pad(given.texts.segments, (0, 2)),
    )
    torch.testing.assert_close(
        system.fuse(replace(given, texts=texts)).pooled, system.fuse(given).pooled, **CLOSE
    )


@pytest.mark.parametrize("name", OF_REGIONS)
def test_padded_regions_are_not_seen(name):
    system, given = encoder(name), batch()
    images = given.images.tensors
    longer = ImageBatch(
        features=F.pad(images["features"], (0, 0, 0, 3), value=5.0),
        boxes=F.pad(images["boxes"], (0, 0, 0, 3), value=0.3),
        keep=F.pad(torch.ones(4, 5, dtype=torch.bool), (0, 3)),
    )
    torch.testing.assert_close(
        system.fuse(replace(given, images=longer)).pooled, system.fuse(given).pooled, **CLOSE
    )


@keeping(PairScorer)
def test_the_score_depends_on_both(name):
    system, given = encoder(name), batch()
    score = system.match(system.pair_vectors(given))
    assert score.shape == (5,)
    other = replace(given, texts=replace(given.texts, owner=torch.tensor([1, 2, 3, 0, 0])))
    assert (system.match(system.pair_vectors(other)) - score).abs().min() > 1e-6
    ids = torch.where(given.texts.ids > 4, given.texts.ids + 1, given.texts.ids)
    reworded = replace(given, texts=replace(given.texts, ids=ids))
    assert (system.match(system.pair_vectors(reworded)) - score).abs().min() > 1e-6
