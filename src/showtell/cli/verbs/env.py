"""`showtell env`."""

from __future__ import annotations

from showtell.cli.options import Json
from showtell.cli.output import flattened, print_json, print_table


def env(json: Json = False) -> None:
    """Show versions and hardware, for a bug report."""
    from showtell.pipelines.environment import env

    facts = env()
    if json:
        print_json(facts)
    else:
        print_table(["what", "value"], list(flattened(facts)))
