"""The settings of a run: the fields of nested frozen dataclasses, by dotted names such as `train.steps`."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import json
import math
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from showtell.checkpoint.config import all_systems
from showtell.errors import UsageError
from showtell.runs.finetuning import like

Settings = TypeVar("Settings")

AXES = {
    "activation": "Between the two layers of a feedforward network.",
    "backbone": "The network: an architecture's name.",
    "depth": "Number of layers.",
    "dropout": "Probability that a number is dropped in training.",
    "eps": "Added to the variance of a layer norm.",
    "feature_width": "Width of the features of the frozen backbone, which decides it.",
    "hidden_width": "Width of the hidden layer of the heads.",
    "image_size": "Side of an image in pixels.",
    "mask_id": "Id of the token that masks others; follows from the vocabulary.",
    "mask_rate": "Share of the tokens that are masked.",
    "max_length": "Tokens of the longest text.",
    "mean": "Of pixels in 0..1, one number per colour; subtracted.",
    "mlp_dim": "Width of the hidden layer of a feedforward network.",
    "num_classes": "Number of classes; follows from the data.",
    "num_heads": "Attention heads per layer.",
    "num_segments": "Number of segments that a text may have; 0 has no segment embedding.",
    "patch_size": "Side of a patch in pixels.",
    "projection_width": "Width of the vectors that the loss compares.",
    "smoothing": "Share of the target probability that is spread over all tokens.",
    "special": "Ids of the tokens that are never masked; follow from the vocabulary.",
    "std": "Of pixels in 0..1, one number per colour; divides.",
    "stem": "The first layers of the network, by the size of the images they are for.",
    "temperature": "Of the softmax over similarities, at the start where it is trained.",
    "vocab_size": "Tokens of the vocabulary; where the texts decide, at most so many.",
    "width": "Width of the tokens, or of the vectors that are compared.",
    "word_width": "Width of the token embedding.",
}
"""The meaning of names that are the same everywhere, for fields without a docstring of their own."""


@dataclass(frozen=True)
class Setting:
    """One setting as a person reads it."""

    name: str
    default: Any
    expects: str
    """The type, in words."""
    meaning: str
    """The field's docstring, or what its name means everywhere."""
    varies: bool = False
    """Whether the default follows from the amount of data."""


def apply(run: Settings, settings: Iterable[str]) -> Settings:
    """A copy of the run with `name=value` settings applied; of two for one name the later holds.

    A value is parsed by the field's annotation. All are applied at once, so fields that restrict each other
    may come in any order. `system=NAME` comes first: another system, with the sizes that both have.

    Raises `UsageError` for an unknown name, naming the nearest, and for a value of the wrong type, naming the
    right one.

    >>> from showtell.train.config import TrainConfig
    >>> apply(TrainConfig(), ["steps=200", "learning_rate=1e-4", "betas=0.9,0.99"]).learning_rate
    0.0001
    """
    settings = list(settings)
    for named in [setting for setting in settings if setting.partition("=")[0].strip() == "system"]:
        run = _with_system(run, named.partition("=")[2].strip())
        settings.remove(named)
    annotations = {name: kind for name, kind, _, _ in _fields(run)}
    changes: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        if not equals:
            if name in annotations:
                raise UsageError(f"{name} has no value: write {name}=..., {_describe(annotations[name])}")
            raise UsageError(
                f"{setting!r} is no setting: write name=value, such as {next(iter(annotations))}=..."
            )
        if name not in annotations:
            raise UsageError(
                f"no setting is called {name!r}; did you mean {_nearest(name, list(annotations))}?"
            )
        try:
            value = _parse(text, annotations[name])
        except ValueError:
            raise UsageError(f"{name}={text}: expected {_describe(annotations[name])}") from None
        *path, last = name.split(".")
        place = changes
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return _replace(run, changes)


def settings_of(run: Any) -> list[Setting]:
    """Every setting of a run, with its default and its meaning."""
    return [Setting(name, value, _describe(kind), meaning) for name, kind, value, meaning in _fields(run)]


def record(run: Any) -> dict[str, Any]:
    """The settings as plain JSON: what a checkpoint records, never what a run is read from."""
    return json.loads(json.dumps(dataclasses.asdict(run), default=_plain, allow_nan=False))


def _plain(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a run holds {value!r}, which JSON cannot record")


def _fields(run: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any, str]]:
    """Name, annotation, value and docstring of each leaf; what a field holds now decides where to descend."""
    hints, meanings = get_type_hints(type(run)), _docstrings(type(run))
    for field in dataclasses.fields(run):
        value = getattr(run, field.name)
        if dataclasses.is_dataclass(value):
            yield from _fields(value, f"{prefix}{field.name}.")
        elif field.init:
            meaning = meanings.get(field.name) or AXES.get(field.name, "")
            yield prefix + field.name, hints[field.name], value, meaning


def _docstrings(cls: type) -> dict[str, str]:
    """The string below each field of a dataclass, those it inherits too."""
    found: dict[str, str] = {}
    for owner in reversed(cls.__mro__[:-1]):
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        except (OSError, TypeError):
            continue  # without source, as in an interactive session
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for field, below in pairwise(statements):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                text = below.value if isinstance(below, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found[field.target.id] = " ".join(text.value.split())
    return found


def _replace(run: Any, changes: dict[str, Any]) -> Any:
    resolved = {
        name: _replace(inner, value) if dataclasses.is_dataclass(inner := getattr(run, name)) else value
        for name, value in changes.items()
    }
    try:
        return dataclasses.replace(run, **resolved)
    except ValueError as error:  # what the dataclass itself refuses
        raise UsageError(str(error)) from error


def _with_system(run: Any, name: str) -> Any:
    """The run with another system, whose sizes are those of the one before. Raises `UsageError` for none."""
    known = all_systems()
    if name not in known:
        nearest = difflib.get_close_matches(name.lower(), [one.lower() for one in known], 1, 0.0)[0]
        named = next(one for one in known if one.lower() == nearest)
        raise UsageError(f"no system is called {name!r}; did you mean {named}?")
    return dataclasses.replace(run, system=like(known[name].Config(), run.system))


def _nearest(name: str, names: list[str]) -> str:
    """The name with the same last part, `train.steps` for `steps`, or else the most similar one."""
    same = [known for known in names if known.split(".")[-1] == name.split(".")[-1]]
    return difflib.get_close_matches(name, same or names, 1, 0.0)[0]


def _parse(text: str, kind: Any) -> Any:
    """The value of an annotation that a text stands for. Raises `ValueError` when there is none.

    The text is read as a scalar, as values separated by commas, or as it is: the first that the annotation
    strictly accepts as JSON.
    """
    adapter = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
    parts = [part.strip() for part in text.strip("()[]").split(",") if part.strip()]
    for value in (_scalar(text), [_scalar(part) for part in parts], text):
        try:
            return adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError:
            continue
    raise ValueError(text)


def _scalar(text: str) -> bool | int | float | str | None:
    if text in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[text]
    for number in (int, float):
        try:
            value = number(text)
        except ValueError:
            continue
        return value if math.isfinite(value) else text
    return text


def _describe(kind: Any) -> str:
    """An annotation in a person's words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return f"values separated by commas, each {_describe(inner[0])}"
        return f"{len(inner)} values separated by commas: {', '.join(map(_describe, inner))}"
    if origin in (Union, UnionType):
        return " or ".join(map(_describe, inner))
    names: dict[Any, str] = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "a text",
        NoneType: "none",
    }
    return names.get(kind, "a path")
