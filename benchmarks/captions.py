"""Captions for the benchmarks: those of a data set, or random words with the lengths of real captions."""

from __future__ import annotations

from pathlib import Path

import torch

from showtell.data.captions.read import read_captions
from showtell.data.tokenizers.subword import SubwordTokenizer


def captions(data: Path | None, count: int) -> list[str]:
    """`count` captions; without a data set, 4 to 25 random words of four letters, 11 on average."""
    if data is not None:
        texts = [text for entry in read_captions(data).entries for text in entry.captions]
        return [texts[(7919 * i) % len(texts)] for i in range(count)]
    generator = torch.Generator().manual_seed(0)
    letters = torch.randint(97, 123, (1000, 4), generator=generator).tolist()
    words = ["".join(map(chr, row)) for row in letters]
    lengths = (torch.randn(count, generator=generator) * 3.7 + 10.8).round().clamp(4, 25).int().tolist()
    chosen = torch.randint(len(words), (count, 25), generator=generator).tolist()
    return [" ".join(words[i] for i in row[:n]) for n, row in zip(lengths, chosen, strict=True)]


def clip_tokenizer(data: Path | None) -> SubwordTokenizer:
    """BPE with CLIP's special tokens, trained on enough captions for a common word to be one token."""
    return SubwordTokenizer.train(captions(data, 20_000), "bpe", 8000, "clip")
