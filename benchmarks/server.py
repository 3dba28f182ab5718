"""`showtell serve` in a process of its own, on a free port, until the block ends."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process and its URL, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "showtell", "serve", "--port", str(port), *options]
    with subprocess.Popen(command) as server:
        try:
            while not _answers(url):
                if server.poll() is not None:
                    raise SystemExit(f"the server ended with status {server.returncode}")
                time.sleep(0.1)
            yield server, url
        finally:
            server.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False
