"""`--set train.steps=200`: change fields of nested frozen dataclasses by their dotted names."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from showtell.errors import UsageError

Recipe = TypeVar("Recipe")


def apply(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """A copy of the recipe with `name=value` settings in place; of two for one name the later holds.

    A value is read as the field's annotation says. All are applied at once, so fields that restrict each
    other may come in any order.

    Raises `UsageError` for an unknown name, naming the nearest, and for a value of the wrong type,
    naming the right one.

    >>> from showtell.train.config import TrainConfig
    >>> apply(TrainConfig(), ["steps=200", "learning_rate=1e-4", "betas=0.9,0.99"]).learning_rate
    0.0001
    """
    annotations = dict(_fields(recipe))
    changes: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        if not equals:
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
    return _replace(recipe, changes)


def record(recipe: Any) -> dict[str, Any]:
    """The resolved recipe as JSON has it: what a checkpoint remembers, never what a run is read from."""
    return json.loads(json.dumps(dataclasses.asdict(recipe), default=_plain, allow_nan=False))


def _plain(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a recipe holds {value!r}, which JSON cannot record")


def _fields(recipe: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names of all leaves with their annotations; what a field holds now decides where to go down."""
    hints = get_type_hints(type(recipe))
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if dataclasses.is_dataclass(value):
            yield from _fields(value, f"{prefix}{field.name}.")
        elif field.init:
            yield prefix + field.name, hints[field.name]


def _replace(recipe: Any, changes: dict[str, Any]) -> Any:
    resolved = {
        name: _replace(inner, value) if dataclasses.is_dataclass(inner := getattr(recipe, name)) else value
        for name, value in changes.items()
    }
    try:
        return dataclasses.replace(recipe, **resolved)
    except ValueError as error:  # what the dataclass itself refuses
        raise UsageError(str(error)) from error


def _nearest(name: str, names: list[str]) -> str:
    """The name with the same last part, `steps` for `train.steps`, or else the most similar one."""
    same = [known for known in names if known.split(".")[-1] == name.split(".")[-1]]
    return difflib.get_close_matches(name, same or names, 1, 0.0)[0]


def _parse(text: str, kind: Any) -> Any:
    """One value. Raises `ValueError` when the text is not of that kind."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is NoneType or kind is bool or origin is Literal:
        known: dict[str, Any] = {"none": None} if kind is NoneType else {"true": True, "false": False}
        if origin is Literal:
            known = {str(value): value for value in inner}
        if text not in known:
            raise ValueError(text)
        return known[text]
    if kind is float:
        if not math.isfinite(number := float(text)):
            raise ValueError(text)
        return number
    if kind in (int, str, Path):
        return kind(text)
    if origin is tuple:
        parts = [part.strip() for part in text.strip("()[]").split(",") if part.strip()]
        kinds = [inner[0]] * len(parts) if inner[-1] is Ellipsis else inner
        return tuple(_parse(part, k) for part, k in zip(parts, kinds, strict=True))
    if origin in (Union, UnionType):
        # None before the others: "none" is also a text.
        for option in sorted(inner, key=lambda option: option is not NoneType):
            try:
                return _parse(text, option)
            except ValueError:
                continue
        raise ValueError(text)
    raise TypeError(f"a setting of type {kind} cannot be read from the command line")


def _describe(kind: Any) -> str:
    """The annotation in the words of a person."""
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
