"""LiT: what is projected is brought to one scale, and a frozen tower's vectors are not computed again."""

from dataclasses import replace

import pytest
import torch

from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.protocols import HasFrozenText
from showtell.systems.lit import LiT, LiTConfig
from support.tiny import WIDTH, batch, tiny


def small(**changes: object) -> LiT:
    torch.manual_seed(0)
    return replace(tiny(LiTConfig()), **changes).build()


def test_vectors_do_not_depend_on_the_scale_of_the_training_features() -> None:
    """Features a hundred times as large, standardised by themselves, give the same vectors."""
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(40, WIDTH, generator=generator)
    texts = torch.randn(40, WIDTH, generator=generator)
    vectors = []
    for scale in (1.0, 100.0):
        system = small(text_rate=0.0, standardise=True).eval()
        system.fit_scales(images * scale, texts * scale)
        one = Batch(
            ImageBatch(features=images[:4, None] * scale),
            TextBatch(torch.ones(4, 1, dtype=torch.long), torch.ones(4, 1) > 0, features=texts[:4] * scale),
        )
        vectors.append((system.image_vectors(one), system.text_vectors(one)))
    for ours, scaled in zip(*vectors, strict=True):
        torch.testing.assert_close(ours, scaled, atol=2e-2, rtol=0)
    raw = small(text_rate=0.0).eval()
    assert not torch.allclose(raw.image_vectors(one), vectors[1][0], atol=2e-2)


def test_the_paper_has_a_linear_projection_of_raw_features() -> None:
    system = small(hidden_width=0)
    images, texts = batch().images.features, torch.randn(3, WIDTH)
    system.fit_scales(images.mean(1), texts)
    expected = torch.nn.functional.normalize(system.project_image(images.mean(1)), dim=-1)
    torch.testing.assert_close(system.eval().image_vectors(batch()), expected)
    assert type(system.project_image).__name__ == "Linear"


def test_a_trained_tower_cannot_be_standardised() -> None:
    with pytest.raises(ValueError, match="text_rate=0"):
        small(standardise=True)


def test_it_says_that_its_text_vectors_can_be_kept() -> None:
    system = small(text_rate=0.0, standardise=True)
    assert isinstance(system, HasFrozenText)
    kept = system.eval().frozen_text_vectors(batch())
    given = replace(batch(), texts=replace(batch().texts, features=kept))
    torch.testing.assert_close(system.text_vectors(given), system.text_vectors(batch()))
    assert torch.equal(system.encode_pairs(given)[1], system.text_vectors(given)), "in the order of the batch"
