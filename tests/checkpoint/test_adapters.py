"""An adapter beside a checkpoint: saved, loaded, merged, and refused on another base."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from showtell.checkpoint.adapters import load_adapter, save_adapter
from showtell.checkpoint.load import Checkpoint, load_checkpoint
from showtell.checkpoint.save import save_checkpoint
from showtell.data.batch import Batch, TextBatch
from showtell.errors import MissingError, UserError
from showtell.nn.lora import add_lora, lora_layers, lora_tensors, merge_lora
from showtell.systems.bert import BERTConfig

CONFIG = BERTConfig(
    vocab_size=60, width=32, depth=2, num_heads=2, mlp_dim=64, max_length=8, special=(0,), mask_id=1
)
PARTS: dict[str, Any] = {"record": {}, "tokenizer_json": "{}", "preprocess": {}, "card": "# BERT\n"}


def base(folder: Path, seed: int = 0) -> Checkpoint:
    torch.manual_seed(seed)
    save_checkpoint(folder, CONFIG.build(), **PARTS)
    return load_checkpoint(folder)


def layers(system: nn.Module) -> list[str]:
    """Every linear layer of the transformer."""
    return [n for n, m in system.named_modules() if isinstance(m, nn.Linear) and n.startswith("transformer.")]


def adapted(folder: Path) -> tuple[Checkpoint, Path]:
    """A base with an adapter that has been trained, and where that was saved."""
    found = base(folder / "base")
    add_lora(found.system, layers(found.system), rank=2, alpha=4.0)
    with torch.no_grad():
        for tensor in lora_tensors(found.system).values():
            tensor.normal_(std=0.1)
    save_adapter(folder / "adapter", found.system, found, {"recipe": "bert"})
    return found, folder / "adapter"


def encode(system: Any) -> Tensor:
    ids = torch.arange(2, 8)[None]
    return system.encode_texts(Batch(texts=TextBatch(ids=ids, keep=ids > 0))).tokens


def test_round_trip_and_merge(tmp_path: Path) -> None:
    trained, folder = adapted(tmp_path)
    loaded = load_checkpoint(tmp_path / "base")
    plain = encode(loaded.system)
    assert load_adapter(folder, loaded) == {"recipe": "bert"}
    assert torch.equal(encode(loaded.system), encode(trained.system))
    assert not torch.allclose(encode(loaded.system), plain)
    expected = encode(loaded.system)
    merge_lora(loaded.system)
    torch.testing.assert_close(encode(loaded.system), expected, atol=1e-5, rtol=1e-5)
    save_checkpoint(tmp_path / "merged", loaded.system, **PARTS)
    torch.testing.assert_close(
        encode(load_checkpoint(tmp_path / "merged").system), expected, atol=1e-5, rtol=1e-5
    )


def test_it_is_small_and_names_its_base(tmp_path: Path) -> None:
    trained, folder = adapted(tmp_path)
    size = (folder / "adapter.safetensors").stat().st_size
    assert size < (tmp_path / "base" / "model.safetensors").stat().st_size / 2
    config = json.loads((folder / "adapter.json").read_text())
    assert (config["base"], config["base_hash"]) == (str(tmp_path / "base"), trained.hash)
    assert config["layers"] == list(lora_layers(trained.system)) == layers(base(tmp_path / "again").system)


def test_another_base_is_refused(tmp_path: Path) -> None:
    _, folder = adapted(tmp_path)
    other = base(tmp_path / "other", seed=1)
    with pytest.raises(MissingError, match=r"adapts .*base .*not .*other") as caught:
        load_adapter(folder, other)
    assert caught.value.exit_status == 4
    assert not lora_layers(other.system)


@pytest.mark.parametrize("damage", ["format", "field", "tensors"])
def test_damage_is_named(tmp_path: Path, damage: str) -> None:
    _, folder = adapted(tmp_path)
    config = json.loads((folder / "adapter.json").read_text())
    if damage == "tensors":
        (folder / "adapter.safetensors").write_bytes(b"")
    else:
        config = {**config, "format": 9} if damage == "format" else {**config, "rank": "two"}
        (folder / "adapter.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"adapter\.(json|safetensors)"):
        load_adapter(folder, load_checkpoint(tmp_path / "base"))


def test_there_must_be_something_to_save(tmp_path: Path) -> None:
    found = base(tmp_path / "base")
    with pytest.raises(ValueError, match="no low-rank layers"):
        save_adapter(tmp_path / "adapter", found.system, found, {})
