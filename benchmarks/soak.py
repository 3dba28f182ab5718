"""A server under mixed requests for a long time: whether its memory grows.

`showtell serve` gets captions of photographs of changing sizes, chats of them, whole and as streams that are
left after the first event, vectors, documents, searches where a library is given, figures, and requests that
it refuses, a few clients at a time. Memory is the resident set of its process, read from /proc (Linux),
compared between a tenth of the time and the end.

    python benchmarks/soak.py [--minutes 30] [--clients 3] [--library FOLDER]
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
from PIL import Image, ImageDraw

from server import serving
from table import command

KINDS = ["caption", "chat", "stream left", "embedding", "document", "figures"]
REFUSED = ["wrong image", "wrong body", "no model"]
IN_LIBRARY = ["search", "similar"]
QUERIES = ["a dog", "two children on a beach", "a man in a red shirt", "a street at night"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--library", help="a library that the shipped models indexed")
    arguments = parser.parse_args()

    command()
    options = ["--library", arguments.library] if arguments.library else []
    kinds = [*KINDS, *REFUSED, *(IN_LIBRARY if options else ())]
    with serving(*options) as (server, url):
        statuses, memory = soak(url, server.pid, 60 * arguments.minutes, arguments.clients, kinds)
    first, last = memory[len(memory) // 10], memory[-1]
    print(f"{arguments.minutes:g} minutes, {sum(statuses.values())} requests of {len(kinds)} kinds")
    for (kind, status), count in sorted(statuses.items()):
        print(f"  {kind}: {count} x {status}")
    print(f"memory after a tenth {first:.0f} MiB, most {max(memory):.0f}, at the end {last:.0f}")
    print(f"growth {100 * (last / first - 1):+.1f} %")


def soak(
    url: str, pid: int, seconds: float, clients: int, kinds: list[str]
) -> tuple[Counter[tuple[str, int]], list[float]]:
    """How many answers of each kind had each status, and the server's MiB, second by second."""
    until = time.monotonic() + seconds
    statuses: Counter[tuple[str, int]] = Counter()
    memory: list[float] = []

    def ask(seed: int) -> None:
        chance = random.Random(seed)
        with httpx.Client(base_url=url, timeout=200) as client:
            while time.monotonic() < until:
                kind = chance.choice(kinds)
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
        case "document":
            return client.post("/v1/documents", json={"image": receipt(chance)}).status_code
        case "search":
            body = {"query": chance.choice(QUERIES), "top": chance.randint(1, 50)}
            return client.post("/v1/search", json=body).status_code
        case "similar":
            return client.post("/v1/similar", json={"image": photograph(chance)}).status_code
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
    return as_url(Image.frombytes("RGB", (16, 16), chance.randbytes(768)).resize(size))


def receipt(chance: random.Random) -> str:
    """A printed receipt of a few lines as a `data:` URL."""
    count = chance.randint(3, 9)
    lines = ["CORNER SHOP", *(f"ITEM {i}   {chance.uniform(1, 99):.2f}" for i in range(count)), "TOTAL 99.00"]
    image = Image.new("RGB", (chance.randint(300, 500), 40 * len(lines) + 40), "white")
    for i, line in enumerate(lines):
        ImageDraw.Draw(image).text((20, 20 + 40 * i), line, "black", font_size=24)
    return as_url(image)


def as_url(image: Image.Image) -> str:
    """An image as a `data:` URL."""
    content = io.BytesIO()
    image.save(content, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def resident(pid: int) -> float:
    """The resident set of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
