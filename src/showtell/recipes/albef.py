"""ALBEF: images and texts aligned by two encoders, then fused by a third."""

from showtell.datasets.vocabulary import SubwordVocabulary
from showtell.runs.length import epochs
from showtell.runs.vision_language import VisionLanguageRun, pair_training
from showtell.systems.albef import ALBEFConfig
from showtell.systems.clip import TowerConfig


def albef_base(num_images: int) -> VisionLanguageRun:
    """Contrast, matching and masked words at the paper's size, ViT-B/16, BERT-base: wants GPUs.

    30 epochs in batches of 512: section 3.5. From scratch, where the paper begins with the weights of DeiT
    and of BERT; images are squashed to squares.

    Paper: Li et al. 2021, "Align before Fuse: Vision and Language Representation Learning"
    Time: not measured
    """
    batch_size = min(512, num_images)
    steps = epochs(30, num_images, batch_size, at_least=600)
    return VisionLanguageRun(
        system=ALBEFConfig(queue_size=min(65536, num_images), warm_updates=steps // 30),
        train=pair_training(steps, batch_size, 1e-4, weight_decay=0.02, warmup_steps=min(1000, steps // 10)),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 30522, 40),
    )


def albef_mini(num_images: int) -> VisionLanguageRun:
    """A small ALBEF from scratch, over the features of a frozen image encoder.

    Paper: Li et al. 2021, "Align before Fuse: Vision and Language Representation Learning"
    Time: not measured
    """
    batch_size = 64
    steps = epochs(25, num_images, batch_size, at_least=300)
    return VisionLanguageRun(
        system=ALBEFConfig(
            image=TowerConfig(256, 4, 1024, 1, "gelu", 1e-6),
            feature_width=1280,
            width=256,
            depth=2,
            fusion_depth=2,
            num_heads=4,
            mlp_dim=1024,
            max_length=40,
            dropout=0.1,
            queue_size=min(1024, num_images),
            warm_updates=steps // 10,
        ),
        train=pair_training(steps, batch_size, 5e-4),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 4000, 40),
    )
