"""No request makes the service connect anywhere, start a program, or read a file that it was not given.

Python's audit events tell every connection, look-up of a name, program and opened file, whoever causes it.
"""

import base64
import itertools
import sys
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from serve.conftest import data_url
from showtell.pipelines.index import index
from showtell.pipelines.search import Searcher
from showtell.serve.app import create_app
from showtell.serve.upstream import Upstream
from support.library import draw

SECRET = "the secret of this machine"
WATCHED = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "os.system"}
HOSTS = [
    "127.0.0.1", "localhost", "[::1]", "0.0.0.0", "0", "127.1", "2130706433", "0x7f000001", "017700000001",
    "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[fec0::1]", "[64:ff9b::7f00:1]", "169.254.169.254", "10.0.0.1",
    "192.0.2.1", "metadata.google.internal", "user@127.0.0.1", "example.org@127.0.0.1", "127.0.0.1.nip.io",
    "１２７.0.0.1", "localhost.", "example.org", "example.org#@127.0.0.1",
]  # fmt: skip
OTHERS = [
    "file://{secret}", "file://localhost{secret}", "FILE://{secret}", "file:{secret}", "{secret}",
    "../../../..{secret}", "ftp://127.0.0.1/a.png", "gopher://127.0.0.1/_", "jar:file://{secret}!/a",
    "blob:http://127.0.0.1/1", "//127.0.0.1/a.png", "\\\\127.0.0.1\\share\\a.png",
    "http:\\\\127.0.0.1\\a.png", " http://127.0.0.1/", "ht\ttp://127.0.0.1/", "javascript:1", "",
    "data:text/html;base64,AAAA", "data:,{secret}", "data:image/png,{secret}",
    "data:image/png;base64,{secret}", "http://127.0.0.1/?data:image/png;base64,AAAA",
]  # fmt: skip
CONTENTS = [
    b"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://127.0.0.1/'/></svg>",
    b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><svg>&b;</svg>",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/URI/URI(http://127.0.0.1/)>>>>endobj",
    b"push graphic-context\nimage over 0,0 0,0 'http://127.0.0.1/'\n",
]
IDS = [
    "{secret}", "..{secret}", "../../../../../..{secret}", "images/../..{secret}",
    "%2e%2e%2f%2e%2e{secret}", "..%2f..%2f", "\0", "%00", "a\0.png", "~root", "..\\..\\", "....//....//",
    ".", "..", "*", "' OR 1=1 --", 'x" OR "1"="1', "hash IS NOT NULL", "%' OR hash LIKE '%",
    "{secret}\0.png", "con", "a" * 5000, "中文", "图片/../..", "con:", "green.png", "http://127.0.0.1/",
]  # fmt: skip


@pytest.fixture(scope="module")
def there(models, tmp_path_factory):
    """A client of the application, and the path of a file beside the library."""
    folder = tmp_path_factory.mktemp("reach")
    secret = folder / "secret.txt"
    secret.write_text(SECRET)
    draw(folder / "images" / "green.png", "green")
    index(folder / "images", folder / "library", models["colours"])
    searcher = Searcher(folder / "library", models["colours"])
    upstream = Upstream("http://127.0.0.1:9/v1", ["engine"], seconds=5)
    app = create_app(models, searcher, upstream=upstream, local=False)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client, str(secret)


seen: list[tuple[str, str]] = []
watching = False


def watch(event: str, details: tuple) -> None:
    if watching and (
        event in WATCHED or (event == "open" and "secret" in str(details[0])) or "passwd" in str(details)
    ):
        seen.append((event, str(details)))


sys.addaudithook(watch)


@contextmanager
def nothing_reached():
    global watching
    seen.clear()
    watching = True
    try:
        yield
    finally:
        watching = False
    assert seen == []


def asked(secret: str):
    """Requests: method, path, body."""
    urls = [f"http://{host}/a.png" for host in HOSTS] + [f"https://{HOSTS[0]}:22/"]
    urls += [one.format(secret=secret) for one in OTHERS]
    urls += [f"data:image/png;base64,{base64.b64encode(content).decode()}" for content in CONTENTS]
    for url, model in itertools.product(urls, ("captioner", "engine")):
        content = [{"type": "image_url", "image_url": {"url": url}}]
        body = {"model": model, "messages": [{"role": "user", "content": content}]}
        yield "POST", "/v1/chat/completions", body
    for url in urls:
        yield "POST", "/v1/captions", {"image": url}
        yield "POST", "/v1/similar", {"image": url}
    for one in (each.format(secret=secret) for each in IDS):
        yield "POST", "/v1/similar", {"id": one}
        in_path = quote(one, safe="%/").replace(".", "%2E")  # a client would resolve dots itself
        for route in ("/v1/images", "/v1/models", ""):
            yield "GET", f"{route}/{in_path}", None


def test_nothing_is_reached(there) -> None:
    client, secret = there
    requests = list(asked(secret))
    assert len(requests) >= 260
    with nothing_reached():
        for method, path, body in requests:
            answer = client.request(method, path, json=body, follow_redirects=False)
            assert 400 <= answer.status_code < 500, (path, body, answer.text)
            assert answer.json()["error"]["code"], (path, body)
            assert SECRET not in answer.text
            assert "root:x:0" not in answer.text


def test_a_text_that_is_a_url_is_embedded_as_a_text(there) -> None:
    client, _ = there
    with nothing_reached():
        answer = client.post("/v1/embeddings", json={"model": "colours", "input": "//0"})
    assert answer.status_code == 200


def test_the_watch_sees_a_connection_a_program_and_a_file(there) -> None:
    client, secret = there
    body = {"model": "engine", "messages": [{"role": "user", "content": "asked at its own address"}]}
    with pytest.raises(AssertionError, match=r"socket.connect"), nothing_reached():
        client.post("/v1/chat/completions", json=body)
    with pytest.raises(AssertionError, match="open"), nothing_reached(), open(secret):  # noqa: PTH123
        pass
    assert (
        client.post("/v1/similar", json={"image": data_url("green")}).json()["data"][0]["name"] == "green.png"
    )
