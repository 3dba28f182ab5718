"""A pretrained language model under a system that gives it images to read, and its tokenizer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from torch import nn

from showtell.checkpoint.frozen import Frozen
from showtell.checkpoint.load import Checkpoint
from showtell.data.tokenizers.load import load_tokenizer
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import MissingError, UsageError
from showtell.hub.catalogue import find
from showtell.hub.checkpoints import open_checkpoint

PREFIX = "language."
"""Of the language model's tensors in the system."""


@dataclass(frozen=True)
class PretrainedLanguage:
    """The language model of a package or a checkpoint, and how much of a caption it reads."""

    source: str = "SmolLM2-135M-Instruct"
    """A model that `showtell models` lists, or the folder of a checkpoint or a run."""
    max_length: int = 40
    """Tokens of a caption that are kept, with start and end."""

    @property
    def given(self) -> Checkpoint:
        """The language model, read once. Raises `MissingError` for one that is not on this machine."""
        return _read(self.source)

    @property
    def texts(self) -> dict[str, Any]:
        """What the checkpoint records of texts: the chat template, and that captions have start and end."""
        return {**self.given.preprocess.get("texts", {}), "start_and_end": True}

    @property
    def about(self) -> str:
        """Where the parameters come from."""
        return f"The language model: `{self.source}`, of hash `{self.given.hash[:12]}`."

    def learn(self, texts: Iterable[str]) -> SubwordTokenizer:
        """The model's tokenizer, whatever the captions. Raises `UsageError` for a model of whole words."""
        tokenizer = load_tokenizer(self.given.tokenizer_json, self.source, self.texts)
        if not isinstance(tokenizer, SubwordTokenizer):
            raise UsageError(f"{self.source} reads whole words; choose another language model")
        return tokenizer

    def under(self, config: Any) -> tuple[nn.Module, tuple[Frozen, ...]]:
        """The system of a config with this language model, and its record where it is not trained.

        Raises `UsageError` for a system without a language model, or with one of another kind.
        """
        given: Any = self.given.system
        if not hasattr(config, "with_language_model"):
            raise UsageError(f"{type(config).__name__} has no language model; leave out {self.source}")
        kind = get_type_hints(type(config))["language"]
        taken = get_args(kind) or (kind,)
        if type(given.config) not in taken:
            names = " or ".join(one.__name__.removesuffix("Config") for one in taken)
            raise UsageError(
                f"{self.source} is a {type(given).__name__}, and {type(config).__name__} takes a {names}"
            )
        system = config.with_language_model(given.config).build()
        system.language.load_state_dict(given.state_dict())
        if any(parameter.requires_grad for parameter in system.language.parameters()):
            return system, ()
        folder = self.given.folder
        source = str(folder.resolve() if folder.exists() else folder)
        return system, (Frozen.of(system, PREFIX, source),)


@lru_cache(maxsize=1)
def _read(source: str) -> Checkpoint:
    if find(source) is None and not Path(source).exists():
        raise MissingError(
            f"no language model {source} is on this machine: `showtell import` makes a checkpoint of a "
            "folder in the Hugging Face layout, with --download of an id on its hub; then give "
            "vocabulary.source=FOLDER"
        )
    return open_checkpoint(source)
