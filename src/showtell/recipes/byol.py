"""BYOL on a folder of images, sized for two cores and minutes."""

from showtell.runs.self_supervised import SelfSupervisedRun, short_training
from showtell.systems.byol import BYOLConfig


def byol(num_images: int) -> SelfSupervisedRun:
    """For `num_images` to learn from, 30 times each; the paper's heads at a quarter of their width.

    So few steps want a teacher that follows sooner: it begins at 0.99, the paper's at 0.996.
    """
    return SelfSupervisedRun(
        system=BYOLConfig(backbone="resnet_mini", hidden_width=1024, momentum=0.99),
        train=short_training(num_images, 30),
    )
