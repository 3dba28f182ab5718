"""Self-contained HTML files from Jinja templates: style, script and images are inside."""

from __future__ import annotations

import base64
import hashlib
import math
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from showtell.errors import UsageError
from showtell.writing import write_file

TEMPLATES = files("showtell.html") / "templates"


def write_page(path: Path, template: str, **values: object) -> None:
    """Write `templates/<template>.html.j2`, filled with `values`, as one HTML file.

    Raises `UsageError` when `path` does not end in `.html`, `UserError` when it cannot be written.
    """
    if path.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"{path}: this is an HTML file; let its name end in .html")
    page = environment().get_template(f"{template}.html.j2").render(values)
    # A file name that is not UTF-8 reaches Python as lone surrogates, which no page can hold.
    write_file(path, page.encode("utf-8", "replace"))


@cache
def environment() -> Environment:
    """The templates' Jinja environment: every value is escaped, and a missing one is an error."""
    env = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _read("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    env.globals |= {
        "style": Markup(_read("page.css")),
        "script": Markup(script),
        # Nothing else may load or run.
        "policy": Markup(
            f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
        ),
    }
    env.filters |= {
        "duration": duration,
        "filename": lambda path: path.replace("\\", "/").rsplit("/", 1)[-1],
        "png": lambda data: f"data:image/png;base64,{base64.b64encode(data).decode()}",
        "jpeg": lambda data: f"data:image/jpeg;base64,{base64.b64encode(data).decode()}",
        "probability": lambda logprob: f"{math.exp(min(logprob, 0)):.0%}",
        "share": lambda score: f"{min(max(score, 0), 1):.3f}",
    }
    return env


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(0.4321), duration(41.27)
    ('432 ms', '41.3 s')
    """
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text("utf-8")
