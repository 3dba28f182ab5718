"""What is measured once per machine, and kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import torch

from showtell.device import processor
from showtell.errors import UserError
from showtell.writing import cache_folder, write_file

logger = logging.getLogger(__name__)
T = TypeVar("T")


def once_per_machine(file: str, what: str, measure: Callable[[], Any], read: Callable[[Any], T]) -> T:
    """What `measure` returns, JSON, as `read` takes it; kept in a file of the cache folder.

    The entry is named by `what`, the processor and the version of torch. One that `read` refuses is measured
    again.
    """
    path = cache_folder() / file
    instructions = torch.backends.cpu.get_cpu_capability()  # a virtual machine may not say its model
    key = f"{processor()}, {instructions}, torch {torch.__version__}, {what}"
    known: dict[str, Any] = {}
    with suppress(OSError, ValueError, TypeError, KeyError):  # no such file or entry, or a damaged one
        known = dict(json.loads(path.read_bytes()))
        return read(known[key])
    measured = measure()
    try:
        write_file(path, json.dumps({**known, key: measured}, indent=1).encode())
    except UserError as error:
        logger.debug("measured again by the next command: %s", error)
    return read(measured)
