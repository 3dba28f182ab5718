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
from showtell.hub.huggingface.weights import WHOLE, read_weights
from showtell.writing import sync, writing


def import_folder(folder: Path | str, adapt: Callable[[Any], Any] = lambda config: config) -> nn.Module:
    """The system that a folder of `transformers` describes, with its weights: every tensor, no other.

    `adapt` may change settings of the config that no tensor depends on, before the system is built.

    Raises `UserError` naming the file, setting or tensor that is missing, unknown, unfit or damaged.
    """
    folder = Path(folder)
    described = folder / "config.json"
    if not described.is_file():
        raise UserError(f"{folder} lacks config.json: give a folder in the Hugging Face layout")
    theirs = read_object(described)
    named = family_named(theirs, described)
    found, weights = read_weights(folder)
    family, theirs["model_type"] = named or family_like(found, theirs, described)
    try:
        theirs |= _sentence_pooling(folder)
        found = family.tidy(found, theirs)
        config = adapt(family.config_from(theirs, set(found)))
        system = next(cls for cls in family.SYSTEMS if cast(Any, cls).Config is type(config))(config)
    except KeyError as error:
        raise UserError(f"{described} lacks {error}; download it again") from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{described} describes no model that can be built: {error}") from error
    read_in(found, system.state_dict(), family.table(config), str(weights))
    return system.eval()


def export_folder(system: nn.Module, folder: Path | str) -> None:
    """Write a system so that `from_pretrained` of `transformers` reads it; other files of the folder stay.

    A process killed at any moment leaves the old model, the new one, or none: never the config of one with
    the weights of the other.

    Raises `UsageError` when `transformers` has no such model, `UserError` when the folder cannot be written.
    """
    folder = Path(folder)
    family, theirs = family_of(system)
    text = json.dumps(theirs, indent=2, ensure_ascii=False)
    tensors = write_out(system.state_dict(), family.table(system.config))
    weights, described = folder / WHOLE, folder / "config.json"
    written = {path: path.with_name(f".{path.name}.writing") for path in (weights, described)}
    with writing(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(written[weights], save(tensors, metadata={"format": "pt"}))
            _write(written[described], (text + "\n").encode())
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


def _sentence_pooling(folder: Path) -> dict[str, str]:
    """The pooling of a sentence encoder, which `sentence-transformers` stores beside the model."""
    file = folder / "1_Pooling" / "config.json"
    if not file.is_file():
        return {}
    modes = [
        name for name, chosen in read_object(file).items() if name.startswith("pooling_mode_") and chosen
    ]
    names = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    return {"sentence_pooling": "+".join(names.get(mode, mode) for mode in modes)}
