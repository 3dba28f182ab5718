"""Sample photographs that installed packages carry."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from showtell.errors import UserError

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
    """The photographs of scikit-image and scikit-learn that are on this machine, without the network.

    Raises `UserError` if there are none.
    """
    found = []
    for package, (folder, names) in _PHOTOGRAPHS.items():
        spec = find_spec(package)  # does not import it
        for root in (spec.submodule_search_locations or ()) if spec else ():
            found += [path for name in names.split() if (path := Path(root, folder, name)).is_file()]
    if not found:
        raise UserError("no sample photographs: install scikit-image, or name a folder of your own images")
    return found
