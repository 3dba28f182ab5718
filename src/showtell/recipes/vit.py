"""ViT on labelled images: as the paper trained it, and sized for two cores and minutes."""

from showtell.runs.classification import ClassificationRun
from showtell.runs.length import epochs
from showtell.systems.vit import ViTConfig
from showtell.train.config import TrainConfig

PAPER_STEPS, PAPER_WARMUP = 93_836, 10_000
"""300 epochs of the 1,281,167 images of ImageNet, in batches of 4,096."""


def vit_base(num_images: int) -> ClassificationRun:
    """A transformer over patches, trained to classify, at the paper's size, ViT-B/16: wants GPUs.

    300 epochs with random crops, as on ImageNet from scratch: table 3. A departure: a crop is cut from the
    image made square.

    Paper: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words"
    Time: not measured
    """
    batch_size = 4096
    steps = epochs(300, num_images, batch_size, at_least=100)
    return ClassificationRun(
        system=ViTConfig(dropout=0.1),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=3e-3,
            warmup_steps=steps * PAPER_WARMUP // PAPER_STEPS,
            weight_decay=0.3,
            clip_norm=1.0,
            validate_every=1000,
            metric="accuracy",
            higher_is_better=True,
            checkpoint_every=1000,
        ),
        area=(0.08, 1.0),
    )


def vit_mini(num_images: int) -> ClassificationRun:
    """A small transformer over patches, trained to classify images of 32 px.

    Each image is read 30 times, but for 2,000 steps at most. Of photographs it sees more with
    `system.image_size=128` and `system.patch_size=16`, in the same time.

    Paper: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words"
    Time: not measured
    """
    batch_size = 64
    steps = min(epochs(30, num_images, batch_size, at_least=100), 2000)
    return ClassificationRun(
        system=ViTConfig(image_size=32, patch_size=4, width=192, depth=6, num_heads=3, mlp_dim=768),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=1e-3,
            warmup_steps=steps // 10,
            weight_decay=0.05,
            validate_every=max(steps // 5, 1),
            metric="accuracy",
            higher_is_better=True,
            checkpoint_every=max(steps // 10, 1),
        ),
        area=(0.5, 1.0),
    )
