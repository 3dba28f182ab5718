"""One thread computes, requests wait in a bounded queue: what is more is refused at once, never piled up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from showtell.runtime import give_back_freed_memory
from showtell.serve.errors import APIError, invalid, overloaded

Result = TypeVar("Result")
READERS = 2
"""Threads that decode images meanwhile."""
DONE = object()


@runtime_checkable
class AnswersTogether(Protocol):
    """A model that answers questions, several in one batch."""

    def question(
        self, messages: Sequence[Any], images: Iterable[Any], sampling: Any, schema: object = None
    ) -> Any:
        """A conversation as `answer` takes it, with the images, `uint8 [H W 3]`, that it names, in order."""

    def fits(self, questions: Sequence[Any]) -> bool:
        """Whether questions may be answered in one batch, as far as their number goes."""
        ...

    def held(self, question: Any) -> int:
        """The bytes that a question takes while it waits."""
        ...

    def needs(self, questions: Sequence[Any]) -> int:
        """The bytes that answering questions in one batch takes beside what they hold, at most."""
        ...

    def answer(self, questions: Sequence[Any], puts: Sequence[Callable[[Any], bool]]) -> None:
        """Answer questions in one batch.

        Each piece of an answer is put, and told whether more is wanted. The last one has a `finish`.
        """


class Asked(NamedTuple):
    """A job that is computed together with others of the same model."""

    model: AnswersTogether
    question: Callable[[], Any]
    """Makes what the model answers, in another thread."""


class Worker:
    """Runs jobs in the order in which they came, in a thread of its own.

    A question takes along those behind it that fit into one batch. What all questions hold while they wait,
    and what the batch needs that is computed, is at most the memory given: a question that does not fit is
    refused before it waits.
    """

    def __init__(self, *, max_waiting: int, seconds: float, memory: int | None = None) -> None:
        """`seconds`: the longest that a request may take, waiting included; `memory`: bytes, None for any."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._max_waiting, self._seconds = max_waiting, seconds
        self._memory = memory
        self._waiting: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._lock = threading.Lock()
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

    async def stream(self, job: Callable[[], Iterable[Result]] | Asked) -> AsyncGenerator[Result]:
        """What a job yields, as it does; a consumer that leaves ends the job at its next item.

        Raises `APIError` when the queue or the memory is full, the time is over, or a question needs more
        memory than there is.
        """
        with self._place():
            loop = asyncio.get_running_loop()
            until = loop.time() + self._seconds
            waiting = _Job(loop)
            try:
                if isinstance(job, Asked):
                    waiting.model = job.model
                    reading = loop.run_in_executor(self._readers, job.question)
                    waiting.question = await asyncio.wait_for(reading, self._seconds)
                else:
                    waiting.alone = job
                with self._lock:
                    self._admit(waiting)
                    self._waiting.append(waiting)
                self._pool.submit(self._work)
                while (item := await asyncio.wait_for(waiting.items.get(), until - loop.time())) is not DONE:
                    if isinstance(item, Exception):
                        raise item
                    yield item
            except TimeoutError:
                message = f"the request took longer than {self._seconds:g} s"
                raise APIError(HTTPStatus.GATEWAY_TIMEOUT, "timeout", message, kind="server_error") from None
            finally:
                waiting.left.set()

    def close(self) -> None:
        """Take no more jobs."""
        self.closed = True
        for pool in (self._pool, self._readers):
            pool.shutdown(wait=False, cancel_futures=True)

    def _work(self) -> None:
        """Compute the next job, and what fits beside it."""
        jobs = self._next()
        if not jobs:  # they ran in the batch of another
            return
        started, model = time.monotonic(), jobs[0].model
        try:
            if model is not None:
                give_back_freed_memory()  # such as what the readers took: it is not counted in what is needed
                model.answer([job.question for job in jobs], [job.put for job in jobs])
            else:
                for item in jobs[0].alone():
                    if not jobs[0].put(item):
                        break
        except Exception as error:
            for job in jobs:
                job.put(error)
        with self._lock:
            self._running = []
        for job in jobs:
            job.put(DONE)
        self._recent.append((time.monotonic() - started) / len(jobs))

    def _next(self) -> list[_Job]:
        """The first job that somebody waits for, and those that are computed together with it."""
        with self._lock:
            wanted = [job for job in self._waiting if not job.left.is_set()]
            found, rest = wanted[:1], list[_Job]()
            for job in wanted[1:]:
                model = found[0].model
                questions = [one.question for one in (*found, job)]
                others = [one for one in wanted if one is not job and one not in found]
                together = model is not None and job.model is model and model.fits(questions)
                if together and self._room([*found, job], others):
                    found.append(job)
                else:
                    rest.append(job)
            self._waiting, self._running = deque(rest), found
        return found

    def _admit(self, new: _Job) -> None:
        """Raises `APIError` for a question that does not fit, ever or beside those that wait or run."""
        if not self._room([new], []):
            assert self._memory is not None
            needed = (new.held + new.needs([new])) >> 20
            raise invalid(
                f"the request would take {needed:,} MiB, and {self._memory >> 20:,} may be taken: send fewer "
                "or smaller images, or ask for fewer tokens",
                code="request_too_large",
            )
        waiting = [[job] for job in (new, *self._waiting) if not job.left.is_set()]
        groups = [*waiting, self._running] if self._running else waiting
        for group in groups:
            if not self._room(group, [job for other in groups if other is not group for job in other]):
                raise overloaded(self._patience(), "the requests that wait take the memory")

    def _room(self, batch: Sequence[_Job], beside: Iterable[_Job]) -> bool:
        """Whether the memory suffices for a batch while others wait."""
        held = sum(job.held for job in (*batch, *beside))
        return self._memory is None or held + batch[0].needs(batch) <= self._memory

    def _patience(self) -> int:
        """Seconds until those inside may be answered."""
        return max(1, round(self.inside * sum(self._recent) / len(self._recent)))

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self.closed:
            raise overloaded(10, "the server is ending")
        if self.inside > self._max_waiting:
            raise overloaded(self._patience())
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


class _Job:
    """A job, and where its results go."""

    alone: Callable[[], Iterable[Any]]
    model: AnswersTogether | None = None
    question: Any = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.items: asyncio.Queue[Any] = asyncio.Queue()
        self.left = threading.Event()
        """Whether nobody waits any more."""

    @property
    def held(self) -> int:
        """Bytes that it takes while it waits; what is no question takes none that are counted."""
        return 0 if self.model is None else self.model.held(self.question)

    def needs(self, batch: Sequence[_Job]) -> int:
        """Bytes that its batch takes beside."""
        return 0 if self.model is None else self.model.needs([job.question for job in batch])

    def put(self, item: Any) -> bool:
        """Hand over an item, from any thread; returns whether more is wanted."""
        if not self.left.is_set():
            self._loop.call_soon_threadsafe(self.items.put_nowait, item)
            if getattr(item, "finish", None):  # others of its batch may go on
                self._loop.call_soon_threadsafe(self.items.put_nowait, DONE)
        return not self.left.is_set()
