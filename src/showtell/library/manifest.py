"""The manifest of a library: one set of vectors per model that indexed it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from showtell.errors import UserError
from showtell.library.encoder import LibraryEncoder
from showtell.wording import index_command

FORMAT = 2
EMPTY = hashlib.sha256(b"[]").hexdigest()
"""`VectorSet.images` of no images."""
UNFINISHED = "unfinished"
"""`VectorSet.images` of a set whose first indexing has not ended."""


@dataclass(frozen=True)
class VectorSet:
    """The vectors of one model, in a table of their own."""

    table: str
    model: str
    """SHA-256 of the parameters."""
    preprocessing: str
    name: str
    """A readable name of the model."""
    captioned: bool
    """Whether the model also captioned the images."""
    images: str = ""
    """Digest of the images and the person's captions, equal in sets of equal images; empty if unknown."""

    @property
    def empty(self) -> bool:
        """Whether no image was ever stored, so that there need be no table."""
        return self.images == EMPTY


@dataclass(frozen=True)
class Manifest:
    """The sets, the one indexed last at the end. A set is updated only when its own model indexes."""

    sets: tuple[VectorSet, ...] = ()

    def of(self, encoder: LibraryEncoder) -> VectorSet | None:
        """The set of a model with its present preprocessing."""
        maker = (encoder.hash, encoder.preprocessing)
        return next((known for known in self.sets if (known.model, known.preprocessing) == maker), None)

    def having(self, newest: VectorSet) -> Manifest:
        """A manifest with a new set in place of the same model's."""
        return Manifest((*(known for known in self.sets if known.model != newest.model), newest))

    def with_table(self, target: VectorSet) -> Manifest:
        """A manifest that no longer says that a set is empty; one without the set does not change."""
        changed = (
            replace(known, images=UNFINISHED) if known.table == target.table else known for known in self.sets
        )
        return Manifest(tuple(changed))

    def ahead_of(self, chosen: VectorSet) -> str | None:
        """The name of the set indexed last, if it holds other images than `chosen`."""
        last = self.sets[-1]
        known = last.images and chosen.images
        return last.name if known and last.images != chosen.images else None

    def to_json(self) -> str:
        """The text of `library.json`."""
        return json.dumps({"format": FORMAT, "sets": [asdict(known) for known in self.sets]}, indent=1)

    @classmethod
    def from_json(cls, text: str, folder: Path) -> Manifest:
        """Raises `ValueError`, `KeyError` or `TypeError` for damage, `UserError` for a newer format."""
        read: dict[str, Any] = json.loads(text)
        if read["format"] > FORMAT:
            raise UserError(f"{folder} was made by a newer version of showtell; update showtell")
        if read["format"] == 1:  # a single unnamed set of a captioner
            maker = {key: read[key] for key in ("table", "model", "preprocessing")}
            return cls((VectorSet(**maker, name=read["model"][:12], captioned=True),))
        sets = tuple(VectorSet(**known) for known in read["sets"])
        if not sets or not all(isinstance(known.table, str) for known in sets):
            raise ValueError("it names no vectors")
        return cls(sets)


def choose(folder: Path, manifest: Manifest, encoder: LibraryEncoder | None, captioned: bool) -> VectorSet:
    """The encoder's set; without an encoder, the set indexed last, with captions if `captioned` and possible.

    Raises `UserError` if the encoder has no set, naming those that there are and how to add one.
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
        f"{folder} has no vectors of {encoder.name} ({encoder.preprocessing}), only of {there}; use one of "
        "those models, or index the images with this one: " + index_command(folder, "MODEL")
    )
