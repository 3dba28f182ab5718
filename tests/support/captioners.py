"""Very small captioners with random parameters, for the tests of what is built on them."""

import torch

from showtell.data.batch import Batch, ImageBatch
from showtell.protocols import Encoded
from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
from showtell.systems.show_attend_and_tell import ShowAttendAndTell, ShowAttendAndTellConfig

START, END, VOCAB = 1, 2, 6


def make(kind: str, seed: int = 0):
    """A captioner of kind `lstm`, `gru` or `attend`."""
    torch.manual_seed(seed)
    if kind == "attend":
        system = ShowAttendAndTell(ShowAttendAndTellConfig(VOCAB, 6, 7, 8, 9, 5))
    else:
        system = ShowAndTell(ShowAndTellConfig(VOCAB, 6, 8, 2, kind))
    for parameter in system.parameters():
        parameter.data.normal_(std=0.9)  # far from uniform, so that order matters
    if isinstance(system, ShowAndTell):
        system.image.weight.data.normal_(std=3)  # images far apart: they change the words
    return system.eval()


def encode(system, images: int = 3, seed: int = 1) -> Encoded:
    """Some encoded images."""
    grid = torch.rand(images, 4, 6, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return system.encode_images(Batch(ImageBatch(features=grid)))
