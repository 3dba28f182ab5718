"""A server under mixed requests for a long time: whether its memory grows.

`showtell serve` gets captions of photographs of changing sizes, chats of them, whole and as streams that are
left after the first event, vectors, figures, and requests that it refuses, a few clients at a time. Memory is
the resident set of its process, read from /proc (Linux), compared between a tenth of the time and the end.

    python benchmarks/soak.py [--minutes 30] [--clients 3]
"""

from __future__ import annotations

import argparse
import base64
import io
import random
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
from PIL import Image

from server import serving
from table import command

KINDS = ["caption", "chat", "stream left", "embedding", "figures", "wrong image", "wrong body", "no model"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=3)
    arguments = parser.parse_args()

    command()
    with serving() as (server, url):
        statuses, memory = soak(url, server.pid, 60 * arguments.minutes, arguments.clients)
    first, last = memory[len(memory) // 10], memory[-1]
    print(f"{arguments.minutes:g} minutes, {sum(statuses.values())} requests of {len(KINDS)} kinds")
    for (kind, status), count in sorted(statuses.items()):
        print(f"  {kind}: {count} x {status}")
    print(f"memory after a tenth {first:.0f} MiB, most {max(memory):.0f}, at the end {last:.0f}")
    print(f"growth {100 * (last / first - 1):+.1f} %")


def soak(url: str, pid: int, seconds: float, clients: int) -> tuple[Counter[tuple[str, int]], list[float]]:
    """How many answers of each kind had each status, and the server's MiB, second by second."""
    until = time.monotonic() + seconds
    statuses: Counter[tuple[str, int]] = Counter()
    memory: list[float] = []

    def ask(seed: int) -> None:
        chance = random.Random(seed)
        with httpx.Client(base_url=url, timeout=200) as client:
            while time.monotonic() < until:
                kind = chance.choice(KINDS)
                statuses[kind, status_of(client, kind, chance)] += 1

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    while time.monotonic() < until:
        memory.append(resident(pid))
        time.sleep(1)
    for thread in threads:
        thread.join()
    return statuses, [*memory, resident(pid)]


def status_of(client: httpx.Client, kind: str, chance: random.Random) -> int:
    """One request of a kind."""
    content = [{"type": "image_url", "image_url": {"url": photograph(chance)}}]
    chat = {"model": "default", "messages": [{"role": "user", "content": content}]}
    match kind:
        case "caption":
            return client.post("/v1/captions", json={"image": photograph(chance), "num": 3}).status_code
        case "chat":
            return client.post("/v1/chat/completions", json=chat).status_code
        case "stream left":
            with client.stream("POST", "/v1/chat/completions", json=chat | {"stream": True}) as response:
                next(response.iter_lines())
                return response.status_code
        case "embedding":
            body = {"model": "default", "input": [photograph(chance), photograph(chance)]}
            return client.post("/v1/embeddings", json=body).status_code
        case "figures":
            return client.get("/metrics").status_code
        case "wrong image":
            wrong = photograph(chance)[:-40]
            return client.post("/v1/captions", json={"image": wrong}).status_code
        case "wrong body":
            body = b"[" * chance.randint(1, 200_000)
            return client.post(
                "/v1/search", content=body, headers={"Content-Type": "application/json"}
            ).status_code
        case _:
            return client.post("/v1/chat/completions", json=chat | {"model": "none"}).status_code


def photograph(chance: random.Random) -> str:
    """Noise of a random size as a `data:` URL."""
    size = chance.randint(64, 900), chance.randint(64, 900)
    content = io.BytesIO()
    Image.frombytes("RGB", (16, 16), chance.randbytes(768)).resize(size).save(content, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def resident(pid: int) -> float:
    """The resident set of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
