"""`showtell`: one command, its verbs found in `verbs`. What a verb needs is imported when it runs."""

from __future__ import annotations

import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Sequence
from errno import EMFILE, ENFILE
from importlib import import_module
from os.path import exists
from types import ModuleType
from typing import Annotated, Any

import typer

from showtell import __version__
from showtell.cli import verbs
from showtell.cli.messages import messages_shown
from showtell.cli.output import print_error, print_text
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
        print_text(f"showtell {__version__}")
        raise typer.Exit


@app.callback()
def showtell(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Show it a picture and it tells; tell it words and it shows."""


def _add_verbs(group: typer.Typer, package: ModuleType) -> str | None:
    """Each file of a package as a verb, each folder as a group of verbs; returns the last verb's help panel.

    A file `fill_mask.py` holds the function `fill_mask`, which is the verb `fill-mask`. A trailing underscore
    makes a file of a Python keyword: `import_`.
    """
    panel = None
    for found in pkgutil.iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{found.name}")
        name = found.name.rstrip("_").replace("_", "-")
        if found.ispkg:
            inner = typer.Typer(no_args_is_help=True, help=module.__doc__)
            group.add_typer(inner, name=name, rich_help_panel=_add_verbs(inner, module))
        else:
            panel = getattr(module, "PANEL", None)
            top = package is verbs
            verb = getattr(module, found.name)
            group.command(name, help=_help(verb), rich_help_panel=panel if top else None)(verb)
    return panel


def _help(verb: Callable[..., None]) -> str:
    """The docstring with the lines of each paragraph joined: the terminal's width breaks them anew."""
    paragraphs = inspect.cleandoc(verb.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


_add_verbs(app, verbs)


def run(arguments: Sequence[str]) -> int:
    """Run a command line; return the exit status.

    0 done, 1 failed, 2 usage error, 4 weights that are not on this machine, 130 interrupted. An error is one
    line on standard error; with SHOWTELL_DEBUG=1 the traceback follows.
    """
    try:
        with messages_shown():
            return app(list(arguments), prog_name="showtell", standalone_mode=False) or 0
    except KeyboardInterrupt:
        return 130
    except UserError as error:
        return _fail(error, str(error), error.exit_status)
    except MemoryError as error:
        return _fail(error, "there is not enough memory; close other programs and run it again", 1)
    except OSError as error:
        more = "; allow more with `ulimit -n 4096`" if error.errno in (EMFILE, ENFILE) else ""
        what = error.filename or "cannot read or write"
        return _fail(error, f"{what}: {error.strerror or error}{more}", 1)
    except Exception as error:
        # The parser's own errors, whichever version's classes they are.
        if hasattr(error, "format_message"):
            return _fail(error, _usage(error, arguments), 2)
        return _fail(error, f"internal error: {error!r}; SHOWTELL_DEBUG=1 shows where. Please report it.", 1)


_PYDANTIC = (
    ("Value error, ", ""),
    ("Input should be a valid integer,.*", "expected a whole number"),
    ("Input should be a valid number,.*", "expected a number"),
    (r"Input should be greater than or equal to (\S+)", r"expected \1 or more"),
    (r"Input should be less than or equal to (\S+)", r"expected \1 or less"),
    (r"Input should be (greater|less) than (\S+)", r"expected a number \1 than \2"),
)
"""How pydantic, which checks values, says what is wrong with one, and how this program does."""


def _usage(error: Any, arguments: Sequence[str]) -> str:
    """What is wrong with the arguments, and where to look; nothing where the help was just shown."""
    message = error.format_message().strip()
    for found, said in _PYDANTIC:
        message = re.sub(found, said, message)
    dashed = next((one for one in arguments if one.startswith("-") and exists(one)), None)  # noqa: PTH110
    if "extra argument" in message:
        message += '; put what has spaces in "quotes"'
    elif message.startswith("No such option") and dashed:
        message += f"; to name that file write ./{dashed}"
    stop = " See" if message.endswith("?") else "; see"
    return message and f"{message.rstrip('.')}{stop} {_command(arguments)} --help"


def _command(arguments: Sequence[str]) -> str:
    """The verb that arguments begin with: not every error of the parser knows it."""
    path, found = "showtell", typer.main.get_command(app)
    for name in arguments:
        if name not in (known := getattr(found, "commands", {})):
            break
        path, found = f"{path} {name}", known[name]
    return path


def _fail(error: Exception, message: str, status: int) -> int:
    if message:
        print_error(message)
    if os.environ.get("SHOWTELL_DEBUG"):
        import traceback

        traceback.print_exception(error)
    return status


def main() -> None:
    """The `showtell` command."""
    prepare_process()
    if sys.stdout is None:
        print_error("standard output is closed, and results would be lost; send them to a file or /dev/null")
        sys.exit(1)
    sys.exit(run(sys.argv[1:]))
