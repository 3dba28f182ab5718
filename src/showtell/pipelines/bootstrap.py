"""Captions written by one model and filtered by another (CapFilt): a cleaner and larger data set.

    each image -> its own captions, and sampled ones -> do they match, by the filter -> kept or dropped

Source: Li et al. 2022, "BLIP: Bootstrapping Language-Image Pre-training", section 3.3, figure 3.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from showtell.data.batch import Batch, TextBatch, pad
from showtell.data.captions.entry import Entry
from showtell.data.captions.read import read_captions
from showtell.data.images.decode import MAX_PIXELS, ImageError
from showtell.errors import UsageError, UserError
from showtell.pairing import PairScorer
from showtell.pipelines.abilities import require
from showtell.pipelines.model import BATCH, Model
from showtell.progress import report
from showtell.protocols import Captioner
from showtell.writing import write_file, writing

logger = logging.getLogger(__name__)

KEPT, DROPPED, UNFINISHED = "captions.jsonl", "dropped/captions.jsonl", ".unfinished.jsonl"


@dataclass(frozen=True)
class Judged:
    """A caption of an image, and what the filter thinks of it."""

    image: str
    caption: str
    split: str | None
    source: Literal["data", "captioner"]
    probability: float
    """That the two match, by the filter."""
    logprob: float | None
    """Of the caption, by the captioner, nats; None for one of the data."""


def bootstrap(
    data: Path | str,
    output: Path | str,
    captioner: Model,
    judge: Model,
    *,
    threshold: float = 0.5,
    num: int = 1,
    seed: int = 0,
    format: str | None = None,
    max_pixels: int = MAX_PIXELS,
    skip: Callable[[UserError], None] | None = None,
) -> dict[str, Any]:
    """Write a data set that every recipe reads: of each image the captions that `judge` believes.

    These are the captions of the data, if it has some, and `num` that the `captioner` samples. Kept are those
    that match with a probability of at least `threshold`; the others stand beside them, in `dropped/`. A call
    that was stopped goes on where it was, if nothing but the threshold has changed.

    Returns the output folder, and how many captions of either source were kept and dropped.

    Raises:
        UsageError: The captioner describes no images, the judge scores no pairs, or the output is not empty.
        ImageError: An image cannot be read, and there is no `skip`, which is called with the error else.
    """
    require(captioner.name, captioner.system, [Captioner], "--captioner")
    require(judge.name, judge.system, [PairScorer], "--filter")
    output, entries = Path(output), read_captions(data, format).entries
    settings = {"captioner": captioner.hash, "filter": judge.hash, "num": num, "seed": seed}
    unfinished = output / UNFINISHED
    if output.exists() and any(output.iterdir()) and not unfinished.exists():
        raise UsageError(f"{output} is not empty; give --output another folder")
    done = _read_unfinished(unfinished, settings)
    unreadable = 0
    with writing(unfinished):
        output.mkdir(parents=True, exist_ok=True)
        with unfinished.open("a", encoding="utf-8") as file:
            if not done and not file.tell():
                file.write(json.dumps(settings) + "\n")
            for first in range(0, len(entries), BATCH):
                batch = entries[first : first + BATCH]
                report("captioning and filtering", first, len(entries))
                if all(str(entry.path) in done for entry in batch):
                    continue
                some, pixels = _readable(batch, captioner, judge, max_pixels, skip)
                unreadable += len(batch) - len(some)
                for path, judged in _judge(some, pixels, captioner, judge, num, seed + first):
                    done[path] = judged
                    file.write(json.dumps({"image": path, "judged": [asdict(one) for one in judged]}) + "\n")
                file.flush()
    judged = [one for entry in entries for one in done.get(str(entry.path), ())]
    if not judged:
        raise UserError(f"none of the {len(entries)} images of {data} can be read")
    parts = {
        KEPT: [one for one in judged if one.probability >= threshold],
        DROPPED: [one for one in judged if one.probability < threshold],
    }
    for name, rows in parts.items():
        lines = (json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in rows)
        write_file(output / name, "".join(lines).encode())
    unfinished.unlink()
    return {
        "output": str(output),
        "images": len(entries) - unreadable,
        "unreadable": unreadable,
        "kept": _by_source(parts[KEPT]),
        "dropped": _by_source(parts[DROPPED]),
    }


def _read_unfinished(file: Path, settings: Mapping[str, Any]) -> dict[str, list[Judged]]:
    """What an earlier call judged, by image; a line that was torn off is cut away.

    Raises `UsageError` where other models or settings judged.
    """
    if not file.exists():
        return {}
    lines = file.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    if len(whole) < len(lines):
        write_file(file, b"".join(whole))
    if not whole:
        return {}
    if json.loads(whole[0]) != settings:
        raise UsageError(
            f"{file.parent} was begun with other models or settings; give --output another folder"
        )
    rows = [json.loads(line) for line in whole[1:]]
    logger.info("%s: %d images are judged already", file.parent, len(rows))
    return {row["image"]: [Judged(**one) for one in row["judged"]] for row in rows}


def _readable(
    entries: Sequence[Entry],
    captioner: Model,
    judge: Model,
    max_pixels: int,
    skip: Callable[[UserError], None] | None,
) -> tuple[list[Entry], list[tuple[np.ndarray, np.ndarray]]]:
    """The images that can be read, each as both models prepare it."""
    some, pixels = list[Entry](), list[tuple[np.ndarray, np.ndarray]]()
    for entry in entries:
        try:
            pixels.append((captioner.read(entry.path, max_pixels), judge.read(entry.path, max_pixels)))
        except ImageError as error:
            if skip is None:
                raise
            skip(error)
        else:
            some.append(entry)
    return some, pixels


def _judge(
    entries: Sequence[Entry],
    pixels: Sequence[tuple[np.ndarray, np.ndarray]],
    captioner: Model,
    judge: Model,
    num: int,
    seed: int,
) -> Iterator[tuple[str, list[Judged]]]:
    """Each image with its captions and what the judge thinks of them."""
    if not entries:
        return
    encoded = captioner.encode([mine for mine, _ in pixels])
    written = captioner.caption_encoded(encoded, num=num, sample="nucleus", seed=seed)
    texts = []
    for entry, found in zip(entries, written, strict=True):
        own: dict[str, float | None] = dict.fromkeys(entry.captions)
        for one in found:
            own.setdefault(one.text, one.logprob)  # a caption that is there already is not written twice
        texts.append([*own.items()])
    chances = _probabilities(judge, [mine for _, mine in pixels], [[t for t, _ in row] for row in texts])
    for entry, row, chance in zip(entries, texts, chances, strict=True):
        yield (
            str(entry.path),
            [
                Judged(
                    str(entry.path),
                    text,
                    entry.split,
                    "data" if logprob is None else "captioner",
                    probability,
                    logprob,
                )
                for (text, logprob), probability in zip(row, chance, strict=True)
            ],
        )


@torch.inference_mode()
def _probabilities(
    judge: Model, pixels: Sequence[np.ndarray], texts: Sequence[Sequence[str]]
) -> list[list[float]]:
    """That each text matches its image."""
    assert judge.image_input is not None
    images = judge.system.embed_images(judge.image_input.batch(pixels).to(judge.device))
    rows = [judge.tokenizer.encode(text, judge.max_length) for row in texts for text in row]
    ids, keep = pad(rows, judge.tokenizer.pad)
    owner = torch.tensor([place for place, row in enumerate(texts) for _ in row])
    batch = Batch(texts=TextBatch(ids, keep, owner=owner)).to(judge.device)
    matched = iter(judge.system.match(judge.system.pair_vectors(batch, images)).float().sigmoid().tolist())
    return [[next(matched) for _ in row] for row in texts]


def _by_source(rows: Sequence[Judged]) -> dict[str, int]:
    return {name: sum(one.source == name for one in rows) for name in ("data", "captioner")}
