"""The GGUF file of a package, read once."""

import pytest

from showtell.errors import MissingError
from showtell.hub.catalogue import package_path
from showtell.hub.gguf import read_gguf


@pytest.fixture(scope="session")
def smollm2():
    try:
        path = package_path("SmolLM2-135M-Instruct")
    except MissingError as error:
        pytest.skip(str(error))
    return path, read_gguf(path)
