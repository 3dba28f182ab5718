"""One thread computes, requests wait in a bounded queue: what is more is refused at once, never piled up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from showtell.serve.errors import APIError, overloaded

Result = TypeVar("Result")


class Worker:
    """Runs jobs one after the other in a thread of its own."""

    def __init__(self, *, max_waiting: int, seconds: float) -> None:
        """`seconds`: the longest that a request may take, waiting included."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._max_waiting, self._seconds = max_waiting, seconds
        self._recent: deque[float] = deque([1.0], maxlen=20)
        self.inside = 0
        """Jobs that wait or run."""
        self.closed = False

    async def run(self, job: Callable[[], Result]) -> Result:
        """The result of a job. Raises as `stream`, and what the job raises."""
        async with aclosing(self.stream(lambda: (job(),))) as results:
            async for result in results:
                return result
        raise AssertionError("a job has one result")

    async def stream(self, job: Callable[[], Iterable[Result]]) -> AsyncGenerator[Result]:
        """What a job yields, as it does; a consumer that leaves ends the job at its next item.

        Raises `APIError` when the queue is full or the time is over.
        """
        with self._place():
            loop = asyncio.get_running_loop()
            items: asyncio.Queue[Any] = asyncio.Queue()
            left = threading.Event()
            done = object()

            def put(item: Any) -> None:
                if not left.is_set():
                    loop.call_soon_threadsafe(items.put_nowait, item)

            def work() -> None:
                if left.is_set():
                    return
                started = time.monotonic()
                try:
                    for item in job():
                        put(item)
                        if left.is_set():
                            break
                except Exception as error:
                    put(error)
                else:
                    put(done)
                self._recent.append(time.monotonic() - started)

            future = self._pool.submit(work)
            until = loop.time() + self._seconds
            try:
                while (item := await asyncio.wait_for(items.get(), until - loop.time())) is not done:
                    if isinstance(item, Exception):
                        raise item
                    yield item
            except TimeoutError:
                message = f"the request took longer than {self._seconds:g} s"
                raise APIError(HTTPStatus.GATEWAY_TIMEOUT, "timeout", message, kind="server_error") from None
            finally:
                left.set()
                future.cancel()

    def close(self) -> None:
        """Take no more jobs."""
        self.closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self.closed:
            raise overloaded(10, "the server is ending")
        if self.inside > self._max_waiting:
            waiting = self.inside * sum(self._recent) / len(self._recent)
            raise overloaded(max(1, round(waiting)))
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
