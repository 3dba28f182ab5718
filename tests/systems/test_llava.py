"""LLaVA: what its papers say of it, beyond what every decoder does."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.fusion.projector import Projector, expanded
from showtell.systems.llava import LLaVAConfig
from support.tiny import WIDTH, batch, tiny

IMAGE = 22
FEATURES = replace(tiny(LLaVAConfig()), feature_width=WIDTH, image_id=IMAGE)
LONG = replace(FEATURES, language=replace(FEATURES.language, max_length=60))


def conversation(system, answers):
    """Two rows, one about one image and one about two, of which the given places are answers."""
    rows = [expanded(row, IMAGE, 5) for row in ([2, IMAGE, 5, 6, 3], [2, IMAGE, 7, IMAGE, 8, 3])]
    ids, keep = pad(rows)
    marked = torch.zeros_like(keep)
    for row, places in enumerate(answers):
        marked[row, places] = True
    images = ImageBatch(features=batch().images.features[:3])
    return Batch(images, TextBatch(ids, keep, answers=marked))


@torch.no_grad()
def test_only_answers_are_predicted_each_after_all_that_stands_before():
    torch.manual_seed(0)
    system = LONG.build().eval()
    given = conversation(system, [[7, 8], [13]])
    step = system(given)
    assert int(step.counts["lm"]) == 3
    total = 0.0
    for row, images, places in ((0, slice(0, 1), [7, 8]), (1, slice(1, 3), [13])):
        projected = system.project(given.images.features[images]).flatten(0, 1)
        ids = given.texts.ids[row, given.texts.keep[row]]
        embedded = system.language.embed(ids.clamp(max=21)).clone()
        embedded[ids == IMAGE] = projected
        one = torch.ones(1, len(ids), dtype=torch.bool)
        tokens, _ = system.language.append(system.empty_cache(1), embedded[None], one)
        logits = system.next_token_logits(tokens[0])
        total += sum(F.cross_entropy(logits[place - 1], ids[place]).item() for place in places)
    assert float(step.losses["lm"]) == pytest.approx(total / 3, rel=1e-5)


def test_a_frozen_language_model_passes_gradients_to_the_projector_alone():
    system = replace(FEATURES, train_language=False).build()
    before = {name: tensor.clone() for name, tensor in system.language.state_dict().items()}
    step = system(batch())
    step.losses["lm"].backward()
    reached = {name for name, parameter in system.named_parameters() if parameter.grad is not None}
    assert reached == {f"project.{name}" for name, _ in system.project.named_parameters()}
    assert all(torch.equal(tensor, system.language.state_dict()[name]) for name, tensor in before.items())


def test_the_image_tower_is_never_trained():
    system = tiny(LLaVAConfig()).build()
    assert not any(parameter.requires_grad for parameter in system.image.parameters())


def test_a_linear_projector_is_one_matrix():
    torch.manual_seed(0)
    project, tokens = Projector(3, 4, "linear"), torch.randn(2, 5, 3)
    torch.testing.assert_close(project(tokens), tokens @ project.first.weight.T + project.first.bias)
    assert sum(p.numel() for p in project.parameters()) == 3 * 4 + 4


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_the_tower_does_not_have_is_refused(layer):
    with pytest.raises(ValueError, match=f"image_layer {layer}"):
        replace(tiny(LLaVAConfig()), image_layer=layer)


@torch.no_grad()
def test_what_stands_for_an_image_is_no_token_of_the_text():
    """The embedding has no row for it where it comes after the vocabulary's last."""
    system = replace(LONG, image_id=23).build().eval()
    ids, keep = pad([expanded([2, 23, 5], 23, 5)])
    seen = system.encode_images(batch())[:1]
    tokens, state = system.extend_seen(system.empty_cache(1), ids, keep, seen)
    assert tokens.shape[1] == state["keep"].shape[1] == 7
    assert tokens.isfinite().all()
