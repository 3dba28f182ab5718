"""`showtell serve` as a process: it answers, and SIGTERM ends it when the answers are written."""

import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from showtell.cli.main import run
from showtell.cli.verbs.serve import _listen, _listening
from showtell.errors import UserError


def test_other_machines_are_let_in_with_a_key_alone(capsys) -> None:
    assert run(["serve", "--host", "0.0.0.0"]) == 2
    assert "--api-key" in capsys.readouterr().err


def test_two_models_have_two_names(tmp_path, capsys) -> None:
    assert run(["serve", "-m", "a=x", "-m", "a=y"]) == 2
    assert "two models have one name" in capsys.readouterr().err


def test_tokens_of_an_image_are_limited_for_a_model_that_makes_them(capsys) -> None:
    assert run(["serve", "--max-image-tokens", "256"]) == 2
    assert "--max-image-tokens is of a Qwen-VL, and no --model is one" in capsys.readouterr().err


def test_what_is_missing_is_said_with_the_command(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run(["serve"]) == 4
    assert "pip install 'showtell[serve]'" in capsys.readouterr().err


def test_an_address_that_is_taken_is_said_before_models_are_loaded(capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run(["serve", "--port", port, "-m", "no such model"]) == 1
    said = capsys.readouterr().err
    assert f"port {port}" in said
    assert "choose another --port" in said
    assert "serving" not in said
    assert run(["serve", "--host", "no.such.host.invalid", "--api-key", "k", "-m", "no such model"]) == 1
    assert "no.such.host.invalid" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="others do not let two sockets bind to one address")
def test_of_two_servers_that_began_together_one_is_refused() -> None:
    first = _listening("127.0.0.1", 0)
    port = first.getsockname()[1]
    second = _listening("127.0.0.1", port)
    with first, second:
        _listen(first, "127.0.0.1", port)
        with pytest.raises(UserError, match=f"port {port}.*choose another --port"):
            _listen(second, "127.0.0.1", port)


def test_a_folder_that_is_no_library_is_said_before_models_are_loaded(tmp_path, capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    assert run(["serve", "--port", port, "-m", "no such model", "-l", str(tmp_path / "none")]) == 1
    assert "there is no library" in capsys.readouterr().err


def test_an_engine_that_does_not_answer_is_said_before_anything_is_loaded(capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    engine = "http://127.0.0.1:9/v1"
    assert run(["serve", "--port", port, "--engine", engine, "-m", "no such model"]) == 1
    said = capsys.readouterr().err
    assert f"no engine answers at {engine}" in said
    assert "loading" not in said


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="without the signal nothing can end by it")
def test_a_client_that_leaves_ends_its_answer_and_not_the_server(monkeypatch) -> None:
    """A pipe that closes ends other verbs; a connection is one to the system."""
    found = []
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: found.append(signal.getsignal(signal.SIGPIPE)))
    monkeypatch.setattr("showtell.serve.upstream.find_models", lambda *_: ["chat"])
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        assert run(["serve", "--port", port, "--engine", "http://127.0.0.1:9/v1"]) == 0
    finally:
        signal.signal(signal.SIGPIPE, before)
    assert found == [signal.SIG_IGN]


@pytest.mark.slow
def test_a_served_model_answers_until_the_signal(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "showtell", "serve", "-m", "words=default", "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as served:
        for _ in range(600):
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/health").json()["status"] == "ok"
                break
            except httpx.TransportError:
                time.sleep(0.2)
        listed = httpx.get(f"http://127.0.0.1:{port}/v1/models").json()["data"]
        served.send_signal(signal.SIGTERM)
        out, said = served.communicate(timeout=60)
    assert [one["id"] for one in listed] == ["words"]
    assert f"serving words at http://127.0.0.1:{port}/v1" in said
    assert out == ""
    assert served.returncode in (0, -signal.SIGTERM)
