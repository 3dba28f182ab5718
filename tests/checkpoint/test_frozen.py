"""Frozen parts and parts for training alone: what a checkpoint leaves out, and how it finds it again."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from showtell.checkpoint.frozen import Frozen, frozen_part, hash_tensors, moved_along
from showtell.checkpoint.load import Checkpoint, load_checkpoint
from showtell.checkpoint.save import save_checkpoint
from showtell.checkpoint.tensors import copy_tensors, named_tensors
from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.errors import MissingError
from showtell.systems.bert import BERTConfig, BERTEncoder, BERTEncoderConfig
from showtell.systems.byol import BYOL, BYOLConfig
from showtell.systems.lit import LiT, LiTConfig
from showtell.train.config import TrainConfig
from showtell.train.loop import train

TEXT = BERTEncoderConfig(
    vocab_size=600, width=64, depth=2, num_heads=2, mlp_dim=128, max_length=8, pooler=False
)
CONFIG = LiTConfig(text=TEXT, feature_width=6, width=4, image_dropout=0.0, text_dropout=0.0)
PARTS: dict[str, Any] = {
    "record": {"recipe": "lit"},
    "tokenizer_json": "{}",
    "preprocess": {},
    "card": "# LiT\n",
}
SOURCE = "tiny-text-tower"


def tower(seed: int = 0) -> dict[str, Tensor]:
    """What a package named `SOURCE` holds."""
    torch.manual_seed(seed)
    return named_tensors(BERTEncoder(TEXT))


def find_source(source: str) -> Mapping[str, Tensor]:
    if source != SOURCE:
        raise MissingError(f"no package is called {source}; install it")
    return tower()


def locked() -> tuple[LiT, Frozen]:
    """A system whose text tower is frozen, and the record of that."""
    torch.manual_seed(1)
    system = LiT(CONFIG)
    system.rates = {}
    copy_tensors(tower(), frozen_part(system, "text."), SOURCE)
    system.text.requires_grad_(False)
    return system, Frozen.of(system, "text.", SOURCE)


def test_a_frozen_part_is_recorded_and_not_copied(tmp_path: Path) -> None:
    system, part = locked()
    save_checkpoint(tmp_path / "whole", system, **PARTS)
    save_checkpoint(tmp_path / "model", system, frozen=[part], **PARTS)
    stored = load_file(tmp_path / "model" / "model.safetensors")
    assert stored.keys() == {n for n in named_tensors(system) if not n.startswith("text.")}
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("model", "whole")]
    assert sizes[0] < sizes[1] / 50
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["frozen"] == [{"prefix": "text.", "source": SOURCE, "hash": hash_tensors(tower())}]
    loaded = load_checkpoint(tmp_path / "model", find_source=find_source)
    assert loaded.frozen == (part,)
    for name, tensor in system.state_dict().items():
        assert torch.equal(loaded.system.state_dict()[name], tensor)


def test_a_checkpoint_can_be_the_source(tmp_path: Path) -> None:
    """Of which the part is what the system has too: BERT's encoder, without its heads."""
    torch.manual_seed(0)
    bert = BERTConfig(**{**vars(TEXT), "special": (0, 1), "mask_id": 2}).build()
    save_checkpoint(tmp_path / "bert", bert, **PARTS)
    system, _ = locked()
    copy_tensors({n: named_tensors(bert)[n] for n in tower()}, frozen_part(system, "text."), "bert")
    part = Frozen.of(system, "text.", str(tmp_path / "bert"))
    save_checkpoint(tmp_path / "model", system, frozen=[part], **PARTS)
    loaded = load_checkpoint(tmp_path / "model").system
    assert torch.equal(loaded.text.embed.tokens.weight, bert.embed.tokens.weight)


def test_a_source_that_is_missing_or_different_is_named(tmp_path: Path) -> None:
    system, part = locked()
    missing = replace(part, source="elsewhere")
    save_checkpoint(tmp_path / "a", system, frozen=[missing], **PARTS)
    with pytest.raises(MissingError, match="elsewhere") as caught:
        load_checkpoint(tmp_path / "a", find_source=find_source)
    assert caught.value.exit_status == 4
    with pytest.raises(MissingError, match="elsewhere"):
        load_checkpoint(tmp_path / "a")
    save_checkpoint(tmp_path / "b", system, frozen=[part], **PARTS)
    for other in (tower(1), {}, {n: t[:1] for n, t in tower().items()}):
        with pytest.raises(MissingError, match=f"{SOURCE}.*{part.hash[:12]}") as caught:
            load_checkpoint(tmp_path / "b", find_source=lambda source, other=other: other)
        assert caught.value.exit_status == 4


def test_the_hash_covers_the_frozen_part(tmp_path: Path) -> None:
    def hash_of(seed: int) -> str:
        system, _ = locked()
        copy_tensors(tower(seed), frozen_part(system, "text."), SOURCE)
        save_checkpoint(tmp_path / "a", system, frozen=[Frozen.of(system, "text.", SOURCE)], **PARTS)
        return load_checkpoint(tmp_path / "a", find_source=lambda source: tower(seed)).hash

    assert hash_of(0) == hash_of(0) != hash_of(1)


def test_a_part_that_was_trained_cannot_be_left_out(tmp_path: Path) -> None:
    system, part = locked()
    with torch.no_grad():
        system.text.embed.tokens.weight[3] += 1
    with pytest.raises(ValueError, match=r"text.*have changed"):
        save_checkpoint(tmp_path / "a", system, frozen=[part], **PARTS)


def pairs(index: int) -> Batch:
    draw = torch.Generator().manual_seed(index)
    ids = torch.randint(5, 600, (4, 8), generator=draw)
    keep = torch.ones(4, 8, dtype=torch.bool)
    return Batch(
        ImageBatch(features=torch.randn(4, 3, 6, generator=draw)),
        TextBatch(ids=ids, keep=keep, owner=torch.arange(4)),
    )


def run(output: Path, steps: int, resume: bool = False) -> Checkpoint:
    system, part = locked()

    def finish(folder: Path) -> None:
        save_checkpoint(folder, system, frozen=[part], **PARTS)

    config = TrainConfig(
        steps=6, batch_size=4, warmup_steps=0, validate_every=0, checkpoint_every=3, prefetch=1
    )

    def load(index: int) -> Batch:
        if index == steps:
            raise KeyboardInterrupt
        return pairs(index)

    train(system, load, config, output, finish=finish, frozen=[part], resume=resume)
    return load_checkpoint(output, find_source=find_source)


def test_a_run_writes_only_what_it_trains_and_resumes_to_the_bit(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", 99)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", 4)
    resumed = run(tmp_path / "cut", 99, resume=True)
    assert whole.hash == resumed.hash
    state = load_file(tmp_path / "whole" / "state" / "state.safetensors")
    assert not [name for name in state if ".text." in name]
    written = sum(path.stat().st_size for path in (tmp_path / "whole").rglob("*.safetensors"))
    assert written < sum(t.nbytes for t in tower().values()) / 10


def test_a_run_refuses_to_train_what_it_will_not_save(tmp_path: Path) -> None:
    system, part = locked()
    system.text.requires_grad_(True)
    with pytest.raises(ValueError, match="frozen part"):
        train(system, pairs, TrainConfig(steps=1), tmp_path, finish=print, frozen=[part])


def test_a_byol_checkpoint_is_halved_and_its_state_is_whole(tmp_path: Path) -> None:
    torch.manual_seed(0)
    system = BYOL(BYOLConfig("resnet18", "cifar", 512, 256, total_steps=3))
    views = torch.rand(2, 2, 3, 8, 8)

    def load(index: int) -> Batch:
        return Batch(ImageBatch(views=views))

    def finish(folder: Path) -> None:
        save_checkpoint(folder, system, **PARTS)

    config = TrainConfig(steps=2, batch_size=2, optimiser="sgd", momentum=0.0, validate_every=0)
    train(system, load, config, tmp_path, finish=finish)
    kept = load_file(tmp_path / "model" / "model.safetensors")
    assert {name.split(".")[0] for name in kept} == {"tower"}
    whole = sum(tensor.nbytes for tensor in named_tensors(system).values())
    assert (tmp_path / "model" / "model.safetensors").stat().st_size < 0.51 * whole
    state = load_file(tmp_path / "state" / "state.safetensors")
    assert {f"weights.{name}" for name in named_tensors(system)} <= state.keys()
    assert int(state["weights.updates"]) == 2
    loaded = load_checkpoint(tmp_path).system
    assert not hasattr(loaded, "teacher")
    assert not hasattr(loaded, "projector")
    assert isinstance(loaded, BYOL)
    images = Batch(ImageBatch(pixels=(views[0] * 255).to(torch.uint8)))
    encoded, expected = (s.eval().encode_images(images).tokens for s in (loaded, system))
    assert torch.equal(encoded, expected)


def test_a_source_that_moved_together_with_its_owner_is_found(tmp_path) -> None:
    here = tmp_path / "new" / "runs" / "backbone"
    (here / "model").mkdir(parents=True)
    (here / "model" / "config.json").write_text("{}")
    owner = tmp_path / "new" / "runs" / "captioner" / "model"
    gone = tmp_path / "old" / "runs" / "backbone"
    assert moved_along(str(gone), owner) == str(here)
    assert moved_along(str(gone / "model"), owner) == str(here / "model")
    assert moved_along(str(here), tmp_path) == str(here)
    for source in ("all-MiniLM-L6-v2", str(tmp_path / "old" / "other"), "runs/backbone"):
        assert moved_along(source, owner) == source
