"""A network of an ONNX file, run by OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from showtell.errors import UserError
from showtell.hub.openvino import compiled, imported, read_graph


class OnnxRunner:
    """One input array to one output array, of any shapes that the network takes; threads may share it.

    One input per request, one request per core: inputs of different shapes need no padding.
    """

    def __init__(self, path: Path) -> None:
        """Raises `UserError` with the file's name for one that cannot be read."""
        try:
            self._graph = read_graph(path)
            self._queue = imported().AsyncInferQueue(compiled(self._graph))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise UserError(f"{path} is damaged, or no network: {reason}. Install it again.") from error
        self._queue.set_callback(_keep)
        self._lock = Lock()  # the queue waits for all its requests, so two callers must not share it

    def metadata(self, name: str) -> str:
        """A text that its maker put into the file; empty where there is none of this name."""
        facts = self._graph.get_rt_info()
        stored = facts["framework"] if "framework" in facts else {}  # noqa: SIM401, it has no `get`
        return str(stored[name].value) if name in stored else ""

    def __call__(self, inputs: Iterable[np.ndarray]) -> list[np.ndarray]:
        """The output for each input."""
        outputs: dict[int, np.ndarray] = {}
        with self._lock:
            for i, values in enumerate(inputs):
                self._queue.start_async([np.ascontiguousarray(values)], (outputs, i))
            self._queue.wait_all()
        return [outputs[i] for i in range(len(outputs))]


def _keep(request: Any, place: tuple[dict[int, np.ndarray], int]) -> None:
    outputs, i = place
    outputs[i] = request.get_output_tensor(0).data.copy()
