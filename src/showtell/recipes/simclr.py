"""SimCLR on a folder of images, sized for two cores and minutes."""

from showtell.runs.self_supervised import SelfSupervisedRun, short_training
from showtell.systems.simclr import SimCLRConfig


def simclr(num_images: int) -> SelfSupervisedRun:
    """Two views of an image are closer to each other than to all other images of the batch.

    Each image is read 30 times; the paper's projector at a quarter of its width.

    Paper: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations"
    Time: 26 minutes of one core for 10,000 images of 32 px, 106 times each
    """
    return SelfSupervisedRun(
        system=SimCLRConfig(backbone="resnet_mini", hidden_width=512, temperature=0.2),
        train=short_training(num_images, 30),
    )
