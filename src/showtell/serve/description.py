"""The page that describes the service, from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from showtell.html.page import environment

BOUNDS = {
    "minimum": ">= {:g}",
    "exclusiveMinimum": "> {:g}",
    "maximum": "<= {:g}",
    "minItems": "at least {:g}",
    "maxItems": "at most {:g}",
}


def description(document: Mapping[str, Any]) -> str:
    """One HTML page with every route and every field of what it reads; it loads nothing from elsewhere."""
    bodies = document.get("components", {}).get("schemas", {})
    routes = [
        {"method": method.upper(), "path": path, "what": route.get("description", ""), "body": _body(route)}
        for path, methods in document["paths"].items()
        for method, route in methods.items()
    ]
    fields = {
        name: (body.get("description", ""), _fields(body))
        for name, body in bodies.items()
        if not name.endswith("ValidationError")  # FastAPI's own form of errors, which this server never sends
    }
    page = environment().get_template("service.html.j2")
    return page.render(title=document["info"]["title"], routes=routes, bodies=fields)


def with_models(document: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """An OpenAPI document in which the field `model` of each request says which models there are."""
    for name, body in document["components"]["schemas"].items():
        field = body["properties"].get("model") if name.endswith("Request") else None
        for kind in [] if field is None else field.get("anyOf", [field]):
            if kind.get("type") == "string":
                kind["enum"] = list(names)
    return document


def _body(route: Mapping[str, Any]) -> str | None:
    """The name of what a route reads; None for a route without a body."""
    content = route.get("requestBody", {}).get("content", {})
    return _kind(content["application/json"]["schema"]) if content else None


def _fields(body: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Each field with its type and what it is without being given."""
    needed = body.get("required", ())
    return [
        (name, _kind(field), "required" if name in needed else _default(field.get("default")))
        for name, field in body.get("properties", {}).items()
    ]


def _default(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _kind(field: Mapping[str, Any]) -> str:
    """A type in words.

    >>> _kind({"anyOf": [{"type": "array", "items": {"type": "string"}, "maxItems": 4}, {"type": "null"}]})
    'list of string, at most 4'
    """
    if reference := field.get("$ref"):
        return reference.rsplit("/", 1)[-1]
    if options := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(_kind(one) for one in options if one.get("type") != "null")
    if "const" in field:
        return str(field["const"]).lower() if isinstance(field["const"], bool) else repr(field["const"])
    if "enum" in field:
        return " or ".join(map(repr, field["enum"]))
    bounds = [words.format(field[name]) for name, words in BOUNDS.items() if name in field]
    kind = field.get("type", "anything")
    kind = f"list of {_kind(field['items'])}" if kind == "array" else kind
    return ", ".join([kind, *bounds])
