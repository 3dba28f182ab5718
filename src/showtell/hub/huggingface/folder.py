"""Systems in and out of folders in the Hugging Face layout: `config.json` and `model.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from safetensors.torch import save
from torch import nn

from showtell.data.json import read_object
from showtell.errors import UserError
from showtell.hub.huggingface.family import family_like, family_named, family_of
from showtell.hub.huggingface.rename import read_in, write_out
from showtell.hub.huggingface.sentence import head_table, read_sentence
from showtell.hub.huggingface.sidecars import sentence_files
from showtell.hub.huggingface.weights import WHOLE, read_weights
from showtell.nn.unfilled import Unfilled
from showtell.writing import sync, writing


def import_folder(folder: Path | str, adapt: Callable[[Any], Any] = lambda config: config) -> nn.Module:
    """The system that a folder of `transformers` describes, with its weights: every tensor, no other.

    `adapt` may change settings of the config that no tensor depends on, before the system is built.

    Raises `UserError` naming the file, setting or tensor that is missing, unknown, unfit or damaged.
    """
    folder = Path(folder)
    sentence = read_sentence(folder)
    described = sentence.transformer / "config.json"
    if not described.is_file():
        raise UserError(f"{sentence.transformer} lacks config.json: give a folder in the Hugging Face layout")
    theirs = read_object(described)
    named = family_named(theirs, described)
    found, weights = read_weights(sentence.transformer)
    family, theirs["model_type"] = named or family_like(found, theirs, described)
    try:
        theirs |= sentence.settings
        found = family.tidy(found, theirs)
        config = adapt(sentence.fitted(family.config_from(theirs, set(found))))
        with Unfilled():
            system = next(cls for cls in family.SYSTEMS if cast(Any, cls).Config is type(config))(config)
    except KeyError as error:
        raise UserError(f"{described} lacks {error}; download it again") from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{described} describes no model that can be built: {error}") from error
    table = [*family.table(config), *head_table(config)]
    read_in(found | sentence.tensors(), system.state_dict(), table, str(weights))
    return system.eval()


def export_folder(system: nn.Module, folder: Path | str) -> None:
    """Write a system so that `from_pretrained` of `transformers` reads it; other files of the folder stay.

    A sentence encoder also gets the files and folders of `sentence-transformers`.

    A process killed at any moment leaves the old model, the new one, or none: never the config of one with
    the weights of the other.

    Raises `UsageError` when `transformers` has no such model, `UserError` when the folder cannot be written.
    """
    folder = Path(folder)
    family, theirs = family_of(system)
    tensors = write_out(system.state_dict(), family.table(system.config))
    head = write_out(system.state_dict(), head_table(system.config))
    described = folder / "config.json"
    contents = {folder / WHOLE: save(tensors, metadata={"format": "pt"})}
    for place in sorted({name.partition(".")[0] for name in head}):
        part = {n.partition(".")[2]: t for n, t in head.items() if n.partition(".")[0] == place}
        contents[folder / place / WHOLE] = save(part, metadata={"format": "pt"})
    for name, content in (sentence_files(system.config, theirs) | {described.name: theirs}).items():
        contents[folder / name] = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
    written = {path: path.with_name(f".{path.name}.writing") for path in contents}
    with writing(folder):
        try:
            for path, new in written.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(new, contents[path])
            described.unlink(missing_ok=True)
            for path, new in written.items():
                new.replace(path)
        except OSError:
            for new in written.values():
                with suppress(OSError):
                    new.unlink()
            raise


def _write(path: Path, content: bytes) -> None:
    """Write and sync, so that the rename cannot reach the disk before the content."""
    path.write_bytes(content)
    sync(path)
