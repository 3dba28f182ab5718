"""`showtell`: one command, a verb for each use. What a verb needs is imported when it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from showtell import __version__
from showtell.cli import about, classify, images, probe, runs, texts, weights, words
from showtell.cli.output import complain, text
from showtell.errors import UserError
from showtell.runtime import prepare_process

app = typer.Typer(
    name="showtell",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        text(f"showtell {__version__}")
        raise typer.Exit


@app.callback()
def showtell(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Show it a picture and it tells; tell it words and it shows."""


def _add(group: typer.Typer, *verbs: Callable[..., None], **named: Callable[..., None]) -> None:
    for verb in verbs:
        group.command()(verb)
    for name, verb in named.items():
        group.command(name)(verb)


def _group(name: str, about: str, **verbs: Callable[..., None]) -> None:
    group = typer.Typer(no_args_is_help=True, help=about)
    _add(group, **verbs)
    app.add_typer(group, name=name)


_add(app, about.demo, images.caption, classify.classify, images.index, images.search, images.similar)
_group("words", "Similar words and analogies.", similar=words.similar, analogy=words.analogy)
_group("map", "Maps of words or images.", words=words.map_words, images=words.map_images)
_add(app, runs.train, runs.evaluate, probe.probe)
_add(app, texts.fill, texts.complete)
_group("tokenizer", "Vocabularies of one's own texts.", train=texts.train, encode=texts.encode)
_group("data", "Look after your own data.", check=runs.check)
_add(app, weights.export, **{"import": weights.import_})
_add(app, about.env)


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; return the exit status.

    0 done, 1 failed, 2 asked wrongly, 4 weights that are not here, 130 interrupted. What went wrong is one
    line on standard error; with SHOWTELL_DEBUG=1 the traceback follows.
    """
    try:
        return app(list(arguments), prog_name="showtell", standalone_mode=False) or 0
    except KeyboardInterrupt:
        return 130
    except UserError as error:
        return _fail(error, str(error), error.exit_status)
    except OSError as error:
        return _fail(error, f"{error.filename or 'input or output'}: {error.strerror or error}", 1)
    except Exception as error:
        # The parser's own errors, whichever version's classes they are.
        if hasattr(error, "format_message"):
            return _fail(error, _usage(error), 2)
        return _fail(error, f"internal error: {error!r}; SHOWTELL_DEBUG=1 shows where. Please report it.", 1)


def _usage(error: Any) -> str:
    """What was asked wrongly, and where to look; nothing where the help has just been shown."""
    message = error.format_message().strip()
    command = error.ctx.command_path if getattr(error, "ctx", None) else "showtell"
    return message and f"{message} See: {command} --help"


def _fail(error: Exception, message: str, status: int) -> int:
    if message:
        complain(message)
    if os.environ.get("SHOWTELL_DEBUG"):
        import traceback

        traceback.print_exception(error)
    return status


def main() -> None:
    """The `showtell` command."""
    prepare_process()
    sys.exit(run(sys.argv[1:]))
