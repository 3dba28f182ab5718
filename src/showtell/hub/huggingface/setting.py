"""The settings of `config.json` that have one name in many families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from showtell.nn.feedforward import Activation

ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
}


def activation(name: str) -> Activation:
    """Our name of an activation. Raises `ValueError` for one that we do not have."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is none of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def expect(theirs: Mapping[str, Any], **values: Any) -> None:
    """Raises `ValueError` for a setting without a counterpart of ours that is not at its default."""
    for name, value in values.items():
        if theirs.get(name, value) != value:
            raise ValueError(f"{name} {theirs[name]!r} is not supported, only {value!r}")


def sizes_from(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Width, depth, heads, MLP, activation and epsilon."""
    return {
        "width": theirs["hidden_size"],
        "depth": theirs["num_hidden_layers"],
        "num_heads": theirs["num_attention_heads"],
        "mlp_dim": theirs["intermediate_size"],
        "activation": activation(theirs["hidden_act"]),
        "eps": theirs["layer_norm_eps"],
    }


def sizes_to(ours: Any) -> dict[str, Any]:
    """The same, under their names."""
    return {
        "hidden_size": ours.width,
        "num_hidden_layers": ours.depth,
        "num_attention_heads": ours.num_heads,
        "intermediate_size": ours.mlp_dim,
        "hidden_act": {"gelu_tanh": "gelu_pytorch_tanh"}.get(ours.activation, ours.activation),
        "layer_norm_eps": ours.eps,
    }


def classes_from(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The number of classes and their names; the reference calls unnamed ones `LABEL_0` and so on."""
    named = theirs.get("id2label") or _unnamed(theirs.get("num_labels") or 2)
    names = tuple(str(named[key]) for key in sorted(named, key=int))
    return {
        "num_classes": len(names),
        "class_names": () if names == tuple(_unnamed(len(names)).values()) else names,
    }


def classes_to(ours: Any) -> dict[str, Any]:
    """The same, under their names."""
    named = {str(i): name for i, name in enumerate(ours.class_names)} or _unnamed(ours.num_classes)
    return {"id2label": named, "label2id": {name: int(key) for key, name in named.items()}}


def _unnamed(count: int) -> dict[str, str]:
    return {str(i): f"LABEL_{i}" for i in range(count)}
