"""A server that is asked more than it can do: what is refused, how fast, and whether anything is lost.

So many clients ask `showtell serve` for a caption at the same moment, in rounds. In the last round, of two
requests, the server is told to end while it computes.

    python benchmarks/serving.py [--clients 50] [--waiting 16] [--rounds 5]
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import signal
import statistics
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection

from PIL import Image

from server import serving
from table import command


@dataclass(frozen=True)
class Answered:
    """One request's answer."""

    status: int
    seconds: float
    retry_after: bool


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--waiting", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    command()
    with serving("--max-waiting", str(arguments.waiting)) as (server, url):
        found = [one for _ in range(arguments.rounds) for one in Requests(url, arguments.clients).answers()]
        last = Requests(url, 2)
        time.sleep(0.1)
        ended = time.monotonic()
        server.send_signal(signal.SIGTERM)
        found += last.answers()
        server.wait()
        ended = time.monotonic() - ended

    asked = arguments.rounds * arguments.clients + 2
    statuses = Counter(one.status for one in found)
    print(f"asked {asked}: {', '.join(f'{n} x {status}' for status, n in sorted(statuses.items()))}")
    refused = sorted(one.seconds for one in found if one.status == 503)
    if refused:
        late = refused[min(len(refused) - 1, round(0.99 * len(refused)))]
        print(f"refused in {1000 * statistics.median(refused):.0f} ms, 99 of 100 in {1000 * late:.0f} ms")
        print(f"all with Retry-After: {all(one.retry_after for one in found if one.status == 503)}")
    print(f"told to end during two requests, both answered: {ended:.1f} s")


class Requests:
    """Requests that begin together, in threads."""

    def __init__(self, url: str, clients: int) -> None:
        content = io.BytesIO()
        Image.effect_mandelbrot((256, 256), (-2, -1.5, 1, 1.5), 40).convert("RGB").save(content, "JPEG")
        image = f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
        self._body = json.dumps({"image": image})
        self._address, self._found = url.removeprefix("http://"), list[Answered]()
        self._together = threading.Barrier(clients + 1)
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()
        self._together.wait()

    def _ask(self) -> None:
        # Of the standard library: fifty threads of a richer client would measure themselves.
        with closing(HTTPConnection(self._address, timeout=200)) as client:
            client.request("GET", "/health")  # the connection is there before the clock starts
            client.getresponse().read()
            self._together.wait()
            started = time.monotonic()
            client.request("POST", "/v1/captions", self._body, {"Content-Type": "application/json"})
            answer = client.getresponse()
            seconds = time.monotonic() - started
            self._found.append(Answered(answer.status, seconds, "retry-after" in answer.headers))
            answer.read()

    def answers(self) -> list[Answered]:
        """All answers; a request that was lost raises in its thread, and is missing here."""
        for thread in self._threads:
            thread.join()
        return self._found


if __name__ == "__main__":
    main()
