"""BLIP that describes images: a training step and beam search against `transformers`.

    python benchmarks/blip.py [--batch 4] [--images 16] [--beam 3] [--rounds 3] [--only step] [--tiny]

Both sides have the same parameters and 224 x 224 pixels, and take turns, each in a process of its own: ours
as the command runs it. The network is BLIP with ViT-B/16 and BERT-base, random but for a scaled output, so
that captions differ; both are 20 tokens long at most.
Step: the loss of captions of 16 tokens, which is the only one of BLIP's three that the reference has, its
gradients and fused AdamW, also under autocast in bfloat16 where that is faster; both sides must
find the same loss.
Captions: with the encoding of the images. The reference may rank a caption that was cut above one that ended,
so the last tokens can differ; how many are alike is a column. `tests/hub/test_blip.py` compares ended ones.
The encoding alone, with the keys and values of the image, is what no better search can save.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers
from torch import Tensor

from clip_step import precisions, updating
from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.device import has_int8
from showtell.hub.huggingface.folder import import_folder
from showtell.nn.cpu.int8 import quantise
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD
from showtell.runtime import prepare_process
from showtell.tasks.decoding import beam_search
from showtell.train.config import Precision
from table import command, table
from turns import turns

THEIRS, OURS, INT8, ENCODING = "transformers", "showtell", ", int8", ", the encoding alone"
SIDE, TOKENS, LONGEST = 224, 16, 20
START, END, DECODE = 101, 102, 30522


def reference(tiny: bool, folder: str) -> None:
    """Write the parameters that both sides have."""
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
    theirs.save_pretrained(folder)


def network(kind: str, folder: str) -> Any:
    """The network of one side: ours as the command has it."""
    if kind == THEIRS:
        return transformers.BlipForConditionalGeneration.from_pretrained(folder)
    prepare_process()
    ours = import_folder(folder)
    if INT8 in kind:
        quantise(ours.eval())
    return ours


def drawn(images: int) -> tuple[Tensor, Tensor]:
    """Pixels, the same in every process, and as the reference reads them."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (images, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    mean, std = (torch.tensor(value)[:, None, None] for value in (CLIP_MEAN, CLIP_STD))
    return pixels, (pixels / 255 - mean) / std


def updates(kind: str, folder: str, batch: int, precision: Precision) -> Callable[[], float]:
    """An update of one side."""
    module = network(kind, folder).train()
    pixels, values = drawn(batch)
    ids = torch.randint(1000, 30000, (batch, TOKENS), generator=torch.Generator().manual_seed(2))
    ids[:, 0], ids[:, -1] = START, END
    keep = torch.ones_like(ids, dtype=torch.bool)
    begun = torch.cat([torch.full_like(ids[:, :1], DECODE), ids[:, 1:]], 1)
    given = Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep))

    def refer() -> Tensor:
        logits = module(pixel_values=values, input_ids=begun, attention_mask=keep.long()).logits
        return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())

    return updating(module, refer if kind == THEIRS else lambda: module(given).losses["lm"], precision)


def steps(batch: int, rounds: int, folder: str, precision: Precision) -> None:
    """The table of a training step."""
    kinds = (THEIRS, OURS)
    with turns({kind: partial(updates, kind, folder, batch, precision) for kind in kinds}) as sides:
        sides.take()  # not timed
        theirs, ours = sides.values.values()
        assert abs(theirs - ours) < (1e-4 if precision == "float32" else 1e-2) * theirs, sides.values
        seconds = sides.medians(rounds)
    rows = [[name, f"{1000 * one:.0f}", f"{seconds[THEIRS] / one:.2f}"] for name, one in seconds.items()]
    table([f"step of {batch}, {precision}", "ms", "speedup"], rows)


def searches(kind: str, folder: str, images: int, beam: int) -> Callable[[], list[list[int]]]:
    """A beam search of one side, with the encoding of the images."""
    system = network(kind, folder).eval()
    pixels, values = drawn(images)

    @torch.inference_mode()
    def refer() -> list[list[int]]:
        rows = system.generate(
            pixel_values=values, num_beams=beam, max_new_tokens=LONGEST, do_sample=False, length_penalty=1.0
        )
        return [[i for i in row.tolist() if i not in (0, DECODE, START, END)] for row in rows]

    @torch.inference_mode()
    def caption() -> list[list[int]]:
        memory = system.prefill(system.encode_images(Batch(ImageBatch(pixels=pixels))))
        if ENCODING in kind:
            return []
        found = beam_search(
            system,
            memory,
            start=START,
            end=END,
            beam=beam,
            max_tokens=LONGEST,
            length_penalty=1.0,
            banned=[START],
        )
        return [list(best.ids) for best, *_ in found]

    return refer if kind == THEIRS else caption


def captions(images: int, beam: int, rounds: int, folder: str) -> None:
    """The table of beam search."""
    ours = (OURS, OURS + INT8) if has_int8() else (OURS,)
    kinds = (THEIRS, *(kind + part for kind in ours for part in ("", ENCODING)))
    with turns({kind: partial(searches, kind, folder, images, beam) for kind in kinds}) as sides:
        sides.take()  # not timed
        seconds, texts = sides.medians(rounds), sides.values
    rows = [
        [
            name,
            f"{1000 * one / images:.0f}",
            f"{seconds[THEIRS] / one:.2f}",
            f"{alike(texts[THEIRS], texts[name]):.2f}" if texts[name] else "",
        ]
        for name, one in seconds.items()
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
    command()
    with tempfile.TemporaryDirectory() as folder:
        reference(args.tiny, folder)
        if args.only != "captions":
            for precision in precisions():
                steps(args.batch, args.rounds, folder, precision)
        if args.only != "step":
            captions(args.images, args.beam, args.rounds, folder)


if __name__ == "__main__":
    main()
