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


def blip2_mini(num_images: int) -> VisionLanguageRun:
    """The first stage: a small Q-Former over the features of a frozen image encoder.

    It begins as all-MiniLM-L6-v2 where its package is installed, at a low learning rate, as the paper's
    begins as BERT; else it is a small one, trained from scratch. It finds, matches and describes images.

    Paper: Li et al. 2023, "BLIP-2"
    Time: not measured
    """
    batch_size = 64
    steps = epochs(25, num_images, batch_size, at_least=300)
    system = BLIP2Config(feature_width=1280, feature_dropout=0.5, former=FORMER, max_length=40)
    train = pair_training(steps, batch_size, 5e-4, weight_decay=0.05)
    pretrained = PretrainedText(max_length=40, occurring=True)
    if not pretrained.installed:
        return VisionLanguageRun(system, train, SubwordVocabulary("wordpiece", "bert", 4000, 40))
    return VisionLanguageRun(replace(system, text_rate=0.3), train, pretrained)


def blip2_caption_mini(num_images: int) -> SecondStageRun:
    """The second stage: the Q-Former of `--model` prompts a frozen language model, SmolLM2.

    Trained on captions: the Q-Former and the layer after it learn, and they alone are written.

    Paper: Li et al. 2023, "BLIP-2"
    Time: not measured
    """
    batch_size = 32
    steps = epochs(4, num_images, batch_size, at_least=200)
    often = max(steps // 5, 1)
    return SecondStageRun(
        system=BLIP2CaptionerConfig(feature_width=1280, feature_dropout=0.5, former=FORMER, language=SMOLLM2),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=3e-4,
            warmup_steps=steps // 10,
            weight_decay=0.05,
            precision="auto",
            validate_every=often,
            checkpoint_every=often,
        ),
        vocabulary=PretrainedLanguage(),
    )
