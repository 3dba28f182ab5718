"""Heads of ViLT: soft answers, two images and their modal types, ranking."""

from dataclasses import replace

import pytest
import torch

from showtell.data.batch import Batch, ImageBatch, Targets, TextBatch, pad
from showtell.objectives.matching import draw_others
from showtell.pairing import PairAnswerer, PairScorer
from showtell.systems.vilt_finetuned import ViLTAnswerer, ViLTAnswererConfig, ViLTRanker, ViLTRankerConfig

SIZES = {
    "vocab_size": 31,
    "width": 12,
    "depth": 2,
    "num_heads": 3,
    "mlp_dim": 20,
    "max_length": 9,
    "image_size": 16,
    "patch_size": 4,
}


def answerer(num_images: int = 1, exclusive: bool = False) -> ViLTAnswerer:
    torch.manual_seed(0)
    config = ViLTAnswererConfig(**SIZES, num_classes=4).with_images(num_images, exclusive)
    system = config.build().eval()
    with torch.no_grad():
        for parameter in system.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return system


def batch(images: int, texts: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (images, 3, 16, 16), generator=generator, dtype=torch.uint8)
    ids, keep = pad([[2, 5, 6, 7, 3], [2, 8, 9, 3], [2, 10, 3]][:texts])
    scores = torch.tensor([[1.0, 0, 0.3, 0], [0, 1, 0, 0], [0, 0, 0, 0.6]])[:texts]
    return Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep), Targets(scores=scores))


def test_the_loss_is_the_binary_cross_entropy_of_every_answer() -> None:
    system, given = answerer(), batch(3)
    logits = system.answer(given)
    expected = 0.0
    for row, scores in zip(logits.tolist(), given.targets.scores.tolist(), strict=True):
        for logit, score in zip(row, scores, strict=True):
            p = 1 / (1 + torch.tensor(-logit).exp().item())
            expected -= score * torch.tensor(p).log().item() + (1 - score) * torch.tensor(1 - p).log().item()
    assert system(given).losses["answers"].item() == pytest.approx(expected / 3, rel=1e-5)
    assert torch.equal(system.probabilities(logits), logits.sigmoid())


def test_answers_that_exclude_each_other_add_up_to_one() -> None:
    system, given = answerer(exclusive=True), batch(3)
    logits = system.answer(given)
    torch.testing.assert_close(system.probabilities(logits).sum(1), torch.ones(3))
    assert not torch.allclose(system(given).losses["answers"], answerer()(given).losses["answers"])


def test_each_text_reads_its_two_images_in_their_order() -> None:
    system, given = answerer(2), batch(6)
    logits = system.answer(given)
    assert logits.shape == (3, 4)
    alone = Batch(
        ImageBatch(pixels=given.images.pixels[2:4]), TextBatch(given.texts.ids[1:2], given.texts.keep[1:2])
    )
    torch.testing.assert_close(system.answer(alone)[0], logits[1])
    swapped = replace(alone, images=ImageBatch(pixels=alone.images.pixels.flip(0)))
    assert not torch.allclose(system.answer(swapped)[0], logits[1], atol=1e-3)
    for place in (0, 1):  # each of the two counts
        pixels = alone.images.pixels.clone()
        pixels[place] = 255 - pixels[place]
        other = replace(alone, images=ImageBatch(pixels=pixels))
        assert not torch.allclose(system.answer(other)[0], logits[1], atol=1e-3)
    owned = replace(given, texts=replace(given.texts, owner=torch.tensor([0, 2, 4])))
    torch.testing.assert_close(system.answer(owned), logits)


def test_questions_about_one_image_share_it() -> None:
    system, given = answerer(), batch(1)
    shared = replace(given, texts=replace(given.texts, owner=torch.zeros(3, dtype=torch.long)))
    repeated = replace(given, images=ImageBatch(pixels=given.images.pixels.expand(3, -1, -1, -1)))
    torch.testing.assert_close(system.answer(shared), system.answer(repeated))


def test_the_second_image_begins_like_the_first() -> None:
    system, one = answerer(2), answerer()
    assert len(system.modal_types.weight) == 3
    grown = system.adopted("modal_types.weight", one.modal_types.weight)
    assert torch.equal(grown[:2], one.modal_types.weight)
    assert torch.equal(grown[2], one.modal_types.weight[1])
    assert torch.equal(one.adopted("modal_types.weight", grown), one.modal_types.weight)


def test_too_few_modal_types_and_names_are_refused() -> None:
    with pytest.raises(ValueError, match="2 images have no modal type each, only 2"):
        ViLTAnswererConfig(**SIZES, num_images=2)
    with pytest.raises(ValueError, match="1 names for 2 classes"):
        ViLTAnswererConfig(**SIZES, num_classes=2, class_names=("yes",))


def test_the_ranking_loss_is_that_of_each_text_with_its_own_image_and_others() -> None:
    torch.manual_seed(0)
    system, given = ViLTRankerConfig(**SIZES, num_negatives=2).build().eval(), batch(3)
    with torch.no_grad():
        for parameter in system.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)

    def score(text: int, image: int) -> float:
        texts = TextBatch(given.texts.ids[text : text + 1], given.texts.keep[text : text + 1])
        fused = system.fuse(Batch(ImageBatch(pixels=given.images.pixels[image : image + 1]), texts))
        return system.match(fused.pooled).item()

    others = draw_others(torch.arange(3), 3, 2, torch.Generator().manual_seed(5))
    expected = 0.0
    for text in range(3):
        scores = torch.tensor([score(text, image) for image in [text, *others[text].tolist()]])
        expected -= scores.log_softmax(0)[0].item() / 3
    found = system(given, torch.Generator().manual_seed(5)).losses["ranking"].item()
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_protocols_are_kept() -> None:
    assert isinstance(answerer(), PairAnswerer)
    assert isinstance(ViLTRanker(ViLTRankerConfig(**SIZES)), PairScorer)
