"""The verbs for words, with a model that has none."""

import pytest
import torch

from showtell.checkpoint.save import save_checkpoint
from showtell.cli.main import run
from showtell.systems.vit import ViT, ViTConfig


@pytest.mark.parametrize("verb", ["words similar dog", "words analogy a b c", "map words --output map.html"])
def test_a_model_without_words_says_so(verb, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    config = ViTConfig(image_size=8, patch_size=4, width=8, depth=1, num_heads=2, mlp_dim=8, num_classes=2)
    preprocess = {"size": 8, "version": "squash8-v1"}
    save_checkpoint(
        tmp_path / "vit", ViT(config), record={}, tokenizer_json="", preprocess=preprocess, card=""
    )
    assert run([*verb.split(), "--model", "vit"]) == 2
    assert "has no token embeddings; choose another with --model" in capsys.readouterr().err
    assert not (tmp_path / "map.html").exists()
