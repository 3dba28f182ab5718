"""`showtell serve`."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Device, MaxImageTokens, Precision
from showtell.cli.output import print_error
from showtell.device import choose_device, free_memory
from showtell.errors import MissingError, UsageError, UserError
from showtell.runtime import keep_all_objects

PANEL = "Service"
MEMORY_SHARE = 0.6


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="A checkpoint, a run, a folder of Qwen-VL as published, or a name that `showtell models` "
            "lists; several times for several. NAME=FOLDER gives it the name that requests use. Default: the "
            "shipped captioner, or none beside --engine.",
            show_default=False,
        ),
    ] = None,
    library: Annotated[
        Path | None, typer.Option("--library", "-l", help="A library to search.", show_default=False)
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="The base URL of an OpenAI-compatible server, such as http://127.0.0.1:8001/v1: its models "
            "answer messages, behind this server's checks.",
            show_default=False,
        ),
    ] = None,
    engine_key: Annotated[
        str | None,
        typer.Option(
            envvar="SHOWTELL_ENGINE_KEY", help="What --engine is sent as its key.", show_default=False
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="SHOWTELL_API_KEY",
            help="What clients must send; needed for any address but this machine's own.",
            show_default=False,
        ),
    ] = None,
    max_waiting: Annotated[
        int, typer.Option(min=0, help="Requests that may wait; more are refused at once (503).")
    ] = 16,
    memory: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="GiB that questions to a Qwen-VL may take beside the models; what does not fit is refused. "
            f"Default: {MEMORY_SHARE:.0%} of what is free once they are loaded.",
            show_default=False,
        ),
    ] = None,
    max_image_tokens: MaxImageTokens = None,
    device: Device = "auto",
    precision: Precision = "float32",
) -> None:
    """Serve models over HTTP, as OpenAI's clients speak: chat, embeddings, captions, search.

    No image is fetched from anywhere: requests carry their images. Ctrl-C or SIGTERM ends it, after the
    answers that are being written.
    """
    try:
        import uvicorn

        from showtell.serve.app import Limits, create_app
        from showtell.serve.guard import LOCAL
        from showtell.serve.served import load_served
        from showtell.serve.upstream import Upstream, find_models
    except ImportError as error:
        raise MissingError(f"the server needs {error.name}: pip install 'showtell[serve]'") from error
    from showtell.hub.qwen_vl_system import is_tuned_qwen_vl
    from showtell.pipelines.model import SHIPPED
    from showtell.pipelines.search import Searcher, check_search
    from showtell.pipelines.shipped import model_for

    if host not in LOCAL and not api_key:
        raise UsageError(f"--host {host} lets other machines in: give a key with --api-key as well")
    named = dict(_named(one) for one in model or ([] if engine else [SHIPPED.name]))
    if len(named) < len(model or ""):
        raise UsageError("two models have one name; give them others with --model NAME=FOLDER")
    if max_image_tokens is not None and not any(map(is_tuned_qwen_vl, named.values())):
        raise UsageError("--max-image-tokens is of a Qwen-VL, and no --model is one")
    listening = _listening(host, port)
    if library:
        check_search(None, library)
    limits = Limits(max_waiting=max_waiting)
    upstream = None
    if engine:
        upstream = Upstream(engine, find_models(engine, engine_key), key=engine_key, seconds=limits.seconds)
        if twice := named.keys() & upstream.models:
            raise UsageError(f"the engine has a model {min(twice)} too; give yours another name: NAME=FOLDER")
    if named:
        print_error(f"loading {', '.join(named)}")
    models = {
        name: load_served(source, device, max_image_tokens, precision) for name, source in named.items()
    }
    if library:
        print_error(f"loading the model that searches {library}")
    searcher = Searcher(library, model_for(library, None, device)) if library else None
    free = free_memory(choose_device(device))
    share = None if free is None else int(MEMORY_SHARE * free)
    limits = replace(limits, memory=share if memory is None else int(memory * 2**30))
    app = create_app(models, searcher, upstream=upstream, api_key=api_key, limits=limits)
    names = [*models, *(upstream.models if upstream else ())]
    print_error(f"serving {', '.join(names)} at http://{host}:{port}/v1; its description is at /docs")
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a client that leaves ends its answer, not the server
    keep_all_objects()
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=10)
    _listen(listening, host, port)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    """A socket bound to the address; connections are refused until the server listens to it.

    Raises `UserError` for an address that is taken or not of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere it would take a port from another program
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        raise _refused(host, port, error) from error
    return bound


def _listen(bound: socket.socket, host: str, port: int) -> None:
    """Begin to listen. Raises `UserError` if another server, which was bound meanwhile, does already."""
    try:
        bound.listen()
    except OSError as error:
        raise _refused(host, port, error) from error


def _refused(host: str, port: int, error: OSError) -> UserError:
    return UserError(
        f"the server cannot listen at {host}, port {port}: {error.strerror}; choose another --port or --host"
    )


def _named(given: str) -> tuple[str, str]:
    """The name that requests use, and what is loaded: `NAME=FOLDER`, or the last part of a path."""
    name, equals, source = given.partition("=")
    return (name, source) if equals and not Path(given).exists() else (Path(given).name, given)
