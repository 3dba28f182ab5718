"""`showtell models`."""

from __future__ import annotations

from showtell.cli.options import Json
from showtell.cli.output import print_json, print_note, print_table

PANEL = "Models"


def models(json: Json = False) -> None:
    """List the shipped models and those of packages: what uses them, size, licence, how to install."""
    from showtell.pipelines.models import install_missing, models

    found = models()
    if json:
        for one in found:
            print_json(one)
        return
    rows = [
        (m.name, m.what, m.used_by, f"{m.bytes / 1e6:.1f} MB", m.licence, m.install or "installed")
        for m in found
    ]
    print_table(["name", "what", "used by", "size", "licence", "install"], rows)
    if command := install_missing(found):
        print_note(f"all that is missing: {command}")
