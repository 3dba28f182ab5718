"""SimSiam by hand: image representations without labels, in one loop over showtell's parts.

    python examples/simsiam.py [FOLDER]

Two augmented views of an image pass through the same network, and a small predictor maps the vector of one
view to that of the other. Nothing but a stopped gradient keeps all vectors from becoming equal. So watch two
numbers: the loss, a negative cosine that falls from 0 towards -1, and the effective rank of the vectors,
which falls to 1 when they collapse.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.augment import SIMSIAM_CIFAR, draw_views
from showtell.data.images.decode import load_image
from showtell.data.images.files import find_images
from showtell.data.images.resize import squash
from showtell.data.images.samples import sample_photographs
from showtell.data.sampler import Sampler
from showtell.explain.collapse import effective_rank
from showtell.systems.simsiam import SimSiamConfig


def main(folder: Path | None = None, steps: int = 100, batch_size: int = 16) -> list[float]:
    """Train on the images of a folder, or on sample photographs; return the loss of each step."""
    # Images are small here, so a view is 32 pixels wide: SimSiam's own setting for CIFAR-10.
    paths = find_images(folder) if folder else sample_photographs()
    squares = np.stack([squash(load_image(path), 48) for path in paths])
    pixels = torch.from_numpy(squares).permute(0, 3, 1, 2)  # uint8 [B 3 48 48]

    torch.manual_seed(0)
    config = SimSiamConfig("resnet_mini", stem="cifar", projection_width=256, projector_layers=2)
    system = config.build()
    optimiser = torch.optim.SGD(system.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)

    # Everything random comes from one generator: the same seed gives the same run.
    generator = torch.Generator().manual_seed(0)
    sampler = Sampler(len(pixels), batch_size)
    losses = []
    for step in range(steps):
        views = draw_views(pixels[sampler(step)], SIMSIAM_CIFAR, generator)  # float32 [2 B 3 32 32]
        outcome = system(Batch(ImageBatch(views=views)), generator)
        loss = outcome.losses["simsiam"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if step % 10 == 0:
            with torch.no_grad():
                rank = effective_rank(torch.nn.functional.normalize(system.project(views[0]), dim=1))
            print(f"step {step:4}  loss {loss.item():6.3f}  effective rank {rank:5.1f}")
    return losses


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
