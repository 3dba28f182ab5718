"""LLaVA as `LlavaForConditionalGeneration`, with a CLIP tower and a Llama."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.families import clip, llama
from showtell.hub.huggingface.language_part import (
    language_config,
    language_family,
    language_table,
    tidy_language,
)
from showtell.hub.huggingface.names import respell
from showtell.hub.huggingface.rename import Rename, linear
from showtell.hub.huggingface.setting import expect, sizes_from, sizes_to
from showtell.systems.clip import TowerConfig
from showtell.systems.llava import LLaVA, LLaVAConfig

MODEL_TYPES = ("llava",)
SYSTEMS = (LLaVA,)
PROCESSOR = "CLIPImageProcessor"
MARK = "multi_modal_projector.linear_2.weight"
LANGUAGES = (llama,)
"""The families of its language models; the reference has no LLaVA over OPT or GPT-2."""
SPELLINGS = {
    r"^vision_tower\.vision_model\.": "vision_tower.",
    r"^model\.(vision_tower|multi_modal_projector)\.": r"\1.",
    r"^model\.language_model\.": "language_model.model.",
    r"^lm_head\.": "language_model.lm_head.",
}
"""Names of older and of newer files, and of the modules in memory, as those between have them."""


def config_from(theirs: Mapping[str, Any], names: set[str]) -> LLaVAConfig:
    """Our config."""
    image, text = clip.IMAGE | dict(theirs["vision_config"]), dict(theirs["text_config"])
    expect(image, model_type="clip_vision_model", num_channels=3)
    expect(theirs, projector_hidden_act="gelu", multimodal_projector_bias=True)
    layer, strategy = theirs.get("vision_feature_layer", -2), theirs.get("vision_feature_select_strategy")
    if not isinstance(layer, int):
        raise ValueError(f"vision_feature_layer {layer} is not supported, only one layer")
    return LLaVAConfig(
        image=TowerConfig(**sizes_from(image)),
        image_size=image["image_size"],
        patch_size=image["patch_size"],
        image_layer=layer,
        class_token=strategy == "full",
        language=language_family(text, LANGUAGES, "llama").config_from(text, names),
        image_id=theirs.get("image_token_index", theirs.get("image_token_id", 32000)),
    )


def config_to(ours: LLaVAConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    if ours.feature_width:
        raise UsageError("LLaVA of transformers reads pixels, and this one the features of a frozen encoder")
    if ours.projector != "mlp":
        raise UsageError("LLaVA of transformers has a projector of two layers: train one with projector=mlp")
    _, text = language_config(ours.language, LANGUAGES)
    return {
        "model_type": "llava",
        "architectures": ["LlavaForConditionalGeneration"],
        "image_token_index": ours.image_id,
        "image_seq_length": (ours.image_size // ours.patch_size) ** 2 + ours.class_token,
        "multimodal_projector_bias": True,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": ours.image_layer,
        "vision_feature_select_strategy": "full" if ours.class_token else "default",
        "tie_word_embeddings": text["tie_word_embeddings"],
        "text_config": text,
        "vision_config": {
            "model_type": "clip_vision_model",
            "image_size": ours.image_size,
            "patch_size": ours.patch_size,
            **sizes_to(ours.image),
        },
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors under one spelling, without a tied output and position ids."""
    text = theirs["text_config"]
    family = language_family(text, LANGUAGES, "llama")
    tidied = tidy_language(respell(found, SPELLINGS), family, text)
    return {name: tensor for name, tensor in tidied.items() if not name.endswith("position_ids")}


def table(ours: LLaVAConfig) -> list[Rename]:
    """The rename table of all tensors."""
    return [
        *clip.image_table("image", "vision_tower", ours),
        *linear("project.first", "multi_modal_projector.linear_1"),
        *linear("project.second", "multi_modal_projector.linear_2"),
        *language_table(language_config(ours.language, LANGUAGES)[0], ours.language),
    ]
