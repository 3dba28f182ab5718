"""Augmentations against Pillow and plain loops on real photographs, and invariants of every view."""

import colorsys
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from scipy.ndimage import gaussian_filter

from showtell.data.images import augment as augmentation
from showtell.data.images import colour
from showtell.data.images.augment import (
    BYOL,
    BYOL_CIFAR,
    SIMCLR,
    SIMCLR_CIFAR,
    SIMMIM,
    SIMSIAM,
    SIMSIAM_CIFAR,
    Augmentation,
    augment,
    crop_boxes,
    draw_views,
    resampling,
)
from showtell.data.images.samples import sample_photographs

SHARP = Augmentation(
    64, area=(1.0, 1.0), ratio=(1.0, 1.0), flip=0, jitter=0, grey=0, blur=0, brightness=0, contrast=0,
    saturation=0, hue=0,
)  # fmt: skip
RECIPES = {
    "simclr": SIMCLR,
    "simclr_cifar": SIMCLR_CIFAR,
    "byol": BYOL,
    "byol_cifar": BYOL_CIFAR,
    "simsiam": SIMSIAM,
    "simsiam_cifar": SIMSIAM_CIFAR,
    "simmim": SIMMIM,
}


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    names = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "flower.jpg", "china.jpg")
    files = [f for f in sample_photographs() if f.name in names]
    assert len(files) >= 4
    return [Image.open(f).convert("RGB").resize((96, 72)) for f in files]


@pytest.fixture(scope="module")
def pixels(photographs) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(p) for p in photographs])).permute(0, 3, 1, 2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def difference(ours: torch.Tensor, theirs: Image.Image) -> np.ndarray:
    """In levels of 255."""
    return np.abs(ours.permute(1, 2, 0).numpy() * 255 - np.asarray(theirs, dtype=np.float64))


FACTORS = torch.tensor([0.0, 0.2, 0.7, 1.0, 1.3, 1.8])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (colour.brightness, ImageEnhance.Brightness),
        (colour.contrast, ImageEnhance.Contrast),
        (colour.saturation, ImageEnhance.Color),
    ],
)
def test_enhancements_equal_pillow(photographs, pixels, ours, theirs) -> None:
    """Pillow rounds brightness to a level, then the result: 1.5 levels apart at most."""
    factors = FACTORS[: len(pixels)]
    for got, photograph, factor in zip(
        ours(pixels / 255, factors), photographs, factors.tolist(), strict=True
    ):
        assert difference(got, theirs(photograph).enhance(factor)).max() <= 1.5


def test_grey_and_solarise_equal_pillow(photographs, pixels) -> None:
    for got, photograph in zip(colour.grey(pixels / 255), photographs, strict=True):
        assert np.abs(got[0].numpy() * 255 - np.asarray(photograph.convert("L"), dtype=float)).max() <= 0.502
    for got, photograph in zip(colour.solarise(pixels / 255), photographs, strict=True):
        assert difference(got, ImageOps.solarize(photograph)).max() <= 1e-4


def test_hue_rotates_the_colour_wheel(pixels) -> None:
    shifts = torch.tensor([-0.5, -0.2, -0.03, 0.1, 0.37, 0.5])[: len(pixels)]
    some = pixels[..., ::9, ::9] / 255
    some[0, :, 0, 0] = 0.4  # grey has no hue
    for got, image, shift in zip(colour.hue(some.clone(), shifts), some, shifts.tolist(), strict=True):
        for rgb, turned in zip(image.flatten(1).T.tolist(), got.flatten(1).T.tolist(), strict=True):
            h, s, v = colorsys.rgb_to_hsv(*rgb)
            assert turned == pytest.approx(colorsys.hsv_to_rgb((h + shift) % 1, s, v), abs=1e-5)


def test_hue_equals_pillow(photographs, pixels) -> None:
    """Pillow keeps hue and saturation in 8 bits, hence levels of noise, not of bias."""
    shift = 40
    for got, photograph in zip(
        colour.hue(pixels / 255, torch.full((len(pixels),), shift / 256)), photographs, strict=True
    ):
        h, s, v = photograph.convert("HSV").split()
        h = h.point(lambda x: (x + shift) % 256)
        off = difference(got, Image.merge("HSV", (h, s, v)).convert("RGB"))
        assert off.mean() < 2.0
        assert np.percentile(off, 99) <= 10


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
def test_blur_is_gaussian(photographs, pixels, sigma) -> None:
    got = colour.blur(pixels / 255, torch.full((len(pixels),), sigma))
    for ours, photograph in zip(got, photographs, strict=True):
        values = np.asarray(photograph, dtype=np.float64)
        expected = gaussian_filter(values, (sigma, sigma, 0), mode="nearest", radius=int(3 * sigma))
        np.testing.assert_allclose(ours.permute(1, 2, 0).numpy() * 255, expected, atol=0.01)
        # Pillow approximates the Gaussian by three box filters.
        assert difference(ours, photograph.filter(ImageFilter.GaussianBlur(sigma))).mean() < 1.0


def test_a_blur_does_not_depend_on_the_others(pixels) -> None:
    """Although the kernel is as wide as the largest sigma of the batch needs."""
    sigma = torch.linspace(0.1, 3.0, len(pixels))
    together = colour.blur(pixels[..., :9] / 255, sigma)
    for i in range(len(pixels)):
        alone = colour.blur(pixels[i : i + 1, ..., :9] / 255, sigma[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [20, 64, 150])
def test_crops_one_by_one_equal_crops_of_a_batch(pixels, size, filter) -> None:
    """In bytes on a CPU, in floats on a GPU; bytes are clipped between the axes, as Pillow's are."""
    to = Augmentation(size, filter=filter)
    boxes = crop_boxes(len(pixels), *pixels.shape[2:], to, seeded())
    alone = torch.cat(list(augmentation._cut_each(pixels, boxes, to)))
    together = augmentation._cut(pixels, boxes, to)
    assert (alone - together).abs().mean() < 0.5
    assert (alone - together).abs().max() < (1.6 if filter == "bilinear" else 16)


def test_a_view_does_not_depend_on_the_others(pixels, monkeypatch) -> None:
    """Large views are augmented one by one, small ones together, with the same result."""
    to = replace(SIMCLR[0], size=80)
    one_by_one = augment(pixels, to, seeded(3))
    monkeypatch.setattr(augmentation, "LARGE", 1000)
    torch.testing.assert_close(augment(pixels, to, seeded(3)), one_by_one, atol=2e-6, rtol=0)


BOXES = [(0, 0, 96, 72), (5, 7, 45, 67), (60, 2, 92, 34), (10, 10, 18, 40), (95, 71, 96, 72), (0, 3, 96, 13)]


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [8, 32, 50])
def test_crop_and_resize_equal_pillow(photographs, pixels, size, filter) -> None:
    """On floats to a thousandth of a level; on bytes Pillow rounds and cuts between its two passes."""
    boxes = BOXES[: len(pixels)]
    left, top, right, bottom = torch.tensor(boxes, dtype=torch.float32).T
    rows = resampling(top, bottom - top, 72, size, filter)
    columns = resampling(left, right - left, 96, size, filter)
    method = Image.Resampling[filter.upper()]
    views = rows[:, None] @ pixels.float() @ columns[:, None].mT
    for got, photograph, box in zip(views, photographs, boxes, strict=True):
        for channel, band in zip(got, photograph.split(), strict=True):
            exact = np.asarray(band.convert("F").crop(box).resize((size, size), method))
            np.testing.assert_allclose(channel.numpy(), exact, atol=2e-3)
        rounded = photograph.crop(box).resize((size, size), method)
        assert difference(got.clamp(0, 255) / 255, rounded).mean() < 0.6


@pytest.mark.parametrize("name", RECIPES)
def test_views_are_images_and_depend_on_the_seed(pixels, name) -> None:
    pair = RECIPES[name]
    views = draw_views(pixels, pair, seeded(1))
    size = pair[0].size
    assert views.shape == (len(pair), len(pixels), 3, size, size)
    assert views.dtype == torch.float32
    assert 0 <= views.min() < views.max() <= 1
    assert torch.equal(views, draw_views(pixels, pair, seeded(1)))
    assert not torch.equal(views, draw_views(pixels, pair, seeded(2)))
    assert len({view.numpy().tobytes() for view in views}) == len(pair)


def test_nothing_happens_at_zero_strength(pixels) -> None:
    square = pixels[..., :64, :64]
    assert torch.equal(augment(square, SHARP, seeded()), square / 255)
    torch.testing.assert_close(augment(square, replace(SHARP, jitter=1.0), seeded()), square / 255)


def test_everything_is_applied_at_probability_one(pixels) -> None:
    square = pixels[..., :64, :64]
    values = square / 255
    assert torch.equal(augment(square, replace(SHARP, flip=1.0), seeded()), values.flip(-1))
    grey = augment(square, replace(SHARP, grey=1.0), seeded())
    assert torch.equal(grey, colour.grey(values).expand(-1, 3, -1, -1))
    assert torch.equal(
        augment(square, replace(SHARP, solarise=1.0), seeded()), colour.solarise(values.clone())
    )
    blurred = augment(square, replace(SHARP, blur=1.0, sigma=(1.5, 1.5)), seeded())
    torch.testing.assert_close(blurred, colour.blur(values, torch.full((len(square),), 1.5)))


@pytest.mark.parametrize("field", ["flip", "jitter", "grey", "blur", "solarise"])
def test_each_augmentation_has_its_probability(field) -> None:
    """Within four standard deviations of a binomial, independently per image."""
    chance, count = 0.3, 2000
    image = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8, generator=seeded())
    strong = replace(
        SHARP,
        size=8,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        sigma=(1.0, 2.0),
        **{field: chance},
    )
    views = augment(image.expand(count, -1, -1, -1), strong, seeded())
    changed = int((views != image / 255).flatten(1).any(1).sum())
    assert abs(changed - chance * count) < 4 * math.sqrt(count * chance * (1 - chance))


@pytest.mark.parametrize(
    ("field", "strength", "low", "high"),
    [("brightness", 0.4, 0.6, 1.4), ("brightness", 1.5, 0.0, 2.5), ("hue", 0.1, -0.1, 0.1)],
)
def test_jitter_covers_its_range_and_stays_in_it(field, strength, low, high) -> None:
    """The drawn parameters, recovered from a pixel: brightness from its value, hue from its colour."""
    colours = torch.tensor([100, 40, 60], dtype=torch.uint8).view(1, 3, 1, 1)
    to = replace(SHARP, size=1, jitter=1.0, **{field: strength})
    views = augment(colours.expand(1000, -1, -1, -1), to, seeded()).flatten(1)
    start = colorsys.rgb_to_hsv(100 / 255, 40 / 255, 60 / 255)[0]
    if field == "hue":
        found = torch.tensor([(colorsys.rgb_to_hsv(*v)[0] - start + 0.5) % 1 - 0.5 for v in views.tolist()])
    else:
        found = views[:, 0] / (100 / 255)
    assert low - 1e-4 <= found.min() < low + 0.03 * (high - low)
    assert high + 1e-4 >= found.max() > high - 0.03 * (high - low)
    assert abs(found.mean() - (low + high) / 2) < 0.05 * (high - low)


def test_the_order_of_the_changes_is_random() -> None:
    image = torch.tensor([[[[90, 180]]] * 3], dtype=torch.uint8)
    strong = replace(SHARP, size=2, jitter=1.0, brightness=0.5, contrast=0.5)
    generator, first = seeded(), 0
    with pytest.MonkeyPatch.context() as patch:
        calls: list[str] = []
        for name in ("brightness", "contrast"):
            change = getattr(colour, name)

            def spy(images, amount, name=name, change=change):
                calls.extend([name] * (len(images) > 0))
                return change(images, amount)

            patch.setattr(colour, name, spy)
        for _ in range(100):
            calls.clear()
            augment(image, strong, generator)
            assert sorted(calls) == ["brightness", "contrast"]
            first += calls[0] == "brightness"
    assert 30 < first < 70


def test_crops_stay_in_their_area_and_ratio() -> None:
    to = Augmentation(32, area=(0.2, 0.8))
    tops, lefts, heights, widths = crop_boxes(4000, 300, 400, to, seeded())
    for start, length, limit in ((tops, heights, 300), (lefts, widths, 400)):
        assert (start >= 0).all()
        assert (length >= 1).all()
        assert (start + length <= limit).all()
        assert torch.equal(length, length.round())
    share, shape = heights * widths / 120_000, widths / heights
    assert 0.195 < share.min() < 0.21
    assert 0.75 < share.max() < 0.805
    assert 0.74 < shape.min() < 0.76
    assert 1.32 < shape.max() < 1.35
    # Corners are uniform over the remaining range: the mean of start / room is one half.
    assert abs(((tops + 0.5) / (301 - heights)).mean() - 0.5) < 0.02
    assert abs(shape[share < 0.4].log().mean()) < 0.02  # larger ones that are tall do not fit


@pytest.mark.parametrize(("height", "width", "expected"), [(10, 400, (10, 13)), (400, 10, (13, 10))])
def test_a_strip_gives_its_centre(height, width, expected) -> None:
    """No crop of at least half of a strip has an allowed ratio, so the largest allowed one is used."""
    tops, lefts, heights, widths = crop_boxes(3, height, width, Augmentation(area=(0.5, 1.0)), seeded())
    assert [(int(h), int(w)) for h, w in zip(heights, widths, strict=True)] == [expected] * 3
    assert all(abs(int(lefts[0] * 2 + widths[0]) - width) <= 1 for _ in tops)
    assert abs(int(tops[0] * 2 + heights[0]) - height) <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (224, 2)])
def test_the_smallest_images_have_views(shape) -> None:
    pixels = torch.full((2, 3, *shape), 200, dtype=torch.uint8)
    views = draw_views(pixels, SIMCLR, seeded())
    assert views.isfinite().all()


def test_the_constants_are_those_of_the_papers() -> None:
    def values(one: Augmentation) -> tuple:
        return (one.area[0], one.jitter, one.brightness, one.contrast, one.saturation, one.hue, one.grey)

    assert values(SIMCLR[0]) == (0.08, 0.8, 0.8, 0.8, 0.8, 0.2, 0.2)
    assert values(SIMCLR_CIFAR[0]) == (0.08, 0.8, 0.4, 0.4, 0.4, 0.1, 0.2)
    assert values(BYOL[0]) == values(BYOL[1]) == (0.08, 0.8, 0.4, 0.4, 0.2, 0.1, 0.2)
    assert values(SIMSIAM[0]) == values(SIMSIAM_CIFAR[0]) == (0.2, 0.8, 0.4, 0.4, 0.4, 0.1, 0.2)
    assert [(one.blur, one.solarise) for one in BYOL] == [(1.0, 0.0), (0.1, 0.2)]
    assert [pair[0].blur for pair in (SIMCLR, SIMSIAM, SIMCLR_CIFAR, SIMSIAM_CIFAR)] == [0.5, 0.5, 0.0, 0.0]
    assert (SIMMIM[0].area, SIMMIM[0].jitter, SIMMIM[0].grey, SIMMIM[0].blur) == ((0.67, 1.0), 0, 0, 0)
    assert [one.size for pair in (SIMCLR, BYOL, SIMSIAM, SIMMIM) for one in pair] == [224] * 7
    assert {one.size for pair in (SIMCLR_CIFAR, BYOL_CIFAR, SIMSIAM_CIFAR) for one in pair} == {32}
    assert all(one.flip == 0.5 and one.sigma == (0.1, 2.0) for pair in RECIPES.values() for one in pair)
    assert len(fields(Augmentation)) == 14
