"""A server on a port of this machine, with a captioner, a dual encoder, a language model and a library."""

import base64
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import openai
import pytest
import uvicorn
from PIL import Image

from showtell.pipelines.import_model import import_model
from showtell.pipelines.index import index
from showtell.pipelines.model import load_model
from showtell.pipelines.search import Searcher
from showtell.serve.app import Limits, create_app
from support.chat import TEMPLATE, llama_folder
from support.dual import COLOURS, colour_clip
from support.library import draw

KEY = "a key"


def data_url(colour: str, kind: str = "PNG") -> str:
    content = io.BytesIO()
    Image.new("RGB", (20, 20), COLOURS[colour]).save(content, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"


@contextmanager
def running(app) -> Iterator[str]:
    """The base URL of an application while it is served."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    chat = import_model(str(llama_folder(folder / "llama", "chatml", TEMPLATE)), folder / "chat")["model"]
    colours = colour_clip(folder / "colours")
    return {
        name: load_model(one, "cpu")
        for name, one in (("captioner", None), ("colours", colours), ("chat", chat))
    }


@pytest.fixture(scope="session")
def searcher(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    for name, colour in COLOURS.items():
        draw(folder / "images" / f"{name}.png", colour)
    index(folder / "images", folder / "library", models["colours"])
    return Searcher(folder / "library", models["colours"])


@pytest.fixture(scope="session")
def url(models, searcher):
    limits = Limits(max_body=1 << 20, max_waiting=2, seconds=60)
    with running(create_app(models, searcher, api_key=KEY, limits=limits)) as base:
        yield base


@pytest.fixture(scope="session")
def client(url):
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
