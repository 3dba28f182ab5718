"""ViLT: a training step against `transformers`, patches against a convolution, and the cache of re-ranking.

    python benchmarks/vilt_step.py [--batch 8] [--rounds 7] [--queries 1000] [--only step] [--tiny]

Step: ViLT-B/32 with 3,129 answers, 384 x 384 pixels and 40 tokens, forward, backward and fused AdamW; the
sides have the same parameters, find the same loss, and take turns, each in a process of its own: ours as the
command runs it; also under autocast in bfloat16 where that is faster. The reference has no fused
attention of its own: `fused` is the reference with torch's. The last row is what our step takes where all but
products and attention is free, at the rate of a 2048 x 2048 product of the same precision.
Patches: the same projection by both, forward, and with its gradients; and where the reshape is free.
Re-ranking: the first 100 images for each query, embedded once for all (`cached`) or for each query anew, by
a ViLT, whose images are light, and by a Pixel-BERT, whose are heavy; the scores are found equal to 1e-5.
Embedding: the median time of one image of 384 pixels, by the network before it too: regions are a pyramid of
boxes over the grid of a frozen encoder, at the size of that, since there is no object detector here.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from transformers.models.vilt.modeling_vilt import ViltSelfAttention

from clip_step import precisions, updating
from peak import peak
from showtell.data.batch import Batch, ImageBatch, Targets, TextBatch
from showtell.hub.backbones import load_backbone
from showtell.hub.huggingface.folder import import_folder
from showtell.nn.patch_embedding import PatchEmbedding
from showtell.nn.watch import watch_attention
from showtell.recipes.pixel_bert import pixel_bert_mini
from showtell.recipes.vilt import vilt_mini
from showtell.runtime import prepare_process
from showtell.systems.pixel_bert import PixelBERTEncoderConfig
from showtell.systems.uniter import UNITEREncoderConfig
from showtell.systems.vilt import ViLTEncoderConfig
from showtell.tasks.pair_scores import pair_scores
from showtell.train.config import Precision
from showtell.train.precision import PRECISIONS
from table import command, table
from turns import turns

TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
SIDE, TOKENS, ANSWERS = 384, 40, 3129


def alternately(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each way, after one round that is not timed."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in taken.items()}


def fuse_attention(module: nn.Module) -> None:
    """Put torch's fused attention in the place of the reference's own."""

    def fused(self: Any, x: Tensor, mask: Tensor | None = None, *_: object) -> tuple[Tensor]:
        q, k, v = (
            layer(x).unflatten(2, (self.num_attention_heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        return (F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2),)

    for layer in module.modules():
        if isinstance(layer, ViltSelfAttention):
            layer.forward = fused.__get__(layer)


def side(kind: str, folder: str, batch: int) -> tuple[nn.Module, Callable[[], Tensor]]:
    """The network of one side and its loss, with the parameters in a folder and the same data for all."""
    if kind == "showtell":
        prepare_process()
        module: nn.Module = import_folder(folder).train()
    else:
        module = transformers.ViltForQuestionAnswering.from_pretrained(folder).train()
        if kind == "transformers, fused":
            fuse_attention(module)
    torch.manual_seed(0)
    pixels = torch.randint(256, (batch, 3, SIDE, SIDE), dtype=torch.uint8)
    ids = torch.randint(1000, 30000, (batch, TOKENS))
    scores = torch.zeros(batch, ANSWERS).scatter_(1, torch.randint(ANSWERS, (batch, 3)), 0.6)
    keep = torch.ones_like(ids, dtype=torch.bool)
    given = Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep), Targets(scores=scores))
    normal = pixels / 255 * 2 - 1

    def refer() -> Tensor:
        return module(
            input_ids=ids, attention_mask=keep.long(), token_type_ids=torch.zeros_like(ids),
            pixel_values=normal, labels=scores,
        ).loss  # fmt: skip

    return module, (lambda: module(given).losses["answers"]) if kind == "showtell" else refer


def update(kind: str, folder: str, batch: int, precision: Precision) -> Callable[[], float]:
    """An update of one side."""
    return updating(*side(kind, folder, batch), precision)


def operations(folder: str, batch: int) -> int:
    """Of the products and of the attention of our step, forward and backward."""
    setting = os.environ["SHOWTELL_LINEAR"]
    os.environ["SHOWTELL_LINEAR"] = "torch"  # the counter knows torch's products, and no fused attention
    with watch_attention(), FlopCounterMode(display=False) as counter:
        side("showtell", folder, batch)[1]().backward()
    os.environ["SHOWTELL_LINEAR"] = setting
    return counter.get_total_flops()


def steps(batch: int, rounds: int, tiny: bool, precision: Precision) -> None:
    """The table of a training step."""
    dtype = PRECISIONS[precision]
    torch.manual_seed(0)
    config = transformers.ViltConfig(num_labels=ANSWERS, **(TINY if tiny else {}))
    kinds = ("transformers", "transformers, fused", "showtell")
    with tempfile.TemporaryDirectory() as folder:
        transformers.ViltForQuestionAnswering(config).save_pretrained(folder)
        best = max(peak(dtype=dtype) for _ in range(1 + rounds))  # the first sets up buffers
        with turns({kind: partial(update, kind, folder, batch, precision) for kind in kinds}) as sides:
            sides.take()  # not timed
            losses = sides.values.values()
            within = 1e-4 if precision == "float32" else 1e-2
            assert max(losses) - min(losses) < within * max(losses), losses
            seconds = sides.medians(rounds)
        seconds["its products and attention alone, at the best rate"] = operations(folder, batch) / best
    base = seconds["transformers, fused"]
    rows = [[name, f"{1000 * value:.0f}", f"{base / value:.2f}"] for name, value in seconds.items()]
    table([f"step of {batch}, {precision}", "ms", "speedup"], rows)


def patches(batch: int, rounds: int) -> None:
    """The table of the patch embedding."""
    ours, theirs = PatchEmbedding(32, 768), nn.Conv2d(3, 768, 32, 32)
    with torch.no_grad():
        ours.project.weight.copy_(theirs.weight.flatten(1))
        ours.project.bias.copy_(theirs.bias)
    pixels = torch.randn(batch, 3, SIDE, SIDE)
    cut = ours.cut(pixels)
    torch.testing.assert_close(ours(pixels), theirs(pixels).flatten(2).mT, atol=1e-4, rtol=1e-4)
    with torch.inference_mode():
        ways = {
            "theirs": lambda: theirs(pixels),
            "ours": lambda: ours(pixels),
            "product": lambda: ours.project(cut),
        }
        seen = alternately(ways, 3 * rounds)
    ways = {
        "theirs": lambda: theirs(pixels).sum().backward(),
        "ours": lambda: ours(pixels).sum().backward(),
        "product": lambda: ours.project(cut).sum().backward(),
    }
    trained = alternately(ways, 3 * rounds)
    rows = [
        [name, *(f"{1000 * value:.1f}" for value in one.values()), f"{one['ours'] / one['theirs']:.2f}"]
        for name, one in {"forward": seen, "forward and backward": trained}.items()
    ]
    heads = ("Conv2d, ms", "reshape and product, ms", "product alone, ms", "share")
    table([f"patches of {batch}", *heads], rows)


@torch.inference_mode()
def reranking(queries: int, tiny: bool) -> None:
    """The table of re-ranking 100 images per query, each embedded once or every time; processor time."""
    texts = torch.randint(1000, 8000, (queries, 12)).tolist()
    rows, proposed = [], 8 if tiny else 100
    network = "resnet_mini" if tiny else "resnet50"
    for config in (vilt_mini(1).system, replace(pixel_bert_mini(1).system, backbone=network)):
        torch.manual_seed(0)
        system: Any = replace(config, vocab_size=8000).build().eval()
        side = config.image_size
        images = Batch(ImageBatch(pixels=torch.randint(256, (proposed, 3, side, side), dtype=torch.uint8)))
        began = time.process_time()
        cached = pair_scores(system, texts, system.embed_images(images))
        between = time.process_time()
        anew = torch.cat([pair_scores(system, [text], system.embed_images(images)) for text in texts])
        once, always = between - began, time.process_time() - between
        torch.testing.assert_close(cached, anew, atol=1e-5, rtol=0)
        rows.append([type(system).__name__, f"{once:.1f}", f"{always:.1f}", f"{always / once:.2f}"])
    table([f"{queries} x {proposed} pairs", "cached, CPU s", "anew, CPU s", "speedup"], rows)


@torch.inference_mode()
def embedding(rounds: int, tiny: bool) -> None:
    """The table of the article's headline: one image embedded by regions, by a grid and by patches."""
    small = {"width": 32, "depth": 1, "num_heads": 2, "mlp_dim": 32} if tiny else {}
    frozen = load_backbone("efficientnet_lite0", "cpu")
    region = UNITEREncoderConfig(**small, feature_width=frozen.width).build().eval()
    network = "resnet_mini" if tiny else "resnet50"
    grid = PixelBERTEncoderConfig(**small, image_size=SIDE, backbone=network).build().eval()
    patch = ViLTEncoderConfig(**small).build().eval()
    pixels = torch.randint(256, (1, 3, SIDE, SIDE), dtype=torch.uint8)
    one = Batch(ImageBatch(pixels=pixels))
    prepared = frozen.prepare(pixels[0].permute(1, 2, 0).numpy())[None]
    ways = {
        f"region: {frozen.name}, {frozen.size} px, 30 boxes": lambda: region.embed_images(
            Batch(ImageBatch(features=frozen(prepared)))
        ),
        f"grid: {network}": lambda: grid.embed_images(one),
        "patch: ViLT": lambda: patch.embed_images(one),
    }
    seconds = alternately(ways, 3 * rounds)
    base = seconds["patch: ViLT"]
    rows = [[name, f"{1000 * value:.2f}", f"{value / base:.1f}"] for name, value in seconds.items()]
    table(["one image", "ms", "times the patch"], rows)


def main() -> None:
    """Print a table of each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--tiny", action="store_true", help="tiny networks, to try the script")
    parts: dict[str, Callable[[argparse.Namespace], object]] = {
        "step": lambda given: [
            steps(given.batch, given.rounds, given.tiny, precision) for precision in precisions()
        ],
        "patches": lambda given: patches(given.batch, given.rounds),
        "embedding": lambda given: embedding(given.rounds, given.tiny),
        "reranking": lambda given: reranking(given.queries, given.tiny),
    }
    parser.add_argument("--only", choices=parts, action="append")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    os.environ.setdefault("SHOWTELL_LINEAR", "auto")
    command()
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"transformers {transformers.__version__}\n"
    )
    for name in options.only or parts:
        parts[name](options)


if __name__ == "__main__":
    main()
