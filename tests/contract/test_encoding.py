"""What every encoder must do, found and run by protocol."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch
from showtell.protocols import HasTokenEmbeddings, ImageEncoder, SharedSpace, TextEncoder
from support.tiny import batch, build, found, keeping

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
DEVICES = ["meta", "cuda"] if torch.cuda.is_available() else ["meta"]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def longer(given: Batch) -> Batch:
    """The same texts with two more columns of padding, which hold ids as any."""
    ids, keep, segments = given.texts.ids, given.texts.keep, given.texts.segments
    texts = replace(
        given.texts,
        ids=F.pad(ids, (0, 2), value=7),
        keep=F.pad(keep, (0, 2)),
        segments=F.pad(segments, (0, 2)),
    )
    return replace(given, texts=texts)


@keeping(ImageEncoder)
def test_images_keep_one_vector_per_token_and_one_for_the_whole(name):
    encoded = build(found()[name]).eval().encode_images(batch())
    assert encoded.tokens.ndim == 3
    assert len(encoded.tokens) == len(encoded.pooled) == 4
    assert encoded.pooled.ndim == 2
    assert encoded.keep is None or encoded.keep.shape == encoded.tokens.shape[:2]


@keeping(ImageEncoder)
def test_an_image_is_encoded_as_if_alone(name):
    system = build(found()[name]).eval()
    whole, alone = system.encode_images(batch()), system.encode_images(batch().part(1, 4))
    torch.testing.assert_close(alone.pooled, whole.pooled[1:2], **CLOSE)
    torch.testing.assert_close(alone.tokens, whole.tokens[1:2], **CLOSE)


@pytest.mark.parametrize("device", DEVICES)
@keeping(ImageEncoder)
def test_images_stay_on_the_device(name, device):
    encoded = build(found()[name]).eval().to(device).encode_images(batch().to(device))
    assert encoded.tokens.device.type == encoded.pooled.device.type == device


@keeping(TextEncoder)
def test_texts_keep_one_vector_per_token_and_one_for_the_whole(name):
    encoded = build(found()[name]).eval().encode_texts(batch())
    assert encoded.tokens.shape[:2] == encoded.keep.shape
    assert torch.equal(encoded.keep.sum(1), batch().texts.keep.sum(1))
    assert encoded.pooled.shape[:1] == (5,)


@keeping(TextEncoder)
def test_padding_is_not_seen(name):
    system = build(found()[name]).eval()
    short, long = system.encode_texts(batch()), system.encode_texts(longer(batch()))
    torch.testing.assert_close(short.tokens[short.keep], long.tokens[long.keep], **CLOSE)
    torch.testing.assert_close(short.pooled, long.pooled, **CLOSE)


@keeping(TextEncoder)
def test_a_text_is_encoded_as_if_alone(name):
    system = build(found()[name]).eval()
    whole, texts = system.encode_texts(batch()), batch().texts
    for row in range(len(texts)):
        real = slice(int(texts.keep[row].sum()))
        segments = texts.segments[row : row + 1, real]
        alone = TextBatch(texts.ids[row : row + 1, real], texts.keep[row : row + 1, real], segments=segments)
        encoded = system.encode_texts(Batch(texts=alone))
        torch.testing.assert_close(encoded.pooled[0], whole.pooled[row], **CLOSE)
        torch.testing.assert_close(encoded.tokens[encoded.keep], whole.tokens[row][whole.keep[row]], **CLOSE)


@keeping(SharedSpace)
def test_the_fast_path_has_the_vectors_of_the_whole(name):
    system = build(found()[name]).eval()
    images, texts = system.image_vectors(batch()), system.text_vectors(batch())
    torch.testing.assert_close(images, system.encode_images(batch()).pooled, **CLOSE)
    torch.testing.assert_close(texts, system.encode_texts(batch()).pooled, **CLOSE)
    assert images.shape[1] == texts.shape[1]
    for vectors in (images, texts):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))


@keeping(HasTokenEmbeddings)
def test_every_token_has_an_embedding(name):
    embeddings = build(found()[name]).token_embeddings()
    assert len(embeddings) == 23
    assert not embeddings.requires_grad
