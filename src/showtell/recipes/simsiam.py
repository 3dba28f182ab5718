"""SimSiam on a folder of images, sized for two cores and minutes."""

from showtell.runs.self_supervised import SelfSupervisedRun, short_training
from showtell.systems.simsiam import SimSiamConfig


def simsiam(num_images: int) -> SelfSupervisedRun:
    """For `num_images` to learn from, 30 times each; heads at half of the paper's width."""
    return SelfSupervisedRun(
        system=SimSiamConfig(
            backbone="resnet_mini", projection_width=1024, projector_layers=2, bottleneck_width=256
        ),
        train=short_training(num_images, 30),
    )
