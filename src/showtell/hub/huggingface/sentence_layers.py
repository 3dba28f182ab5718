"""The layers after the pooling of a sentence encoder, in and out of their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from showtell.data.json import read_object
from showtell.errors import UserError
from showtell.nn.sentence_head import ACTIVATIONS, HeadLayer

FOLDERS = {"dense": "Dense", "norm": "LayerNorm", "dropout": "Dropout", "normalize": "Normalize"}
"""What `sentence-transformers` calls each kind."""
TORCH = {name: f"{cls.__module__}.{cls.__name__}" for name, cls in ACTIVATIONS.items()}


def settings(file: Path, *known: str, **only: Any) -> dict[str, Any]:
    """The settings of a file, each one `known`, or at its `only` value; `...` stands for any.

    Raises `UserError` that names the setting that is neither. What is null, false or empty says nothing.
    """
    said = read_object(file)
    for name, value in said.items():
        if name in known or value in (None, False, {}, [], ""):
            continue
        if name not in only or (only[name] is not ... and value != only[name]):
            wanted = f", only {only[name]!r}" if name in only else ""
            raise UserError(f"{file}: {name} {value!r} is not supported{wanted}")
    return said


def head_layer(kind: str, folder: Path) -> HeadLayer:
    """A layer from its folder. Raises `UserError` that names a setting that showtell does not have."""
    file = folder / "config.json"
    one = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
    try:
        match kind:
            case "Dense":
                said = settings(file, "in_features", "out_features", "bias", "activation_function", **one)
                name = said.get("activation_function", TORCH["tanh"])
                return HeadLayer(
                    "dense", int(said["out_features"]), said.get("bias", True), _activation(name)
                )
            case "LayerNorm":
                settings(file, "dimension")
                return HeadLayer("norm")
            case "Dropout":
                return HeadLayer("dropout", dropout=float(settings(file, "dropout").get("dropout", 0.2)))
            case "Normalize":
                if file.is_file():
                    settings(file, **one)
                return HeadLayer("normalize")
    except KeyError as error:
        raise UserError(f"{file} lacks {error}; download it again") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{file} is not supported: {error}") from error
    raise UserError(f"{folder}: a {kind} after the pooling is not supported")


def layer_config(layer: HeadLayer, width: int) -> dict[str, Any] | None:
    """`config.json` of a layer's folder, from vectors of `width`; None for a layer without settings."""
    match layer.kind:
        case "dense":
            return {
                "in_features": width,
                "out_features": layer.width,
                "bias": layer.bias,
                "activation_function": TORCH[layer.activation],
            }
        case "norm":
            return {"dimension": width}
        case "dropout":
            return {"dropout": layer.dropout}
        case "normalize":
            return None


def _activation(name: Any) -> Any:
    for ours, path in TORCH.items():
        if isinstance(name, str) and name in (path, f"torch.nn.{path.rpartition('.')[2]}"):
            return ours
    raise ValueError(f"activation_function {name!r} is none of {', '.join(TORCH.values())}")
