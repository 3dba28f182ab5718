import pytest

from support import hostile


@pytest.fixture
def folder(tmp_path):
    """A folder of images: `folder("a.jpg", "images/猫.png")` draws them, each different."""

    def draw(*names: str):
        for seed, name in enumerate(names):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(hostile.encoded(hostile.photograph(seed), "PNG"))
        return tmp_path

    return draw
