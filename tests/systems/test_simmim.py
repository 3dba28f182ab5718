"""SimMIM: masked pixels are not seen, the loss is of masked pixels alone, and one batch is overfitted."""

import copy

import pytest
import torch

from showtell.data.batch import Batch, ImageBatch
from showtell.errors import UsageError
from showtell.nn.backbones import vit as vision_transformer
from showtell.nn.backbones.vit import TransformerShape
from showtell.objectives.masked_pixels import mask_patches, normalise_patches
from showtell.protocols import ImageEncoder, Trainable
from showtell.systems.simmim import SimMIM, SimMIMConfig
from support.two_views import images


@pytest.fixture(autouse=True)
def _tiny_backbone(monkeypatch):
    monkeypatch.setitem(vision_transformer.SHAPES, "tiny_vit", TransformerShape(32, 2, 2))


def build(seed: int = 0, **changes) -> SimMIM:
    torch.manual_seed(seed)
    return SimMIM(SimMIMConfig(**{"backbone": "tiny_vit", "stem": "cifar", **changes}))


def batch(count: int = 8, size: int = 16) -> Batch:
    pixels = images(count, size)
    return Batch(ImageBatch(pixels=pixels, views=pixels[None] / 255))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_it_keeps_its_protocols() -> None:
    system = build()
    assert isinstance(system, Trainable)
    assert isinstance(system, ImageEncoder)
    encoded = system.eval().encode_images(batch())
    assert encoded.tokens.shape == (8, 16, 32)
    mean = encoded.tokens.mean(1)
    system.standardise.running_mean = mean.mean(0).detach()
    system.standardise.running_var = mean.var(0).detach()
    pooled = system.encode_images(batch()).pooled
    torch.testing.assert_close(pooled, (mean - mean.mean(0)) / mean.std(0), rtol=1e-2, atol=1e-2)


def test_the_loss_against_loops() -> None:
    """Patch by patch, pixel by pixel, as in figure 1 of the paper."""
    system, given = build(), batch(3)
    loss = system(given, seeded()).losses["masked_pixels"]
    masked = mask_patches(3, 4, 4, seeded(), 0.6, 2)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = (given.images.views[0] - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    predicted = system.predictor(system.encode_masked(pixels, masked))
    total, count = 0.0, 0
    for image in range(3):
        for place in masked[image].nonzero()[:, 0].tolist():
            row, column = divmod(place, 4)
            square = pixels[image, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            total += (predicted[image, place].view(3, 4, 4) - square).abs().sum().item()
            count += 48
    assert loss.item() == pytest.approx(total / count, rel=1e-5)


def test_masked_pixels_do_not_change_the_prediction() -> None:
    system = build().eval()
    masked = torch.zeros(1, 16, dtype=torch.bool)
    masked[0, 5] = True
    pixels = torch.randn(1, 3, 16, 16, generator=seeded())
    hidden, visible = pixels.clone(), pixels.clone()
    hidden[..., 4:8, 4:8] += 1
    visible[..., 0:4, 0:4] += 1
    before = system.predictor(system.encode_masked(pixels, masked))
    assert torch.equal(system.predictor(system.encode_masked(hidden, masked)), before)
    assert not torch.allclose(system.predictor(system.encode_masked(visible, masked))[0, 5], before[0, 5])


def test_the_gradient_reaches_every_parameter_and_forward_changes_none() -> None:
    system = build()
    before = copy.deepcopy(system.state_dict())
    system(batch(), seeded()).losses["masked_pixels"].backward()
    assert [n for n, p in system.named_parameters() if p.grad is None or not p.grad.any()] == []
    moved = {name for name, tensor in system.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {f"standardise.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}


def test_vectors_are_standardised_by_visible_patches() -> None:
    """Masked patches do not count, and evaluation changes nothing."""
    system, given = build(), batch(6)
    masked = mask_patches(6, 4, 4, seeded(), 0.6, 2)
    tokens = system.encode_masked(system.tower.normalise(given.images.views[0]), masked)
    seen = torch.stack([row[~hidden].mean(0) for row, hidden in zip(tokens, masked, strict=True)])
    system(given, seeded())
    torch.testing.assert_close(system.standardise.running_mean, 0.1 * seen.mean(0))
    torch.testing.assert_close(system.standardise.running_var, 0.9 + 0.1 * seen.var(0))
    before = copy.deepcopy(system.eval().state_dict())
    system(given, seeded())
    system.encode_images(given)
    assert all(torch.equal(t, before[n]) for n, t in system.state_dict().items())


def test_normalised_targets_ignore_brightness_and_contrast() -> None:
    """A darker image with less contrast has the same loss; the target of a uniform patch is 0."""
    patches = torch.randn(2, 3, 48, generator=seeded()) * 3
    normal = normalise_patches(patches)
    torch.testing.assert_close(normal.mean(-1), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(normal.std(-1), torch.ones(2, 3), atol=2e-3, rtol=0)
    torch.testing.assert_close(normalise_patches(patches * 0.7 - 2), normal, atol=5e-3, rtol=0)
    assert not normalise_patches(torch.full((1, 1, 48), 7.0)).any()
    given = batch(3)
    plain, normalised = (build(normalised=n)(given, seeded()).losses["masked_pixels"] for n in (False, True))
    assert plain != normalised


def test_the_generator_alone_decides_the_mask() -> None:
    system = build()
    first, again, other = (system(batch(), seeded(s)).losses["masked_pixels"] for s in (0, 0, 1))
    assert first == again != other


def test_it_overfits_one_batch() -> None:
    """Far below the error of the best constant prediction."""
    system, given = build(), batch(4)
    normal = system.tower.normalise(given.images.views[0])
    constant = (normal - normal.median()).abs().mean()
    optimiser = torch.optim.AdamW(system.parameters(), 3e-3)
    losses = []
    for step in range(250):
        loss = system(given, seeded(step)).losses["masked_pixels"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 0.9 * constant
    assert sum(losses[-20:]) / 20 < 0.5 * constant


def test_a_backbone_without_patches_is_refused() -> None:
    with pytest.raises(UsageError, match=r"vit_mini.*not 'resnet18'"):
        SimMIM(SimMIMConfig(backbone="resnet18"))


def test_the_papers_numbers_are_the_defaults() -> None:
    with torch.device("meta"):
        system = SimMIM(SimMIMConfig())
    assert (system.tower.width, len(system.tower.net.transformer.blocks)) == (768, 12)
    assert system.predictor.out_features == 3 * 16 * 16
    assert (system.config.mask_ratio, system.config.mask_unit) == (0.6, 2)
