"""BLIP-2: a Q-Former between a frozen image encoder and a frozen language model, trained in two stages."""

from dataclasses import replace

from showtell.datasets.pretrained_language import PretrainedLanguage
from showtell.datasets.vocabulary import PretrainedText, SubwordVocabulary
from showtell.fusion.q_former import QFormerConfig
from showtell.recipes.llava import SMOLLM2
from showtell.runs.length import epochs
from showtell.runs.second_stage import SecondStageRun
from showtell.runs.vision_language import VisionLanguageRun, pair_training
from showtell.systems.blip2 import BLIP2Config
from showtell.systems.blip2_captioner import BLIP2CaptionerConfig
from showtell.train.config import TrainConfig

FORMER = QFormerConfig(width=256, depth=4, num_heads=4, mlp_dim=1024, dropout=0.1)
"""Where no pretrained encoder of texts says another size."""


def blip2_base(num_images: int) -> VisionLanguageRun:
    """The first stage at the paper's size, over the frozen image encoder of `backbone=`: wants GPUs.

    250,000 steps of 1,680 images: section 3.4. `backbone` is the folder of an imported CLIP or another image
    encoder; the paper has CLIP's ViT-L/14 and a larger one. The Q-Former begins at random, where the paper's
    begins as BERT.

    Paper: Li et al. 2023, "BLIP-2"
    Time: not measured
    """
    steps = 250_000
    train = _first_stage(pair_training(steps, 1680, 1e-4, weight_decay=0.05, warmup_steps=2000))
    return VisionLanguageRun(
        system=BLIP2Config(feature_width=1024, former=QFormerConfig(dropout=0.1), max_length=40),
        train=replace(train, betas=(0.9, 0.98), validate_every=steps // 100, checkpoint_every=steps // 100),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 30522, 40),
        backbone="clip-vit-large-patch14",
    )


def blip2_mini(num_images: int) -> VisionLanguageRun:
    """The first stage: a small Q-Former over the features of a frozen image encoder.

    It begins as all-MiniLM-L6-v2 where its package is installed, at a low learning rate, as the paper's
    begins as BERT; else it is a small one, trained from scratch. It finds, matches and describes images.

    Paper: Li et al. 2023, "BLIP-2"
    Time: about 2 hours of one CPU core with bf16 units for the 6,000 images of Flickr8k
    """
    batch_size = 64
    steps = epochs(25, num_images, batch_size, at_least=300)
    system = BLIP2Config(feature_width=1280, feature_dropout=0.5, former=FORMER, max_length=40)
    train = _first_stage(pair_training(steps, batch_size, 5e-4, weight_decay=0.05))
    pretrained = PretrainedText(max_length=40, occurring=True)
    if not pretrained.installed:
        return VisionLanguageRun(system, train, SubwordVocabulary("wordpiece", "bert", 4000, 40))
    return VisionLanguageRun(replace(system, text_rate=0.3), train, pretrained)


def _first_stage(train: TrainConfig) -> TrainConfig:
    """The parameters that describe images best are kept: what the queries say prompts the second stage."""
    return replace(train, metric="lm", higher_is_better=False)


def blip2_caption_base(num_images: int) -> SecondStageRun:
    """The second stage at the paper's size: a Q-Former prompts a frozen language model; wants GPUs.

    80,000 steps of 1,920 images: section 3.4. `--model` is a `blip2_base`, `vocabulary.source` the folder of
    an imported OPT, GPT-2 or Llama.

    Paper: Li et al. 2023, "BLIP-2"
    Time: not measured
    """
    steps = 80_000
    return SecondStageRun(
        system=BLIP2CaptionerConfig(feature_width=1024, former=QFormerConfig(dropout=0.1), language=SMOLLM2),
        train=TrainConfig(
            steps=steps,
            batch_size=1920,
            learning_rate=1e-4,
            warmup_steps=2000,
            weight_decay=0.05,
            betas=(0.9, 0.98),
            precision="auto",
            validate_every=steps // 100,
            checkpoint_every=steps // 100,
        ),
        vocabulary=PretrainedLanguage("opt-2.7b"),
        backbone="clip-vit-large-patch14",
    )


def blip2_caption_mini(num_images: int) -> SecondStageRun:
    """The second stage: the Q-Former of `--model` prompts a frozen language model, SmolLM2.

    Trained on captions: the Q-Former, the layer after it and a position of each query learn, and they alone
    are written. The positions learn fast, what the language model is to write, and the Q-Former slowly, or it
    forgets the image before the language model reads it (LOG.md).

    Paper: Li et al. 2023, "BLIP-2"
    Time: 115 minutes of one CPU core with bf16 units for the 6,000 images of Flickr8k
    """
    batch_size = 16
    steps = epochs(2, num_images, batch_size, at_least=200)
    often = max(steps // 5, 1)
    return SecondStageRun(
        system=BLIP2CaptionerConfig(
            feature_width=1280,
            feature_dropout=0.5,
            former=FORMER,
            language=SMOLLM2,
            positions=True,
            position_rate=20.0,
            former_rate=0.05,
        ),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=2e-3,
            warmup_steps=steps // 20,
            weight_decay=0.05,
            precision="auto",
            validate_every=often,
            checkpoint_every=often,
        ),
        vocabulary=PretrainedLanguage(),
    )
