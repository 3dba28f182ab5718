"""BYOL on a folder of images, sized for two cores and minutes."""

from showtell.runs.self_supervised import SelfSupervisedRun, short_training
from showtell.systems.byol import BYOLConfig


def byol(num_images: int) -> SelfSupervisedRun:
    """One view predicts what a moving-average teacher makes of the other; no negatives.

    Each image is read 30 times; the paper's heads at a quarter of their width. So few steps need a teacher
    that follows sooner: its momentum begins at 0.99, the paper's at 0.996.

    Paper: Grill et al. 2020, "Bootstrap Your Own Latent"
    Time: 26 minutes of one core for 10,000 images of 32 px, 74 times each
    """
    return SelfSupervisedRun(
        system=BYOLConfig(backbone="resnet_mini", hidden_width=1024, momentum=0.99),
        train=short_training(num_images, 30),
    )
