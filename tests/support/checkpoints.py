"""Small checkpoints with random parameters, and captions for their vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from showtell.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from showtell.checkpoint.load import Checkpoint
    from showtell.systems.show_and_tell import ShowAndTell

CAPTIONS = [
    "a woman smiling in a red shirt",
    "a man with a camera on the grass",
    "two men riding a motorcycle under a blue sky",
    "a dog running through the green grass",
    "a boy sitting and three women walking",
]


def tiny_checkpoint(folder: Path, system: str = "show_and_tell", seed: int = 0) -> Path:
    """A captioner with random parameters and a few dozen words, over the real backbone."""
    import torch

    from showtell.checkpoint.save import save_checkpoint
    from showtell.data.tokenizers.words import WordTokenizer
    from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
    from showtell.systems.show_attend_and_tell import ShowAttendAndTell, ShowAttendAndTellConfig

    tokenizer = WordTokenizer.train(CAPTIONS)
    torch.manual_seed(seed)
    if system == "show_and_tell":
        built = ShowAndTell(ShowAndTellConfig(vocab_size=len(tokenizer), width=16, depth=1))
    else:
        built = ShowAttendAndTell(ShowAttendAndTellConfig(vocab_size=len(tokenizer), width=16))
    save_checkpoint(
        folder,
        built,
        record={"recipe": system},
        tokenizer_json=tokenizer.to_json(),
        preprocess={"backbone": "efficientnet_lite0", "version": "squash224-v1"},
        card="# random weights\n",
    )
    return folder


def small(seed: int = 0, **changes: Any) -> ShowAndTell:
    """A captioner of a few hundred parameters."""
    import torch

    from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig

    torch.manual_seed(seed)
    config = {"vocab_size": 11, "feature_width": 6, "width": 8, "depth": 1, **changes}
    return ShowAndTell(ShowAndTellConfig(**config))


def save(folder: Path, system: nn.Module | None = None, **changes: Any) -> Path:
    """Save `system`, or `small()`, as a checkpoint."""
    from showtell.checkpoint.save import save_checkpoint

    parts: dict[str, Any] = {
        "record": {"recipe": {"train": {"steps": 3}}, "seed": 1},
        "tokenizer_json": '{"words": ["狗"]}',
        "preprocess": {"size": 224},
        "card": "# A model\n",
        **changes,
    }
    save_checkpoint(folder, system or small(), **parts)
    return folder


def same(checkpoint: Checkpoint, system: nn.Module) -> bool:
    """Whether all tensors are equal."""
    import torch

    ours, theirs = checkpoint.system.state_dict(), system.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


def refused(attempt: Callable[[], object], *parts: str, kind: type[UserError] = UserError) -> str:
    """The message of the error that `attempt()` raises, which holds all `parts`."""
    with pytest.raises(kind) as caught:
        attempt()
    for part in parts:
        assert part in str(caught.value)
    return str(caught.value)
