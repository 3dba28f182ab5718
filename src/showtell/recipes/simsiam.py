"""SimSiam on a folder of images, sized for two cores and minutes."""

from showtell.runs.self_supervised import SelfSupervisedRun, short_training
from showtell.systems.simsiam import SimSiamConfig


def simsiam(num_images: int) -> SelfSupervisedRun:
    """One view predicts the other behind a stopped gradient; no teacher, no negatives.

    Each image is read 30 times; heads at half of the paper's width.

    Paper: Chen & He 2021, "Exploring Simple Siamese Representation Learning"
    Time: 23 minutes of one core for 10,000 images of 32 px, 83 times each
    """
    return SelfSupervisedRun(
        system=SimSiamConfig(
            backbone="resnet_mini", projection_width=1024, projector_layers=2, bottleneck_width=256
        ),
        train=short_training(num_images, 30),
    )
