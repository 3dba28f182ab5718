"""A training step of CLIP against `transformers`: both towers, the loss of the batch, backward, AdamW.

    python benchmarks/clip_step.py [--data DATA/flickr8k] [--batch 32] [--rounds 10] [--tiny]

Both sides have the same parameters, fused attention and fused AdamW, and read the same images and captions,
alternately. The reference pads captions to 77 tokens, as CLIP was trained; `trimmed` is the reference without
the columns that are padding in every row. Its pixels are normalised beforehand; ours are uint8. The script
first checks that all compute the same loss. The operations counted are those of our step, padding included;
the peak is a float32 product of 2048 x 2048 by the faster of torch's two libraries, measured alternately.
Ours chooses between them, as the command does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
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
from table import command, table

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


def updating(module: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], float]:
    """One update of the module with the loss."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-6, fused=True)

    def update() -> float:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        return value.item()

    return update


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a data set with captions; default: random words")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--tiny", action="store_true", help="a tiny network, to try the script")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    setting = os.environ.setdefault("SHOWTELL_LINEAR", "auto")
    texts = captions(options.data, options.batch)
    tokenizer = clip_tokenizer(options.data)
    theirs = reference(tokenizer, 49408, options.tiny)
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = import_folder(folder).train()
    ids, keep = pad([*(tokenizer.encode(text, 77) for text in texts), [tokenizer.end] * 77], tokenizer.end)
    ids, keep = ids[:-1], keep[:-1]
    pixels = torch.randint(256, (options.batch, 3, 224, 224), dtype=torch.uint8)
    mean, std = (torch.tensor(v)[:, None, None] for v in (ours.config.mean, ours.config.std))
    normal = (pixels / 255 - mean) / std
    batch = Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep, owner=torch.arange(options.batch)))
    longest = int(keep.sum(1).max())

    def refer(length: int) -> Tensor:
        return theirs(
            input_ids=ids[:, :length],
            attention_mask=keep[:, :length].long(),
            pixel_values=normal,
            return_loss=True,
        ).loss

    steps = {
        "transformers, 77 tokens": updating(theirs, lambda: refer(77)),
        f"transformers, trimmed to {longest}": updating(theirs, lambda: refer(longest)),
        "showtell": updating(ours, lambda: ours(batch).losses["contrast"]),
    }
    with torch.no_grad():
        losses = [float(refer(77)), float(refer(longest)), float(ours(batch).losses["contrast"])]
    assert max(losses) - min(losses) < 1e-4, losses
    os.environ["SHOWTELL_LINEAR"] = "torch"  # the counter knows torch's products
    with FlopCounterMode(display=False) as counter:
        ours(batch).losses["contrast"].backward()
    os.environ["SHOWTELL_LINEAR"] = setting
    taken: dict[str, list[float]] = {name: [] for name in [*steps, "peak"]}
    for step in steps.values():
        step()
    for _ in range(options.rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            taken[name].append(time.perf_counter() - started)
        taken["peak"].append(peak())
    best = statistics.median(taken.pop("peak"))
    seconds = {name: statistics.median(times) for name, times in taken.items()}
    command()
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"transformers {transformers.__version__}; {options.batch} pairs, "
        f"captions of {keep.sum(1).float().mean():.1f} tokens; best product {best / 1e9:.0f} GFLOP/s\n"
    )
    first = next(iter(seconds.values()))
    table(
        ["step of", "ms", "speedup", "share of the best product"],
        [
            [
                *(name, f"{1000 * value:.0f}", f"{first / value:.2f}"),
                f"{counter.get_total_flops() / value / best:.0%}" if name == "showtell" else "",
            ]
            for name, value in seconds.items()
        ],
    )


if __name__ == "__main__":
    main()
