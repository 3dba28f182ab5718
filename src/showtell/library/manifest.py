"""What a library says it holds: the vectors of each model that indexed it, a set a model, side by side."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from showtell.errors import UserError
from showtell.library.encoder import LibraryEncoder

FORMAT = 2


@dataclass(frozen=True)
class VectorSet:
    """What one model made of the images, in a table of its own."""

    table: str
    model: str
    """Hash of the weights."""
    preprocessing: str
    name: str
    """Of the model, for people."""
    captioned: bool
    """Whether the model put images into words, too."""
    images: str = ""
    """Digest of the images and the person's captions; equal in sets that are in step. Empty: not known."""


@dataclass(frozen=True)
class Manifest:
    """The sets, the one indexed last at the end. Sets follow the folders each when its own model indexes."""

    sets: tuple[VectorSet, ...] = ()

    def of(self, encoder: LibraryEncoder) -> VectorSet | None:
        """The set with a model's vectors, prepared as it prepares them."""
        maker = (encoder.hash, encoder.preprocessing)
        return next((known for known in self.sets if (known.model, known.preprocessing) == maker), None)

    def having(self, newest: VectorSet) -> Manifest:
        """The same with a set in place of its model's former one."""
        return Manifest((*(known for known in self.sets if known.model != newest.model), newest))

    def ahead_of(self, chosen: VectorSet) -> str | None:
        """Name of the set indexed last, where that holds other images than `chosen`."""
        last = self.sets[-1]
        known = last.images and chosen.images
        return last.name if known and last.images != chosen.images else None

    def to_json(self) -> str:
        """What `from_json` reads."""
        return json.dumps({"format": FORMAT, "sets": [asdict(known) for known in self.sets]}, indent=1)

    @classmethod
    def from_json(cls, text: str, folder: Path) -> Manifest:
        """Raises `ValueError`, `KeyError` or `TypeError` for damage, `UserError` for a newer format."""
        read: dict[str, Any] = json.loads(text)
        if read["format"] > FORMAT:
            raise UserError(f"{folder} was made by a newer showtell; update this one")
        if read["format"] == 1:  # one set, which then had no name, and was a captioner's
            maker = {key: read[key] for key in ("table", "model", "preprocessing")}
            return cls((VectorSet(**maker, name=read["model"][:12], captioned=True),))
        return cls(tuple(VectorSet(**known) for known in read["sets"]))


def choose(folder: Path, manifest: Manifest, encoder: LibraryEncoder | None, captioned: bool) -> VectorSet:
    """The encoder's set; without one, the set indexed last, of the captioned ones if `captioned`.

    Raises `UserError` for an encoder that made none: it names those that did, and how to add one.
    """
    if not manifest.sets:
        raise UserError(f"{folder} is not a library")
    if encoder is None:
        written = [known for known in manifest.sets if known.captioned and captioned]
        return (written or manifest.sets)[-1]
    if found := manifest.of(encoder):
        return found
    there = ", ".join(f"{known.name} ({known.preprocessing})" for known in manifest.sets)
    raise UserError(
        f"{folder} has no vectors of {encoder.name} ({encoder.preprocessing}), but of {there}; ask with one "
        "of those, or add the vectors of this one: index the images with it, "
        f"showtell index FOLDER --library {shlex.quote(str(folder))}"
    )
