"""The structure of the package: imports go downward, a file holds one idea, library code is silent."""

import ast
import re
from pathlib import Path

import pytest

import showtell

ROOT = Path(showtell.__file__).parent
FLOORS = [
    {"errors"},
    {"collective", "device", "pairing", "progress", "protocols", "runtime", "version", "wording", "writing"},
    {"nn", "objectives", "data"},
    {"fusion"},
    {"systems"},
    {"checkpoint"},
    {"train", "tasks", "library", "explain", "hub", "html"},
    {"datasets"},
    {"runs", "pipelines"},
    {"recipes", "evaluation", "reports"},
    {"serve"},
    {"cli"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
FORBIDDEN_NAMES = {"utils", "helpers", "misc", "base", "manager", "common"}
MODULES = sorted(p for p in ROOT.rglob("*.py") if p.parent != ROOT or p.stem in FLOOR)
TREES = {path: ast.parse(path.read_text()) for path in MODULES}
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))

DIALECT = {
    "picture": "image",
    "bends?": "activation",
    "rivals?": "negative",
    "hidden (word|token|patch)": "masked token, masked patch",
    "nats an?": "nats per ...",
    "kept apart": "held out",
    "guess(es|ed)?": "predict",
    "dear(er|est)": "more, most expensive",
    "(learns?|learned|learnt) from": "train on",
    "(choose|chosen|chooses) by": "validation",
    "measured? (on|by)|measures on": "test, held out",
    "mend(s|ed|ing)?": "fix, repair",
    "put(s|ting)? .* into words": "caption",
    "surprise": "negative log-likelihood, perplexity",
    "likeliest": "most likely",
    "strangers?": "others",
    "be it": "whether ... or",
    "(vector|row|token|text|image|word|caption|class|folder|entry|number|head|layer|step) an? "
    "(image|text|row|token|word|step|class|folder|item|query|document|line|model|patch|pixel|batch)": "per",
}
"""Words that are not the field's, and what to write instead."""
EXCEPTIONS = {
    "cli/main.py": {"picture"},  # the motto
    "data/captions/tables.py": {"picture"},  # the name of a column in people's files
}
"""Files that need such a word, as regular expressions of `DIALECT`."""


def room_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def runtime_nodes(node: ast.AST):
    """All nodes that run: `if TYPE_CHECKING:` does not."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from runtime_nodes(child)


def imported(path: Path) -> set[str]:
    """The names that a file imports from this package at run time, such as `data.batch.Batch`."""
    names = []
    for node in runtime_nodes(TREES[path]):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import; write it from showtell"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {name.removeprefix("showtell.") for name in names if name.startswith("showtell.")}


@each_module
def test_imports_go_downward(path: Path) -> None:
    room = room_of(path)
    assert room in FLOOR, f"{room} is not a room"
    for other in {name.split(".")[0] for name in imported(path)} & FLOOR.keys() - {room}:
        assert FLOOR[other] < FLOOR[room], f"{path.relative_to(ROOT)}: {room} may not import {other}"


def unit_of(name: str) -> str:
    """A room's folder or file, such as `nn.backbones` or `nn.attention`; the room for the folder alone."""
    parts = name.split(".")
    is_package = (ROOT / Path(*parts)).is_dir()  # imported to list its modules: no arrow
    return parts[0] if is_package or len(parts) < 2 else ".".join(parts[:2])


def test_folders_of_a_room_do_not_import_each_other_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for path in MODULES:
        own = unit_of(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
        others = {unit_of(name) for name in imported(path) if name.split(".")[0] == room_of(path)}
        arrows.setdefault(own, set()).update(others - {own, room_of(path)})
    while ends := {
        unit
        for unit, others in arrows.items()
        if not others & arrows.keys() or not any(unit in others for others in arrows.values())
    }:
        arrows = {unit: others for unit, others in arrows.items() if unit not in ends}
    assert not arrows, f"these import each other in a circle: {arrows}"


def test_no_file_has_the_name_of_another_room() -> None:
    """A name has one meaning: a folder or file inside a room is not called as another room is."""
    rooms = {room for room in FLOOR if (ROOT / room).is_dir()}
    inside = {p.stem: p for p in ROOT.rglob("*") if p.parent != ROOT and ROOT / "cli" not in p.parents}
    assert {name: str(inside[name].relative_to(ROOT)) for name in rooms & inside.keys()} == {}


@each_module
def test_a_file_holds_one_idea(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES
    lines = path.read_text().count("\n")
    assert lines <= 250, f"{path.relative_to(ROOT)} has {lines} lines: it hides a second idea"
    if path.name == "__init__.py":
        assert not [n for n in ast.walk(TREES[path]) if isinstance(n, ast.Import | ast.ImportFrom)], (
            f"{path.relative_to(ROOT)} re-exports; only the top-level package may"
        )


@each_module
def test_library_code_is_silent_and_has_no_side_effects(path: Path) -> None:
    """Only `cli` prints; importing a module defines things and does nothing else."""
    relative = path.relative_to(ROOT)
    if room_of(path) not in ("cli", "serve"):
        for node in ast.walk(TREES[path]):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("print", "sys.stderr.write", "sys.stdout.write"), (
                f"{relative}:{node.lineno}: prints; log, or report progress"
            )
    for node in TREES[path].body if room_of(path) not in ("cli", "serve") else ():
        if isinstance(node, ast.Expr):  # a docstring; a call would be done for its effect
            assert isinstance(node.value, ast.Constant), f"{relative}:{node.lineno}: an effect of importing"
        assert not isinstance(node, ast.For | ast.While | ast.With | ast.Delete), (
            f"{relative}:{node.lineno}: a statement that runs when imported"
        )


@each_module
def test_the_words_are_the_fields(path: Path) -> None:
    relative = str(path.relative_to(ROOT))
    found = []
    for number, line in enumerate(path.read_text().split("\n"), 1):
        for word, instead in DIALECT.items():
            match = re.search(rf"\b(?:{word})\b", line, re.IGNORECASE)
            if match and word not in EXCEPTIONS.get(relative, ()):
                found.append(f"{relative}:{number}: {match[0]!r}: write {instead}: {line.strip()}")
    assert not found, "\n" + "\n".join(found)
