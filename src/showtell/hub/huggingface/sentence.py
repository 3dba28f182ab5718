"""What a folder of `sentence-transformers` says beyond its BERT: pooling, layers after it, lengths, prompts.

Each of its settings is applied or refused by name. Source: Reimers & Gurevych 2019, "Sentence-BERT".
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from showtell.data.json import read_object
from showtell.errors import UserError
from showtell.hub.huggingface.pooling import pooling_said
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.sentence_layers import FOLDERS, head_layer, settings
from showtell.hub.huggingface.weights import read_weights
from showtell.nn.sentence_head import HeadLayer

logger = logging.getLogger(__name__)

LENGTHS = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
PROMPTS = ("prompts", "default_prompt_name", "similarity_fn_name")


@dataclass(frozen=True)
class Sentence:
    """A folder, and what it declares as a sentence encoder: nothing, where it is none."""

    folder: Path
    transformer: Path
    """The folder of the BERT itself."""
    pooling: str = ""
    """`mean`, `cls+max`; empty where none is declared."""
    width: int | None = None
    """Of the tokens that are pooled, as the pooling's file has it."""
    layers: tuple[tuple[HeadLayer, Path], ...] = ()
    """What follows the pooling, each with its folder."""
    max_length: int | None = None
    texts: Mapping[str, Any] = field(default_factory=dict)
    """What happens to a text before it is tokenized, under their names."""

    @property
    def settings(self) -> dict[str, Any]:
        """For the family that reads `config.json`."""
        return {"sentence_pooling": self.pooling, "sentence_encoder": True} if self.pooling else {}

    def fitted(self, config: Any) -> Any:
        """The config of the encoder with what is declared. Raises `ValueError` for a model that is none."""
        if self.pooling and not hasattr(config, "head"):
            raise ValueError(
                f"{self.folder} declares a pooling, which showtell has for BERT and its kin alone"
            )
        if self.width not in (None, getattr(config, "width", None)):
            raise ValueError(f"the pooling of {self.folder} is of width {self.width}, not {config.width}")
        if self.layers:
            config = replace(config, head=tuple(layer for layer, _ in self.layers))
        if self.max_length is None or not hasattr(config, "num_positions"):
            return config
        positions = config.max_length
        if self.max_length > positions:
            logger.warning(
                "max_seq_length %d of %s is more than the model's positions: %d tokens are read",
                self.max_length,
                self.folder,
                positions,
            )
        if self.max_length >= positions:
            return config
        return replace(config, max_length=self.max_length, num_positions=positions)

    def tensors(self) -> dict[str, Tensor]:
        """Those of the layers, under the names of `head_table`."""
        return {
            f"{place(i, layer)}.{name}": tensor
            for i, (layer, folder) in enumerate(self.layers)
            if layer.kind in ("dense", "norm")
            for name, tensor in read_weights(folder)[0].items()
        }


def read_sentence(folder: Path) -> Sentence:
    """What a folder declares. Raises `UserError` that names a file and what showtell does not have of it."""
    modules = _modules(folder / "modules.json")
    transformer = folder
    if modules:
        kind, transformer = modules[0]
        if kind != "Transformer" or [kind for kind, _ in modules].count("Pooling") != 1:
            raise UserError(
                f"{folder / 'modules.json'} lists {', '.join(k for k, _ in modules)}; "
                "showtell reads Transformer and Pooling, and layers after them"
            )
    elif (folder / "1_Pooling" / "config.json").is_file():
        modules = [("Transformer", folder), ("Pooling", folder / "1_Pooling")]
    length, texts = _length(transformer, bool(modules))
    texts |= _prompts(folder)
    if not modules:
        return Sentence(folder, transformer, max_length=length, texts=texts)
    if modules[1][0] != "Pooling":
        raise UserError(f"{folder / 'modules.json'} has {modules[1][0]} before the Pooling, not after it")
    pooling, width, include = pooling_said(modules[1][1] / "config.json")
    if not include:
        texts["include_prompt"] = False
        if texts.get("prompts", {}).get(texts.get("default_prompt_name")):
            file = modules[1][1] / "config.json"
            raise UserError(f"{file}: include_prompt false is not supported with a default prompt")
    layers = tuple((head_layer(kind, path), path) for kind, path in modules[2:])
    return Sentence(folder, transformer, pooling, width, layers, length, texts)


def say_texts(sentence: Sentence) -> None:
    """Log what the folder says of its use that nobody can apply for the person."""
    texts, kinds = sentence.texts, {layer.kind for layer, _ in sentence.layers}
    unused = sorted(
        n for n, p in texts.get("prompts", {}).items() if p and n != texts.get("default_prompt_name")
    )
    if unused:
        logger.warning(
            "%s has prompts that are not applied by themselves: %s; write them before your texts",
            sentence.folder,
            ", ".join(f"{name} ({texts['prompts'][name]!r})" for name in unused),
        )
    similarity = texts.get("similarity_fn_name", "cosine")
    if similarity != "cosine" and not ("normalize" in kinds and similarity in ("dot", "euclidean")):
        logger.warning(
            "%s compares by similarity_fn_name %r; showtell compares by cosine", sentence.folder, similarity
        )


def place(index: int, layer: HeadLayer) -> str:
    """The folder of a layer of the head: `2_Dense`."""
    return f"{index + 2}_{FOLDERS[layer.kind]}"


def head_table(config: Any) -> list[Rename]:
    """The rename table of the layers after the pooling."""
    table: list[Rename] = []
    for i, layer in enumerate(getattr(config, "head", ())):
        if layer.kind == "dense":
            table.append(rename(f"head.{i}.0.weight", f"{place(i, layer)}.linear.weight"))
            if layer.bias:
                table.append(rename(f"head.{i}.0.bias", f"{place(i, layer)}.linear.bias"))
        if layer.kind == "norm":
            table += linear(f"head.{i}", f"{place(i, layer)}.norm")
    return table


def _modules(file: Path) -> list[tuple[str, Path]]:
    """The kind and folder of each module of `modules.json`; none where there is no such file."""
    if not file.is_file():
        return []
    try:
        listed = json.loads(file.read_text("utf-8"))
        found = [(str(m["type"]), str(m["path"]), m.get("kwargs")) for m in listed]
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file} lists no modules with type and path: {error!r}. Download it again."
        ) from error
    known = ("Transformer", "Pooling", *FOLDERS.values())
    for name, path, arguments in found:
        kind = name.rpartition(".")[2]
        if not name.startswith("sentence_transformers.") or kind not in known:
            inner = file.parent / path
            hint = (
                f"; {inner} may be imported by itself" if path and (inner / "config.json").is_file() else ""
            )
            raise UserError(f"{file} has the module {name}, showtell has {', '.join(known)}{hint}")
        if arguments:
            raise UserError(f"{file}: kwargs {arguments} of {kind} are not supported")
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise UserError(f"{file}: the path {path!r} leads out of the folder")
    return [(name.rpartition(".")[2], file.parent / path) for name, path, _ in found]


def _length(transformer: Path, declared: bool) -> tuple[int | None, dict[str, Any]]:
    """The longest text in tokens, and whether texts are lowercased."""
    file = next((transformer / name for name in LENGTHS if (transformer / name).is_file()), None)
    said = (
        settings(
            file,
            "max_seq_length",
            "do_lower_case",
            unpad_inputs=...,
            modality_config={"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
            transformer_task="feature-extraction",
            module_output_name="token_embeddings",
        )
        if file
        else {}
    )
    length = said.get("max_seq_length")
    beside = transformer / "tokenizer_config.json"
    if length is None and declared and beside.is_file():
        file, length = beside, read_object(beside).get("model_max_length")
        length = int(length) if isinstance(length, float) else length  # 1e30, where there is no limit
    if length is not None and (not isinstance(length, int) or isinstance(length, bool) or length < 3):
        raise UserError(f"{file}: a text of at most {length!r} tokens cannot be read")
    if file == beside and length is not None and length > 10**6:
        length = None
    return length, {"do_lower_case": True} if said.get("do_lower_case") else {}


def _prompts(folder: Path) -> dict[str, Any]:
    """`config_sentence_transformers.json`, as far as it says anything."""
    file = folder / "config_sentence_transformers.json"
    if not file.is_file():
        return {}
    said = settings(file, *PROMPTS, __version__=..., model_type="SentenceTransformer")
    found = {name: said[name] for name in PROMPTS if said.get(name)}
    prompts, default = found.get("prompts", {}), found.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise UserError(f"{file}: prompts {prompts!r} are no texts by name")
    if default is not None and default not in prompts:
        raise UserError(
            f"{file}: default_prompt_name {default!r} is none of its prompts {', '.join(prompts)}"
        )
    return found
