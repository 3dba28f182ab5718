"""BLIP-2 as `Blip2ForImageTextRetrieval` and `Blip2ForConditionalGeneration`.

The language model of the second is one of `LANGUAGES`, a decoder or T5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.fusion.q_former import QFormerConfig
from showtell.hub.huggingface.families import gpt2, llama, opt, t5
from showtell.hub.huggingface.families.blip import image_table
from showtell.hub.huggingface.language_part import (
    language_config,
    language_family,
    language_table,
    tidy_language,
)
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import expect, sizes_from, sizes_to
from showtell.systems.blip2 import BLIP2Retriever, BLIP2RetrieverConfig
from showtell.systems.blip2_captioner import BLIP2Captioner, BLIP2CaptionerConfig, SecondStageConfig
from showtell.systems.blip2_parts import BLIP2PartsConfig
from showtell.systems.blip2_t5 import BLIP2T5, BLIP2T5Config
from showtell.systems.clip import TowerConfig
from showtell.systems.t5 import T5Config

MODEL_TYPES = ("blip-2",)
SYSTEMS = (BLIP2Retriever, BLIP2Captioner, BLIP2T5)
PROCESSOR = "BlipImageProcessor"
MARK = "qformer.encoder.layer.0.crossattention.attention.query.weight"
LANGUAGES: tuple[Any, ...] = (opt, t5, llama, gpt2)
"""The families of language models that it may prompt, its own first."""
CHAT = """\
{%- for message in messages %}
{%- set text = message.content | replace("<image>", "") | trim %}
{%- if message.role == "assistant" %}{{ " " ~ text ~ "." }}
{%- else %}{{ "<image>" * message.content.count("<image>") }}
{{- bos_token if loop.first else " " }}{{ "Question: " ~ text ~ " Answer:" }}
{%- endif %}
{%- endfor %}
"""
"""How it is asked: images, then the start token, then as Li et al. 2023 write questions, section 4.2."""
# The reference's own, which its files leave out.
IMAGE: dict[str, Any] = {
    "hidden_size": 1408,
    "num_hidden_layers": 39,
    "num_attention_heads": 16,
    "intermediate_size": 6144,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "image_size": 224,
    "patch_size": 14,
    "qkv_bias": True,
}
FORMER: dict[str, Any] = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "cross_attention_frequency": 2,
}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> BLIP2PartsConfig:
    """Our config."""
    image = IMAGE | dict(theirs.get("vision_config") or {})
    former = FORMER | dict(theirs.get("qformer_config") or {})
    expect(image, qkv_bias=True)
    expect(former, encoder_hidden_size=image["hidden_size"])
    sizes = {
        "image": TowerConfig(**sizes_from(image)),
        "image_size": image["image_size"],
        "patch_size": image["patch_size"],
        "former": QFormerConfig(
            num_queries=theirs.get("num_query_tokens", 32),
            cross_every=former["cross_attention_frequency"],
            **sizes_from(former),
        ),
    }
    if "itm_head.weight" in names:
        return BLIP2RetrieverConfig(
            **sizes,
            vocab_size=former["vocab_size"],
            max_length=former["max_position_embeddings"],
            shared_width=theirs.get("image_text_hidden_size", 256),
        )
    text = dict(theirs.get("text_config") or {})
    language = language_family(text, LANGUAGES, "opt").config_from(text, names)
    image_id = theirs.get("image_token_index", theirs.get("image_token_id"))
    sizes |= {"language": language, "image_id": language.vocab_size if image_id is None else image_id}
    if isinstance(language, T5Config):
        asked = text.get("bos_token_id")  # what the reference reads after an image where no text is given
        return BLIP2T5Config(**sizes, prompt=() if asked is None else (asked,))
    return BLIP2CaptionerConfig(**sizes)


def config_to(ours: BLIP2PartsConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    if ours.feature_width:
        raise UsageError("BLIP-2 of transformers reads pixels, and this one the features of a frozen encoder")
    former = {
        "model_type": "blip_2_qformer",
        "cross_attention_frequency": ours.former.cross_every,
        "encoder_hidden_size": ours.image.width,
        "hidden_dropout_prob": ours.former.dropout,
        "attention_probs_dropout_prob": 0.0,
        **sizes_to(ours.former),
    }
    image = {
        "model_type": "blip_2_vision_model",
        "image_size": ours.image_size,
        "patch_size": ours.patch_size,
        "qkv_bias": True,
        **sizes_to(ours.image),
    }
    out: dict[str, Any] = {
        "model_type": "blip-2",
        "num_query_tokens": ours.former.num_queries,
        "vision_config": image,
    }
    if isinstance(ours, BLIP2RetrieverConfig):
        texts = {
            "vocab_size": ours.vocab_size,
            "max_position_embeddings": ours.max_length,
            "use_qformer_text_input": True,
        }
        return out | {
            "architectures": ["Blip2ForImageTextRetrieval"],
            "image_text_hidden_size": ours.shared_width,
            "qformer_config": former | texts,
        }
    assert isinstance(ours, SecondStageConfig)
    if isinstance(ours, BLIP2CaptionerConfig) and ours.positions:
        raise UsageError("BLIP-2 of transformers has no learned positions of its queries; this one has them")
    _, text = language_config(ours.language, LANGUAGES)
    if isinstance(ours, BLIP2T5Config):
        if len(ours.prompt) > 1:
            raise UsageError(f"BLIP-2 of transformers has a prompt of one token, not of {len(ours.prompt)}")
        text["bos_token_id"] = next(iter(ours.prompt), None)
    return out | {
        "architectures": ["Blip2ForConditionalGeneration"],
        "image_token_index": ours.image_id,
        "tie_word_embeddings": text.get("tie_word_embeddings", True),
        "qformer_config": former | {"use_qformer_text_input": False},
        "text_config": text,
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without those that are tied in the language model, and without position ids."""
    found = {name: tensor for name, tensor in found.items() if not name.endswith("position_ids")}
    if "itm_head.weight" in found:
        return found
    text = dict(theirs.get("text_config") or {})
    return tidy_language(found, language_family(text, LANGUAGES, "opt"), text)


def table(ours: BLIP2PartsConfig) -> list[Rename]:
    """The rename table of all tensors; their patch embedding is a convolution."""
    former, reads = ours.former, isinstance(ours, BLIP2RetrieverConfig)
    out = [
        *image_table("image.tower", ours),
        rename("former.queries", "query_tokens", shape=(1, former.num_queries, former.width)),
        *linear("former.norm", "qformer.layernorm"),
    ]
    for i in range(former.depth):
        out += _block(f"former.blocks.{i}", f"qformer.encoder.layer.{i}", i % former.cross_every == 0, reads)
    if isinstance(ours, BLIP2RetrieverConfig):
        return [
            *out,
            rename("former.embed.tokens.weight", "embeddings.word_embeddings.weight"),
            rename("former.embed.positions.weight", "embeddings.position_embeddings.weight"),
            *linear("project_image", "vision_projection"),
            *linear("project_text", "text_projection"),
            *linear("itm_head", "itm_head"),
        ]
    assert isinstance(ours, SecondStageConfig)
    return [
        *out,
        *linear("project", "language_projection"),
        *language_table(language_config(ours.language, LANGUAGES)[0], ours.language),
    ]


def _block(block: str, layer: str, looks: bool, reads: bool) -> list[Rename]:
    own, across = f"{layer}.attention", f"{layer}.crossattention"
    out = [
        *linear(f"{block}.attention.qkv", *(f"{own}.attention.{n}" for n in ("query", "key", "value"))),
        *linear(f"{block}.attention.output", f"{own}.output.dense"),
        *linear(f"{block}.attention_norm", f"{own}.output.LayerNorm"),
    ]
    if looks:
        out += [
            *linear(f"{block}.cross_attention.query", f"{across}.attention.query"),
            *linear(
                f"{block}.cross_attention.key_value", f"{across}.attention.key", f"{across}.attention.value"
            ),
            *linear(f"{block}.cross_attention.output", f"{across}.output.dense"),
            *linear(f"{block}.cross_attention_norm", f"{across}.output.LayerNorm"),
        ]
    for mlp, theirs in (("query_mlp", "_query"), *((("mlp", ""),) if reads else ())):
        out += [
            *linear(f"{block}.{mlp}.up", f"{layer}.intermediate{theirs}.dense"),
            *linear(f"{block}.{mlp}.down", f"{layer}.output{theirs}.dense"),
            *linear(f"{block}.{mlp}_norm", f"{layer}.output{theirs}.LayerNorm"),
        ]
    return out
