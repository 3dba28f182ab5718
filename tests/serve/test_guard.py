"""Without a key, only this machine's own programs and pages are answered."""

import httpx
import pytest

from serve.conftest import running
from showtell.serve.app import create_app


@pytest.fixture(scope="module")
def open_url(models):
    with running(create_app(models)) as base:
        yield base


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:1"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "[broken"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_hosts_and_origins(open_url, headers, status) -> None:
    answer = httpx.get(f"{open_url}/v1/models", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] in ("bad_host", "bad_origin")


def test_a_page_of_the_server_itself_is_answered(open_url) -> None:
    assert httpx.get(f"{open_url}/v1/models", headers={"Origin": open_url}).status_code == 200


def test_without_a_library_there_is_nothing_to_search(open_url) -> None:
    answer = httpx.post(f"{open_url}/v1/search", json={"query": "a dog"})
    assert answer.status_code == 404
    assert "--library" in answer.json()["error"]["message"]
