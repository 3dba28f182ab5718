"""One job at a time; a full queue refuses at once; who leaves frees the thread."""

import asyncio
import threading
import time

import pytest

from showtell.serve.errors import APIError
from showtell.serve.worker import Worker


def test_jobs_run_one_after_the_other_and_more_than_fit_are_refused() -> None:
    worker, running, most = Worker(max_waiting=3, seconds=30), 0, 0

    def job() -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.05)
        running -= 1
        return 7

    async def ask() -> list:
        return await asyncio.gather(*(worker.run(job) for _ in range(10)), return_exceptions=True)

    found = asyncio.run(ask())
    assert found.count(7) == 4
    refused = [one for one in found if isinstance(one, APIError)]
    assert len(refused) == 6
    assert {one.status for one in refused} == {503}
    assert all(int(one.headers["Retry-After"]) >= 1 for one in refused)
    assert most == 1
    assert worker.inside == 0


def test_what_a_job_raises_is_raised_and_the_next_one_runs() -> None:
    worker = Worker(max_waiting=3, seconds=30)

    def fail() -> None:
        raise ValueError("wrong")

    async def ask() -> int:
        with pytest.raises(ValueError, match="wrong"):
            await worker.run(fail)
        return await worker.run(lambda: 1)

    assert asyncio.run(ask()) == 1


def test_a_job_that_takes_too_long_is_given_up_and_ends() -> None:
    worker, ended = Worker(max_waiting=3, seconds=0.1), threading.Event()

    def slow():
        try:
            for i in range(1000):
                time.sleep(0.01)
                yield i
        finally:
            ended.set()

    async def ask() -> None:
        async for _ in worker.stream(slow):
            pass

    with pytest.raises(APIError) as late:
        asyncio.run(ask())
    assert late.value.status == 504
    assert ended.wait(5)


def test_a_consumer_that_leaves_frees_the_thread() -> None:
    worker, ended = Worker(max_waiting=0, seconds=30), threading.Event()

    def endless():
        try:
            while True:
                time.sleep(0.001)
                yield 1
        finally:
            ended.set()

    async def ask() -> int:
        results = worker.stream(endless)
        await anext(results)
        await results.aclose()
        assert worker.inside == 0
        return await worker.run(lambda: 2)

    assert asyncio.run(ask()) == 2
    assert ended.wait(5)


def test_a_closed_worker_takes_nothing() -> None:
    worker = Worker(max_waiting=3, seconds=30)
    worker.close()
    with pytest.raises(APIError, match="ending"):
        asyncio.run(worker.run(lambda: 1))
