"""Settings of every test: nothing reaches for the network, real data is found or skipped."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets kept beside the clone (or at SHOWTELL_DATA); tests that need them skip without."""
    folder = Path(os.environ.get("SHOWTELL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"no data sets at {folder}; set SHOWTELL_DATA to the folder that holds flickr8k/ and photos/"
        )
    return folder
