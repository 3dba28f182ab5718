"""Functions of a test module, run in processes that share a gloo group of `torch.distributed`."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

CONTEXT = get_context("spawn")


def _serve(rank: int, size: int, pipe: Connection) -> None:
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    while (job := pipe.recv()) is not None:
        store, function, arguments = job
        try:
            distributed.init_process_group("gloo", f"file://{store}", rank=rank, world_size=size)
            distributed.barrier()  # else a quick one leaves while the other still connects
            pipe.send((function(*arguments), None))
            distributed.destroy_process_group()
        except BaseException:
            pipe.send((None, traceback.format_exc()))
            return


class Together:
    """Processes that outlive a test: importing torch takes longer than the tests."""

    def __init__(self, size: int = 2) -> None:
        self.size = size
        self.workers: list[tuple[Any, Connection]] = []

    def _start(self) -> None:
        for rank in range(self.size):
            ours, theirs = CONTEXT.Pipe()
            child = CONTEXT.Process(target=_serve, args=(rank, self.size, theirs), daemon=True)
            child.start()
            theirs.close()
            self.workers.append((child, ours))

    def __call__(self, folder: Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What `function(*arguments)` returns in each process, by rank; a failure in any fails the test."""
        if not self.workers:
            self._start()
        store = folder / f"store{len(list(folder.iterdir()))}"
        pipes = [pipe for _, pipe in self.workers]
        for pipe in pipes:
            pipe.send((store, function, arguments))
        got: dict[int, Any] = {}
        failure = None
        while len(got) < self.size and failure is None:
            ready = connection.wait([p for i, p in enumerate(pipes) if i not in got], timeout=240)
            failure = None if ready else "no answer for four minutes"
            for pipe in ready:
                rank = pipes.index(pipe)
                got[rank], wrong = pipe.recv()
                failure = failure or (wrong and f"process {rank}: {wrong}")
        if failure:
            self.close()
        assert failure is None, failure
        return [got[rank] for rank in range(self.size)]

    def close(self) -> None:
        """Kill the processes."""
        for child, _ in self.workers:
            child.kill()
            child.join()
        self.workers.clear()
