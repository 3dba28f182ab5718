"""Children that index or train, are killed or short of something; forked, so that none waits for imports."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SCALE = float(os.environ.get("SHOWTELL_RELIABILITY", "1"))
"""Kills and files are this many times as many; 1 takes about two minutes on a quiet machine."""

LIMITS = {"file": resource.RLIMIT_FSIZE, "descriptors": resource.RLIMIT_NOFILE, "memory": resource.RLIMIT_AS}


@dataclass(frozen=True)
class Outcome:
    """How a child ended."""

    status: int
    """0 done, 1 an error of one line, 3 anything else; minus the number of the signal that ended it."""
    said: str
    """The report as JSON, or the error."""
    seconds: float


class Children:
    """A process that forks a child per job; a context manager."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        self._driver = subprocess.Popen(
            [sys.executable, "-m", "support.children"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._driver.stdin is not None
        self._driver.stdin.close()
        self._driver.wait(60)

    def start(
        self,
        job: str,
        *paths: Path,
        kill_after: float | None = None,
        limits: Mapping[str, int] | None = None,
        patience: int = 300,
    ) -> None:
        """Begin a job in a child, to be killed after some seconds, within limits of the process.

        `patience`: the seconds after which a job that hangs is ended.
        """
        assert self._driver.stdin is not None
        order = {"job": job, "paths": list(map(str, paths)), "kill_after": kill_after, "patience": patience}
        order["limits"] = dict(limits or {})
        print(json.dumps(order), file=self._driver.stdin, flush=True)

    def outcome(self) -> Outcome:
        """Wait for the job begun last."""
        assert self._driver.stdout is not None
        return Outcome(**json.loads(self._driver.stdout.readline()))

    def run(self, job: str, *paths: Path, **options: Any) -> Outcome:
        """`start`, then `outcome`."""
        self.start(job, *paths, **options)
        return self.outcome()


def index_colours(photos: str, library: str) -> Any:
    """Index."""
    from support.library import FakeEncoder, index

    return asdict(index(Path(photos), Path(library), FakeEncoder()))


def index_in_steps(photos: str, library: str) -> Any:
    """Index with small batches, so that a child can be killed between any two."""
    from showtell.library import run

    run.BATCH, run.COMMIT_ROWS = 4, 8
    return index_colours(photos, library)


def train_line(output: str) -> Any:
    """Train a toy that saves every step on a slow disk, or continue it."""
    import shutil
    from dataclasses import replace

    from showtell.train.loop import train
    from support.toy import CONFIG, Line, error, finish, load_batch

    def slow(call: Any) -> Any:  # most kills fall between two of these
        return lambda *some, **more: (time.sleep(0.001), call(*some, **more))[1]

    for owner, name in [(os, "fsync"), (os, "unlink"), (Path, "rename"), (shutil, "rmtree")]:
        setattr(owner, name, slow(getattr(owner, name)))
    folder, system = Path(output), Line()
    resume = (folder / "state").exists() or (folder / ".state.previous").exists()
    config = replace(CONFIG, checkpoint_every=1)
    train(system, load_batch, config, folder, validate=error, finish=finish(system), resume=resume)
    return {}


JOBS = {"index": index_in_steps, "index at once": index_colours, "train": train_line}


def _child(order: Mapping[str, Any], said: int) -> int:
    """Run a job; write the report or the error to the pipe `said`."""
    from showtell.errors import UserError

    status = 0
    signal.alarm(order["patience"])  # what waits for ever ends by this signal
    try:
        for name, value in order["limits"].items():
            if name == "memory":  # beside what the imports take
                value += int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(LIMITS[name], (value, value))
        text = json.dumps(JOBS[order["job"]](*order["paths"]))
    except UserError as error:
        status, text = 1, str(error)
    except OSError as error:  # the command line says it in a line
        status, text = 1, str(error)
    except BaseException:
        status, text = 3, traceback.format_exc()
    os.write(said, text.encode()[-60_000:])  # what a pipe holds
    return status


def main() -> None:
    """Fork a child per line of standard input."""
    import numpy.ma  # noqa: F401  (pyarrow imports it late, when there may be no descriptor for its files)
    import torch

    import support.library
    import support.toy  # noqa: F401

    warnings.filterwarnings("ignore", "lancedb fork support", RuntimeWarning)  # it is not used before a fork
    torch.set_num_threads(1)
    for line in sys.stdin:
        order = json.loads(line)
        read, write = os.pipe()
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            os._exit(_child(order, write))
        os.close(write)
        if order["kill_after"] is not None:
            time.sleep(order["kill_after"])
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with open(read, "rb") as said:  # noqa: PTH123
            text = said.read().decode(errors="replace")
        print(json.dumps(asdict(Outcome(status, text, time.monotonic() - started))), flush=True)


if __name__ == "__main__":
    main()
