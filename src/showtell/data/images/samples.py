"""Sample photographs that packages carry, for the demo."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from showtell.errors import MissingError

# Photographs only, not the diagrams, masks and scans beside them.
_PHOTOGRAPHS = {
    "skimage": (
        "data",
        "astronaut.png brick.png camera.png chelsea.png clock_motion.png coffee.png coins.png grass.png "
        "gravel.png hubble_deep_field.jpg moon.png motorcycle_left.png rocket.jpg",
    ),
    "sklearn": ("datasets/images", "china.jpg flower.jpg"),
}


def sample_photographs() -> list[Path]:
    """The photographs of scikit-image and scikit-learn, without the network.

    Raises `MissingError` without scikit-image, which has all but two.
    """
    if not find_spec("skimage"):
        raise MissingError(
            "the sample photographs lie in scikit-image, which is not installed: "
            "pip install 'showtell[demo]'; or name a folder of your own images"
        )
    found = []
    for package, (folder, names) in _PHOTOGRAPHS.items():
        spec = find_spec(package)  # does not import it
        for root in (spec.submodule_search_locations or ()) if spec else ():
            found += [path for name in names.split() if (path := Path(root, folder, name)).is_file()]
    return found
