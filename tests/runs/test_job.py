"""Which systems a kind of run trains follows from their protocols; others bring a clear error."""

import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from showtell import runs
from showtell.data.labels.images import Classes
from showtell.datasets.captions import CaptionData
from showtell.datasets.images import Unlabelled
from showtell.datasets.labelled_images import LabelledImages
from showtell.datasets.texts import Texts
from showtell.datasets.vocabulary import PretrainedText, SubwordVocabulary
from showtell.errors import UsageError
from showtell.runs.captioning import CaptioningRun
from showtell.runs.classification import ClassificationRun
from showtell.runs.contrastive import ContrastiveRun
from showtell.runs.job import sketch
from showtell.runs.language_model import LanguageModelRun
from showtell.runs.self_supervised import SelfSupervisedRun
from showtell.systems.bert import BERTConfig, BERTEncoderConfig
from showtell.systems.clip import CLIPConfig
from showtell.systems.dinov2 import DINOv2Config
from showtell.systems.efficientnet import EfficientNetConfig
from showtell.systems.gpt import GPTConfig
from showtell.systems.show_and_tell import ShowAndTellConfig
from showtell.systems.simclr import SimCLRConfig
from showtell.systems.vit import ViTConfig, ViTEncoderConfig
from showtell.train.config import TrainConfig

TRAIN = TrainConfig(steps=2)
CAPTIONS, IMAGES, TEXTS = CaptionData([]), Unlabelled([]), Texts(["a"], ["b"])
LABELLED = LabelledImages(Classes(Path(), ("a", "b"), ()), [], [], [])


@pytest.mark.parametrize(
    ("run", "data", "says"),
    [
        (CaptioningRun(CLIPConfig(), TRAIN), CAPTIONS, "captioning run cannot train CLIP.* not Captioner"),
        (CaptioningRun(GPTConfig(), TRAIN), CAPTIONS, "cannot train GPT.* not ImageEncoder"),
        (
            ContrastiveRun(ShowAndTellConfig(), TRAIN, SubwordVocabulary()),
            CAPTIONS,
            "contrastive run cannot train ShowAndTell.* not Contrastive",
        ),
        (LanguageModelRun(ViTConfig(), TRAIN), TEXTS, "cannot train ViT.* not TextEncoder"),
        (LanguageModelRun(BERTEncoderConfig(), TRAIN), TEXTS, "cannot train BERTEncoder.* not Trainable"),
        (LanguageModelRun(CLIPConfig(), TRAIN), TEXTS, "cannot train CLIP: .*neither masked nor next"),
        (SelfSupervisedRun(ViTConfig(), TRAIN, size=32), IMAGES, "cannot train ViT: it names no views"),
        (SelfSupervisedRun(DINOv2Config(), TRAIN, size=28), IMAGES, "cannot train DINOv2.* not Trainable"),
        (ClassificationRun(ViTEncoderConfig(), TRAIN, (0.5, 1)), LABELLED, "ViTEncoder.* not Trainable"),
        (ClassificationRun(SimCLRConfig(), TRAIN, (0.5, 1)), LABELLED, "SimCLR.* not ImageClassifier"),
        (ClassificationRun(EfficientNetConfig(), TRAIN, (0.5, 1)), LABELLED, "number of classes is fixed"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_system_that_does_not_fit_is_refused_before_the_data_is_read(run, data, says) -> None:
    with pytest.raises(UsageError, match=says):
        run.prepare(data, "cpu")


def test_a_pretrained_text_tower_needs_a_system_that_takes_one() -> None:
    run = ContrastiveRun(CLIPConfig(), TRAIN, PretrainedText())
    with pytest.raises(UsageError, match="CLIPConfig takes no pretrained text tower"):
        run.build([])


def test_a_sketch_has_no_parameters_and_draws_no_numbers() -> None:
    import torch

    torch.manual_seed(0)
    before = torch.get_rng_state()
    system = sketch(replace(BERTConfig(), depth=1), "test")
    assert torch.equal(before, torch.get_rng_state())
    assert all(parameter.is_meta for parameter in system.parameters())
    with pytest.raises(UsageError, match="cannot be divided among 5 heads"):
        sketch(replace(BERTConfig(), num_heads=5), "test")


def test_no_run_names_a_system() -> None:
    """A branch on a concrete system would begin with its import."""
    for file in Path(inspect.getfile(runs)).parent.glob("*.py"):
        assert "from showtell.systems" not in file.read_text(), file.name
