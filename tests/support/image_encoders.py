"""Tiny random image encoders of the reference library, imported as checkpoints."""

from pathlib import Path
from typing import Any

from showtell.data.tokenizers.subword import SubwordTokenizer
from support.checkpoints import CAPTIONS

TOWER = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 20}
PATCHES = {"image_size": 12, "patch_size": 4}
SQUARE = {"size": {"height": 12, "width": 12}}
CROP = {"size": {"shortest_edge": 16}, "crop_size": {"height": 12, "width": 12}}


def _words(name: str) -> SubwordTokenizer:
    return SubwordTokenizer.train(CAPTIONS, "bpe", 540, name)


def _two_towers(transformers: Any, name: str) -> Any:
    text = {
        "vocab_size": len(_words(name.lower())),
        "max_position_embeddings": 32,
        "projection_size": 12,
        **TOWER,
    }
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    return getattr(transformers, f"{name}Model")(
        getattr(transformers, f"{name}Config")(text_config=text, vision_config=TOWER | PATCHES)
    )


def _flat(grid: Any) -> Any:
    return grid.flatten(2).transpose(1, 2)


# The reference's model, its image processor, and the tokens of the patches.
ENCODERS: dict[str, Any] = {
    "vit": (
        lambda t: t.ViTModel(t.ViTConfig(**TOWER, **PATCHES)),
        ("ViTImageProcessorPil", SQUARE),
        lambda m, pixels: m(pixels).last_hidden_state[:, 1:],
    ),
    "dinov2": (
        lambda t: t.Dinov2WithRegistersModel(
            t.Dinov2WithRegistersConfig(
                hidden_size=12,
                num_hidden_layers=1,
                num_attention_heads=3,
                mlp_ratio=2,
                num_register_tokens=2,
                **PATCHES,
            )
        ),
        ("BitImageProcessorPil", CROP),
        lambda m, pixels: m(pixels).last_hidden_state[:, 3:],
    ),
    "clip": (
        lambda t: _two_towers(t, "CLIP"),
        ("CLIPImageProcessorPil", CROP),
        lambda m, pixels: m.vision_model.post_layernorm(m.vision_model(pixels).last_hidden_state)[:, 1:],
    ),
    "siglip": (
        lambda t: _two_towers(t, "Siglip"),
        ("SiglipImageProcessorPil", SQUARE),
        lambda m, pixels: m.vision_model(pixels).last_hidden_state,
    ),
    "resnet": (
        lambda t: t.ResNetForImageClassification(
            t.ResNetConfig(embedding_size=8, depths=[1, 2], hidden_sizes=[8, 12], layer_type="basic")
        ),
        ("ConvNextImageProcessorPil", {"size": {"shortest_edge": 40}}),
        lambda m, pixels: _flat(m.resnet(pixels).last_hidden_state),
    ),
}


def image_encoder(name: str, folder: Path) -> tuple[Any, Any, Any, Path]:
    """The reference's model and processor, how to take its patch tokens, and the imported checkpoint."""
    import pytest
    import torch

    from showtell.pipelines.import_model import import_model

    transformers = pytest.importorskip("transformers")
    make, (processor, settings), patches = ENCODERS[name]
    torch.manual_seed(0)
    reference = make(transformers).eval()
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    reference.save_pretrained(folder / "theirs")
    if name in ("clip", "siglip"):
        (folder / "theirs" / "tokenizer.json").write_text(_words(name).to_json())
    prepare = getattr(transformers, processor)(**settings)
    prepare.save_pretrained(folder / "theirs")
    import_model(str(folder / "theirs"), folder / "model")
    return reference, prepare, patches, folder / "model"
