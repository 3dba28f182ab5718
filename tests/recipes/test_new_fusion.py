"""A new fusion system is one file and its test: trained, compared, asked, and held to every contract."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import showtell
from support.dual import captioned_squares

ROOT = Path(__file__).parents[2]
SYSTEM = '''
"""Averaging: each token of a pair, and the mean of all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.answering import AnswererConfig, PairAnswers
from showtell.fusion.pretraining import PairPretraining, PairPretrainingConfig
from showtell.fusion.single_stream import SingleStream
from showtell.fusion.visual.patches import PatchEmbedder
from showtell.nn.embed import TextEmbedding
from showtell.nn.heads import Pooler
from showtell.protocols import Encoded


class Average(nn.Module):
    """`norm(x + W mean(x))`, the mean over what may be attended to."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix, self.norm = nn.Linear(width, width), nn.LayerNorm(width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """`[B N D]` to the same."""
        shares = mask.squeeze(1).to(tokens)
        return self.norm(tokens + self.mix(shares @ tokens / shares.sum(-1, keepdim=True)))


@dataclass(frozen=True)
class AveragingEncoderConfig:
    """Sizes."""

    vocab_size: int = 100
    width: int = 16
    max_length: int = 40
    num_images: int = 1
    image_size: int = 32
    patch_size: int = 16
    dropout: float = 0.0

    def build(self) -> AveragingEncoder:
        """The untrained system."""
        return AveragingEncoder(self)

    def with_tokenizer(self, tokenizer: SubwordTokenizer) -> Self:
        """With its vocabulary."""
        return replace(self, vocab_size=len(tokenizer))


class AveragingEncoder(SingleStream):
    """The encoder of pairs."""

    Config: ClassVar = AveragingEncoderConfig
    reads: ClassVar = "pixels"
    num_class_tokens: ClassVar = 1
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")

    def __init__(self, config: AveragingEncoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.fused_width = c.width
        self.text = TextEmbedding(c.vocab_size, c.width, c.max_length, eps=1e-6)
        half = (0.5, 0.5, 0.5)
        self.image = PatchEmbedder(c.image_size, c.patch_size, c.width, num_sampled=200, mean=half, std=half)
        self.places = nn.Embedding(c.num_images, c.width)
        self.transformer, self.pooler = Average(c.width), Pooler(c.width)

    def embed_texts(self, texts: TextBatch) -> Tensor:
        """Tokens of the texts."""
        return self.text(texts.ids)

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """Patches."""
        image = self.image(batch.images, generator)
        return replace(image, tokens=image.tokens + self.places.weight[place])


@dataclass(frozen=True)
class AveragingConfig(PairPretrainingConfig, AveragingEncoderConfig):
    """Pretrained."""

    def build(self) -> Averaging:
        """The untrained system."""
        return Averaging(self)


class Averaging(AveragingEncoder, PairPretraining):
    """The encoder with the heads of pretraining."""

    Config: ClassVar = AveragingConfig

    def __init__(self, config: AveragingConfig) -> None:
        super().__init__(config)
        self.make_heads(1e-6, "gelu")


@dataclass(frozen=True)
class AveragingAnswererConfig(AnswererConfig, AveragingEncoderConfig):
    """With answers."""

    def build(self) -> AveragingAnswerer:
        """The untrained system."""
        return AveragingAnswerer(self)


class AveragingAnswerer(AveragingEncoder, PairAnswers):
    """The encoder with a head of answers."""

    Config: ClassVar = AveragingAnswererConfig

    def __init__(self, config: AveragingAnswererConfig) -> None:
        super().__init__(config)
        self.make_answers()
'''
TEST = '''
"""The system\'s own test: its mean is a mean."""

import torch

from showtell.systems.averaging import Average


def test_the_mean_is_over_what_is_seen():
    average, tokens = Average(4), torch.randn(1, 3, 4)
    seen = torch.tensor([[[[True, True, False]]]]).expand(1, 1, 3, 3)
    expected = average.norm(tokens + average.mix(tokens[:, :2].mean(1, keepdim=True)))
    torch.testing.assert_close(average(tokens, seen), expected)
'''


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> Path:
    """A copy of the package and of the tests of systems, with two files more."""
    root = tmp_path_factory.mktemp("grown")
    source = Path(showtell.__file__).parent
    shutil.copytree(source, root / "showtell", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("contract", "support"):
        shutil.copytree(ROOT / "tests" / folder, root / "tests" / folder)
    (root / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for file, content in (
        (root / "showtell/systems/averaging.py", SYSTEM),
        (root / "tests/systems/test_averaging.py", TEST),
    ):
        assert not file.exists()
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    return root


def python(grown: Path, *arguments: object) -> str:
    environment = {**os.environ, "PYTHONPATH": str(grown), "XDG_CACHE_HOME": str(grown / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        env=environment,
        cwd=grown,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_two_files_are_held_to_the_contracts_trained_compared_and_asked(grown: Path, tmp_path: Path) -> None:
    chosen = ["tests/systems", "tests/contract", "-k", "averaging or Averaging"]
    said = python(grown, "pytest", "-p", "no:cacheprovider", "-vv", *chosen)
    for file, name in (
        ("test_fusing.py", "test_a_text_meets_the_image_that_it_belongs_to[Averaging]"),
        ("test_fusing.py", "test_padded_text_and_other_images_are_not_seen[AveragingAnswerer]"),
        ("test_training.py", "[Averaging]"),
        ("test_averaging.py", "test_the_mean_is_over_what_is_seen"),
    ):
        assert any(file in line and name in line and "PASSED" in line for line in said.splitlines()), name
    data = captioned_squares(tmp_path)
    quick = ["train.steps=2", "train.batch_size=4", "train.warmup_steps=1", "train.validate_every=0"]
    named = [
        "system=Averaging",
        "system.width=12",
        "system.image_size=32",
        "vocabulary.max_length=16",
        *quick,
    ]
    more = [word for setting in named for word in ("--set", setting)]
    python(grown, "showtell", "train", "vilt_mini", "--data", data, "--output", tmp_path / "run", *more)
    (figures,) = python(grown, "showtell", "compare", tmp_path / "run", "--data", data, "--json").splitlines()
    found = json.loads(figures)
    assert found["system"] == "Averaging"
    assert found["flops"] > 0
    assert set(found["milliseconds"]) == {"text", "image", "fusion"}
    asked = [{"image": f"train/{n}.png", "question": "what?", "answer": "ab"[n % 2]} for n in range(8)]
    (tmp_path / "qa_train.jsonl").write_text("\n".join(map(json.dumps, asked[:6])))
    (tmp_path / "qa_val.jsonl").write_text("\n".join(map(json.dumps, asked[6:])))
    named = ["system=AveragingAnswerer", *quick]
    more = [word for setting in named for word in ("--set", setting)]
    python(
        grown, "showtell", "train", "vqa_vilt", "--data", tmp_path / "qa", "--output", tmp_path / "answers",
        *more, "--model", tmp_path / "run",
    )  # fmt: skip
    said = python(
        grown, "showtell", "ask", tmp_path / "val/16.png", "what?", "--model", tmp_path / "answers", "--json"
    )
    assert {one["answer"] for one in json.loads(said)["answers"]} == {"a", "b"}
