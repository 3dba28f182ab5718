"""Why a model gives an image its caption, class or similarity: a heat map with its proof."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from showtell.data.images.decode import MAX_PIXELS
from showtell.data.images.fit import Fit
from showtell.data.regions.read import RegionFile
from showtell.errors import UsageError
from showtell.explain.attention_maps import above_even, grid_of, over_image, rollout
from showtell.explain.deletion import Deletion, deletion, patch_sums
from showtell.explain.integrated_gradients import LIMIT, TOLERANCE, integrated_gradients
from showtell.html.heat import HeatMap, draw_heat
from showtell.nn.watch import watch_attention
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.score import Scored, encode, floats, score_of
from showtell.pipelines.squares import Squares
from showtell.protocols import HasClassTokens, ImageEncoder
from showtell.writing import check_writable, write_file

logger = logging.getLogger(__name__)

Method = Literal["gradients", "attention"]
Baseline = Literal["black", "mean", "blur"]
GRID = 14
"""Patches per side."""
BLUR = 1 / 16
"""Standard deviation of the blurred baseline, as a share of the side: no object is left, colours stay."""
BASELINES: dict[Baseline, Callable[[np.ndarray], np.ndarray]] = {
    "black": np.zeros_like,
    "mean": lambda pixels: np.full_like(pixels, pixels.mean((0, 1)).round()),
    "blur": lambda pixels: np.array(
        Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(len(pixels) * BLUR))
    ),
}
"""What an image without the explained content looks like, from the prepared image `uint8 [S S 3]`."""


@dataclass(frozen=True)
class PatchHeat:
    """A heat map by patches, for programs."""

    token: str | None
    """The token of the caption; None for the whole score."""
    grid: list[list[float]]
    """Rows of patches. Of gradients they add up to the change of the score, of attention to at most 1."""


@dataclass(frozen=True)
class Explanation:
    """A score explained."""

    path: str
    model: str
    """Name of the model."""
    method: Method
    explains: str
    """The score: `log P(cat)`, in nats, or `cos(image, a cat)`."""
    target: str | None
    score: float
    """Of the image."""
    baseline: Baseline
    baseline_score: float
    steps: int | None
    """Of the integral; None for attention."""
    completeness_error: float | None
    """What the heat misses of the change of the score, as a share of it; None for attention, which has no
    such property."""
    deletion: Deletion
    maps: list[PatchHeat]
    output: str | None
    """The PNG."""


def explain_image(
    path: Path | str,
    output: Path | str | None = None,
    model: Model | None = None,
    *,
    target: str | None = None,
    method: Method = "gradients",
    baseline: Baseline = "blur",
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> Explanation:
    """Explain what a model says of an image; the model defaults to the shipped one.

    The target is a class of a classifier, a word of the caption or another caption of a captioner, a text for
    a dual encoder; without one it is the best class or caption, or the image's own vector. With `output`, the
    heat map is drawn over the image as a PNG.

    Raises `ImageError` for a file that cannot be read, and `UsageError` for a model without an image encoder,
    a target that it does not know, an output that is no PNG, or `attention` where the model computes none.

    Example::

        explain_image("cat.jpg", "heat.png", target="cat").completeness_error
    """
    model = model or load_model()
    if output is not None and Path(output).suffix.lower() != ".png":
        raise UsageError(f"{output}: this is a PNG file; let its name end in .png")
    model.require(ImageEncoder)
    if output is not None:
        check_writable(Path(output))
    assert model.image_input is not None
    pixels = model.image_input.decode(Path(path), max_pixels)
    prepared = model.prepare(pixels)
    scored = score_of(model, prepared, target)
    prepare = model.image_input.prepare
    assert not isinstance(prepare, Fit | RegionFile)  # of encoders of pairs alone
    squares = Squares(prepare, pixels)
    empty = prepared.copy()
    for one in squares.squares:
        empty[one.place] = BASELINES[baseline](prepared[one.place])
    image, without = (floats(one, model.device)[0] for one in (prepared, empty))
    grid = min(GRID, squares.shape[0]), min(GRID, squares.shape[1])
    patches = squares.patches(*grid)
    if torch.equal(image, without):
        logger.warning("%s equals its %s baseline: no pixel can have heat; try another", path, baseline)
    steps = error = None
    if method == "gradients":
        found = integrated_gradients(scored.score, image, without)
        heat, steps, error = found.heat, found.steps, found.error
        if error > TOLERANCE:
            logger.warning(
                "the attribution is incomplete: after %d of at most %d steps it misses %.1f %% of the change "
                "of %s, from %.4g to %.4g; try another baseline",
                *(steps, LIMIT, 100 * error, scored.name, found.baseline_score, found.score),
            )
        drawn = [HeatMap("", squares.on_image(heat))]
        maps = [PatchHeat(None, patch_sums(heat, patches).reshape(grid).tolist())]
    else:
        labels, grids = _attention(model, image, scored)
        maps = [PatchHeat(label or None, one.tolist()) for label, one in zip(labels, grids, strict=True)]
        looks = grids.mean(0).numpy()
        drawn = [HeatMap(*pair) for pair in zip(labels, above_even(grids).numpy(), strict=True)]
        heat = looks.ravel()[squares.patches(*looks.shape)]
    curves = deletion(scored.score, image, without, heat, patches, seed)
    if curves.area >= curves.random_area:
        logger.warning(
            "removing the hottest patches lowers %s no faster than removing random ones: "
            "do not trust the map",
            scored.name,
        )
    if output is not None:
        write_file(Path(output), draw_heat(squares.image, squares.seen, drawn))
    return Explanation(
        path=str(path),
        model=model.name,
        method=method,
        explains=scored.name,
        target=scored.target,
        score=curves.attributed[0],
        baseline=baseline,
        baseline_score=curves.attributed[-1],
        steps=steps,
        completeness_error=error,
        deletion=curves,
        maps=maps,
        output=None if output is None else str(output),
    )


@torch.no_grad()
def _attention(model: Model, image: Tensor, scored: Scored) -> tuple[list[str], Tensor]:
    """Labels and grids `[T rows columns]`: of a caption's scored tokens, or of the pooled vector."""
    assert model.image_input is not None
    with watch_attention() as maps:
        encoded = encode(model, image[None])
    first = model.system.num_class_tokens if model.can(HasClassTokens) else 0
    labels: list[str] = [""]
    found: Tensor | None
    if scored.caption is not None:
        ids = torch.tensor([scored.caption.ids], device=image.device)
        memory, owner = model.system.prefill(encoded), torch.zeros(1, dtype=torch.long, device=image.device)
        with watch_attention() as maps:
            model.system.teacher_forced_logits(memory, owner, ids, torch.ones_like(ids).bool())
        found = over_image(maps, ids.shape[1] - 1, encoded.tokens.shape[1])
        read = [i for i in scored.read if ids[0, i + 1] != model.tokenizer.end] or list(scored.read)
        labels = [model.tokenizer.decode([int(ids[0, i + 1])]) for i in read]
        found = None if found is None else found[read, first:]
    else:
        logger.info("attention is the same for every target; the deletion curve is of %s", scored.name)
        # That of a frozen backbone is not followed: what is between its tokens and the score is no attention.
        own = maps if model.image_input.backbone is None else []
        found = rollout(own, encoded.tokens.shape[1] - first, pooled_first=first > 0)
        found = None if found is None else found[None]
    if found is None or (grids := grid_of(found, *_shape(model))) is None:
        raise UsageError(
            f"the model {model.name} computes no attention over a grid of patches; explain it by gradients"
        )
    return labels, grids.double().cpu()


def _shape(model: Model) -> tuple[int, int]:
    """Height and width of what a grid of patches covers: a square, or a page."""
    assert model.image_input is not None
    prepare = model.image_input.prepare
    assert not isinstance(prepare, Fit | RegionFile)
    return (1, 1) if prepare.parts else prepare.shape[:2]
