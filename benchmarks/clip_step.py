"""A training step of CLIP against `transformers`: both towers, the loss of the batch, backward, AdamW.

    python benchmarks/clip_step.py [--data DATA/flickr8k] [--batch 32] [--rounds 10] [--tiny]

All sides have the same parameters, fused attention and fused AdamW, read the same images and captions, find
the same loss, and take turns, each in a process of its own: ours as the command runs it. The reference pads
captions to 77 tokens, as CLIP was trained; `trimmed` is the reference without the columns that are padding in
every row. Its pixels are normalised beforehand; ours are uint8. Where bfloat16 is faster on the processor,
all run under autocast too. The operations counted are those of our step, padding included; the best product
is one of 2048 x 2048 in the same precision, in float32 by the faster of torch's two libraries.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from captions import captions, clip_tokenizer
from peak import peak
from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.hub.huggingface.folder import import_folder
from showtell.nn.bfloat16 import has_fast_bfloat16
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD
from showtell.runtime import prepare_process
from showtell.train.config import Precision
from showtell.train.precision import PRECISIONS, autocast
from table import command, table
from turns import turns

FULL, TRIMMED, OURS = "transformers, 77 tokens", "transformers, trimmed", "showtell"
TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def reference(tokenizer: SubwordTokenizer, vocab_size: int, tiny: bool) -> transformers.CLIPModel:
    """CLIP ViT-B/32 with random parameters."""
    small = TINY if tiny else {}
    words = {"bos_token_id": tokenizer.start, "eos_token_id": tokenizer.end, "vocab_size": vocab_size}
    config = transformers.CLIPConfig(
        text_config={**words, **small}, vision_config={"patch_size": 32, **small}
    )
    torch.manual_seed(0)
    return transformers.CLIPModel(config)


def precisions() -> tuple[Precision, ...]:
    """What a step is timed in: float32, and bfloat16 where it is faster on this processor."""
    return ("float32", "bf16") if has_fast_bfloat16("cpu") else ("float32",)


def updating(
    module: nn.Module, loss: Callable[[], Tensor], precision: Precision = "float32"
) -> Callable[[], float]:
    """One update of the module with the loss."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-6, fused=True)

    def update() -> float:
        optimiser.zero_grad()
        with autocast(precision, "cpu"):
            value = loss()
        value.backward()
        optimiser.step()
        return value.item()

    return update


@dataclass(frozen=True)
class Pairs:
    """What all sides read."""

    ids: Tensor
    keep: Tensor
    pixels: Tensor

    @classmethod
    def of(cls, texts: list[str], tokenizer: SubwordTokenizer) -> Pairs:
        """Captions with random images."""
        ids, keep = pad(
            [*(tokenizer.encode(text, 77) for text in texts), [tokenizer.end] * 77], tokenizer.end
        )
        generator = torch.Generator().manual_seed(1)
        pixels = torch.randint(256, (len(texts), 3, 224, 224), dtype=torch.uint8, generator=generator)
        return cls(ids[:-1], keep[:-1], pixels)

    @property
    def longest(self) -> int:
        """Tokens of the longest caption."""
        return int(self.keep.sum(1).max())


def side(kind: str, folder: str, pairs: Pairs) -> tuple[nn.Module, Callable[[], Tensor]]:
    """The network of one side and its loss, with the parameters in a folder."""
    ids, keep, pixels = pairs.ids, pairs.keep, pairs.pixels
    if kind == OURS:
        prepare_process()
        ours = import_folder(folder).train()
        batch = Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep, owner=torch.arange(len(ids))))
        return ours, lambda: ours(batch).losses["contrast"]
    theirs = transformers.CLIPModel.from_pretrained(folder).train()
    length = pairs.longest if kind == TRIMMED else ids.shape[1]
    mean, std = (torch.tensor(value)[:, None, None] for value in (CLIP_MEAN, CLIP_STD))
    normal = (pixels / 255 - mean) / std

    def refer() -> Tensor:
        return theirs(
            input_ids=ids[:, :length],
            attention_mask=keep[:, :length].long(),
            pixel_values=normal,
            return_loss=True,
        ).loss

    return theirs, refer


def update(kind: str, folder: str, pairs: Pairs, precision: Precision) -> Callable[[], float]:
    """An update of one side."""
    return updating(*side(kind, folder, pairs), precision)


def operations(folder: str, pairs: Pairs) -> int:
    """Of our step, forward and backward."""
    setting = os.environ["SHOWTELL_LINEAR"]
    os.environ["SHOWTELL_LINEAR"] = "torch"  # the counter knows torch's products
    with FlopCounterMode(display=False) as counter:
        side(OURS, folder, pairs)[1]().backward()
    os.environ["SHOWTELL_LINEAR"] = setting
    return counter.get_total_flops()


def compare(folder: str, pairs: Pairs, precision: Precision, rounds: int, counted: int) -> None:
    """The table of one precision."""
    makers = {kind: partial(update, kind, folder, pairs, precision) for kind in (FULL, TRIMMED, OURS)}
    with turns(makers) as sides:
        sides.take()  # not timed
        losses = sides.values.values()
        within = 1e-4 if precision == "float32" else 2e-2
        assert max(losses) - min(losses) < within, sides.values
        best = max(peak(dtype=PRECISIONS[precision]) for _ in range(1 + rounds))  # the first sets up buffers
        seconds = sides.medians(rounds)
    rows = [
        [
            *(name, f"{1000 * value:.0f}", f"{seconds[FULL] / value:.2f}"),
            f"{counted / value / best:.0%}" if name == OURS else "",
        ]
        for name, value in seconds.items()
    ]
    print(f"{precision}: best product {best / 1e9:.0f} GFLOP/s\n")
    table(["step of", "ms", "speedup", "share of the best product"], rows)


def main() -> None:
    """Print a table for each precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a data set with captions; default: random words")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--tiny", action="store_true", help="a tiny network, to try the script")
    options = parser.parse_args()
    os.environ.setdefault("SHOWTELL_LINEAR", "auto")
    tokenizer = clip_tokenizer(options.data)
    pairs = Pairs.of(captions(options.data, options.batch), tokenizer)
    command()
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"transformers {transformers.__version__}; {options.batch} pairs, "
        f"captions of {pairs.keep.sum(1).float().mean():.1f} tokens, {pairs.longest} at most\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        reference(tokenizer, 49408, options.tiny).save_pretrained(folder)
        counted = operations(folder, pairs)
        for precision in precisions():
            compare(folder, pairs, precision, options.rounds, counted)


if __name__ == "__main__":
    main()
