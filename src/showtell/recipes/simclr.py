"""SimCLR on a folder of images, sized for two cores and minutes."""

from showtell.runs.self_supervised import SelfSupervisedRun, short_training
from showtell.systems.simclr import SimCLRConfig


def simclr(num_images: int) -> SelfSupervisedRun:
    """For `num_images` to learn from, 30 times each; the paper's projector at a quarter of its width."""
    return SelfSupervisedRun(
        system=SimCLRConfig(backbone="resnet_mini", hidden_width=512, temperature=0.2),
        train=short_training(num_images, 30),
    )
