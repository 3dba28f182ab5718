"""The heads of image questions and of ranking on every encoder of pairs, by a setting."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from showtell.checkpoint.load import load_checkpoint
from showtell.fusion.answering import PairAnswers
from showtell.fusion.ranking import PairRanking
from showtell.pipelines.ask import ask
from showtell.pipelines.model import load_model
from showtell.recipes.launch import train_model
from support.tiny import found

SIZES = ["system.width=24", "system.depth=1", "system.num_heads=2", "system.mlp_dim=24"]
QUICK = [
    *("train.batch_size=4", "train.warmup_steps=1", "train.validate_every=0", "train.steps=2"),
    *("train.learning_rate=1e-9", "train.weight_decay=0"),
]
PIXELS = ["system.backbone=resnet_mini", "system.stem=cifar", "system.image_size=16"]
"""Of a Pixel-BERT that reads no frozen backbone."""
COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255), "green": (0, 255, 0), "white": (255, 255, 255)}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Captions of squares, and statements about two of them each."""
    folder = tmp_path_factory.mktemp("data")
    for split, extra in (("train", 0), ("val", 5)):
        captions, statements = [], []
        (folder / "captions" / split).mkdir(parents=True)
        for name, colour in COLOURS.items():
            shade = tuple(max(value - extra, 0) for value in colour)
            Image.new("RGB", (16, 16), shade).save(folder / "captions" / split / f"{name}.png")
            captions.append(json.dumps({"file_name": f"{name}.png", "caption": f"a {name} square"}))
            both = [f"captions/{split}/red.png", f"captions/{split}/{name}.png"]
            answer = str(name == "red").lower()
            statements.append(json.dumps({"images": both, "question": "both are red", "answer": answer}))
        (folder / "captions" / split / "metadata.jsonl").write_text("\n".join(captions))
        (folder / f"{split}.jsonl").write_text("\n".join(statements))
    return folder


@pytest.fixture(scope="module")
def pretrained(data: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    train_model("pixel_bert_mini", data / "captions", folder, [*QUICK, *SIZES, *PIXELS])
    return folder


def test_every_pretrained_encoder_of_pairs_has_both_heads() -> None:
    heads = {
        head: {name for name, cls in found().items() if issubclass(cls, head)}
        for head in (PairAnswers, PairRanking)
    }
    for name in ("ViLT", "UNITER", "ViLBERT", "PixelBERT", "LXMERT", "VisualBERT"):
        assert f"{name}Answerer" in heads[PairAnswers]
        assert f"{name}Ranker" in heads[PairRanking]


def test_statements_about_two_images_on_another_system(pretrained: Path, data: Path, tmp_path: Path) -> None:
    train_model("nlvr_vilt", data, tmp_path, ["system=PixelBERTAnswerer", *QUICK], model=str(pretrained))
    before, after = load_checkpoint(pretrained).system.state_dict(), load_checkpoint(tmp_path).system
    assert type(after).__name__ == "PixelBERTAnswerer"
    types = after.text.segments.weight
    torch.testing.assert_close(types[:2], before["text.segments.weight"], atol=1e-6, rtol=0)
    torch.testing.assert_close(types[2], types[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(after.image.project.weight, before["image.project.weight"], atol=1e-6, rtol=0)
    files = [data / "captions/train/red.png", data / "captions/train/blue.png"]
    (said,) = ask(files, "both are red", load_model(tmp_path))
    assert {one.answer for one in said.answers} == {"true", "false"}


def test_ranking_on_another_system_from_scratch(data: Path, tmp_path: Path) -> None:
    settings = ["system=PixelBERTRanker", "vocabulary.max_length=16", *QUICK, *SIZES, *PIXELS]
    train_model("retrieve_vilt", data / "captions", tmp_path, settings)
    assert type(load_checkpoint(tmp_path).system).__name__ == "PixelBERTRanker"
