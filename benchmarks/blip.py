"""BLIP that describes images: a training step and beam search against `transformers`.

    python benchmarks/blip.py [--batch 4] [--images 16] [--beam 3] [--rounds 3] [--only step] [--tiny]

Both sides have the same parameters, 224 x 224 pixels, and run alternately. The network is BLIP with ViT-B/16
and BERT-base, random but for a scaled output, so that captions differ; both are 20 tokens long at most.
Step: the loss of captions of 16 tokens, which is the only one of BLIP's three that the reference has, its
gradients and fused AdamW, once the losses are found equal.
Captions: with the encoding of the images. The reference may rank a caption that was cut above one that ended,
so the last tokens can differ; how many are alike is a column. `tests/hub/test_blip.py` compares ended ones.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from functools import partial
from typing import Any

import torch
import transformers
from torch import Tensor

from clip_step import updating
from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.device import has_int8
from showtell.hub.huggingface.folder import import_folder
from showtell.nn.cpu.int8 import quantise
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD
from showtell.tasks.decoding import beam_search
from table import command, table
from vilt_step import alternately

SIDE, TOKENS, LONGEST = 224, 16, 20
START, END, DECODE = 101, 102, 30522


def networks(tiny: bool) -> tuple[Any, Any]:
    """The reference and ours, with the same parameters."""
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes = small if tiny else {}
    config = transformers.BlipConfig(
        vision_config=sizes | {"image_size": SIDE},
        text_config=sizes
        | {
            "vocab_size": 30524,
            "bos_token_id": DECODE,
            "eos_token_id": END,
            "sep_token_id": END,
            "pad_token_id": 0,
            "encoder_hidden_size": sizes.get("hidden_size", 768),
        },
    )
    theirs = transformers.BlipForConditionalGeneration(config)
    with torch.no_grad():
        theirs.text_decoder.cls.predictions.transform.LayerNorm.weight.mul_(4)
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        return theirs, import_folder(folder)


def seen(pixels: Tensor) -> Tensor:
    """Pixels as the reference reads them."""
    mean, std = (torch.tensor(value)[:, None, None] for value in (CLIP_MEAN, CLIP_STD))
    return (pixels / 255 - mean) / std


def steps(batch: int, rounds: int, tiny: bool) -> None:
    """The table of a training step."""
    theirs, ours = (network.train() for network in networks(tiny))
    pixels = torch.randint(256, (batch, 3, SIDE, SIDE), dtype=torch.uint8)
    ids = torch.randint(1000, 30000, (batch, TOKENS))
    ids[:, 0], ids[:, -1] = START, END
    keep, values = torch.ones_like(ids, dtype=torch.bool), seen(pixels)
    begun = torch.cat([torch.full_like(ids[:, :1], DECODE), ids[:, 1:]], 1)
    given = Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep))

    def refer() -> Tensor:
        logits = theirs(pixel_values=values, input_ids=begun, attention_mask=keep.long()).logits
        return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())

    losses = {"transformers": (theirs, refer), "showtell": (ours, lambda: ours(given).losses["lm"])}
    with torch.no_grad():
        found = [float(loss()) for _, loss in losses.values()]
    assert abs(found[0] - found[1]) < 1e-4 * found[0], found
    seconds = alternately({name: updating(*one) for name, one in losses.items()}, rounds)
    base = seconds["transformers"]
    rows = [[name, f"{1000 * value:.0f}", f"{base / value:.2f}"] for name, value in seconds.items()]
    table([f"step of {batch}", "ms", "speedup"], rows)


def captions(images: int, beam: int, rounds: int, tiny: bool) -> None:
    """The table of beam search."""
    theirs, ours = (network.eval() for network in networks(tiny))
    pixels = torch.randint(256, (images, 3, SIDE, SIDE), dtype=torch.uint8)
    values = seen(pixels)

    def refer() -> list[list[int]]:
        rows = theirs.generate(
            pixel_values=values, num_beams=beam, max_new_tokens=LONGEST, do_sample=False, length_penalty=1.0
        )
        return [[i for i in row.tolist() if i not in (0, DECODE, START, END)] for row in rows]

    def caption(system: Any) -> list[list[int]]:
        encoded = system.encode_images(Batch(ImageBatch(pixels=pixels)))
        found = beam_search(
            system,
            system.prefill(encoded),
            start=START,
            end=END,
            beam=beam,
            max_tokens=LONGEST,
            length_penalty=1.0,
            banned=[START],
        )
        return [list(best.ids) for best, *_ in found]

    sides = {"transformers, generate": refer, "showtell": partial(caption, ours)}
    if has_int8():
        rounded = copy.deepcopy(ours)
        quantise(rounded)
        sides["showtell, int8"] = partial(caption, rounded)
    with torch.inference_mode():
        texts = [side() for side in sides.values()]
        seconds = alternately(sides, rounds)
    base = seconds["transformers, generate"]
    rows = [
        [name, f"{1000 * value / images:.0f}", f"{base / value:.2f}", f"{alike(texts[0], own):.2f}"]
        for (name, value), own in zip(seconds.items(), texts, strict=True)
    ]
    table([f"beam {beam}", "ms per image", "speedup", "tokens alike"], rows)


def alike(texts: list[list[int]], others: list[list[int]]) -> float:
    """The share of places that hold the same token."""
    pairs = [pair for both in zip(texts, others, strict=True) for pair in zip(*both, strict=False)]
    return sum(a == b for a, b in pairs) / len(pairs)


def main() -> None:
    """Print both tables, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batch", type=int, default=4, help="images per training step")
    parser.add_argument("--images", type=int, default=16, help="images per beam search")
    parser.add_argument("--beam", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["step", "captions"])
    parser.add_argument("--tiny", action="store_true", help="tiny networks, to see that it runs")
    args = parser.parse_args()
    print(command())
    if args.only != "captions":
        steps(args.batch, args.rounds, args.tiny)
    if args.only != "step":
        captions(args.images, args.beam, args.rounds, args.tiny)


if __name__ == "__main__":
    main()
