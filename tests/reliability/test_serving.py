"""A server with more clients than it can serve, and one that is told to end: every request is answered."""

import base64
import io
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import httpx
import pytest
from PIL import Image

pytestmark = pytest.mark.reliability
CLIENTS, WAITING = 50, 16
DRAIN_SECONDS = 10
LEAVING = 40
PATIENCE = 300


def image_url() -> str:
    content = io.BytesIO()
    Image.effect_mandelbrot((256, 256), (-2, -1.5, 1, 1.5), 40).convert("RGB").save(content, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


@contextmanager
def serving() -> Iterator[tuple[subprocess.Popen, str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "showtell", "serve", "--port", str(port), "--max-waiting", str(WAITING)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command) as server:
        try:
            for _ in range(10 * PATIENCE):
                try:
                    httpx.get(f"{url}/health").raise_for_status()
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield server, url
        finally:
            server.kill()


def together(clients: int, url: str, then: Callable[[], object] = lambda: None) -> list[httpx.Response]:
    """Answers to captions asked for at the same moment; `then` happens when all were sent."""
    start, image = Barrier(clients + 1), image_url()

    def ask() -> httpx.Response:
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            client.get("/health")
            start.wait()
            return client.post("/v1/captions", json={"image": image})

    with ThreadPoolExecutor(clients) as threads:
        asked = [threads.submit(ask) for _ in range(clients)]
        start.wait()
        then()
        return [one.result() for one in asked]  # a request that was lost raises here


def test_more_clients_than_fit_are_refused_and_none_is_lost() -> None:
    with serving() as (_, url):
        answers = together(CLIENTS, url)
        served = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert len(served) + len(refused) == CLIENTS
        assert len(served) > WAITING
        assert refused
        assert len({answer.json()["data"][0]["text"] for answer in served}) == 1
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        figures = httpx.get(f"{url}/metrics").text
        assert f'showtell_requests_total{{route="/v1/captions",status="503"}} {len(refused)}.0' in figures
        assert "showtell_jobs 0.0" in figures
        assert together(1, url)[0].status_code == 200
    print(f"{CLIENTS} clients: {len(served)} served, {len(refused)} refused, none lost")


def test_clients_that_leave_in_the_middle_of_an_answer_do_not_end_the_server() -> None:
    content = [{"type": "image_url", "image_url": {"url": image_url()}}]
    body = {"model": "default", "messages": [{"role": "user", "content": content}], "stream": True}
    with serving() as (server, url):
        for _ in range(LEAVING):
            with httpx.Client(timeout=PATIENCE) as client:
                with client.stream("POST", f"{url}/v1/chat/completions", json=body) as response:
                    next(response.iter_lines())
                assert server.poll() is None
        assert together(1, url)[0].status_code == 200


def test_a_server_that_is_told_to_end_answers_what_it_took() -> None:
    with serving() as (server, url):
        together(1, url)

        def end() -> None:
            while "showtell_jobs 3.0" not in httpx.get(f"{url}/metrics").text:
                time.sleep(0.005)
            server.send_signal(signal.SIGTERM)

        asked = time.monotonic()
        answers = together(3, url, end)
        server.wait(DRAIN_SECONDS + 5)
        seconds = time.monotonic() - asked
        assert [answer.status_code for answer in answers] == [200] * 3
        assert server.returncode in (0, -signal.SIGTERM)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/health")
    print(f"told to end during 3 requests: all answered, ended {seconds:.1f} s after they were asked")
