"""The rooms of the house: imports go strictly downward, and a file holds one idea."""

import ast
from pathlib import Path

import pytest

import showtell

ROOT = Path(showtell.__file__).parent
FLOORS = [
    {"errors"},
    {"collective", "device", "progress", "protocols", "runtime", "version", "wording", "writing"},
    {"nn", "objectives", "data"},
    {"fusion"},
    {"systems"},
    {"checkpoint"},
    {"train", "tasks", "library", "explain", "hub", "html"},
    {"datasets"},
    {"runs", "pipelines"},
    {"recipes", "evaluation", "reports"},
    {"cli", "serve"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
FORBIDDEN_NAMES = {"utils", "helpers", "misc", "base", "manager", "common"}
MODULES = sorted(p for p in ROOT.rglob("*.py") if p.parent != ROOT or p.stem in FLOOR)


def room_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file imports at run time: `if TYPE_CHECKING:` draws no arrow."""
    rooms: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write it from showtell"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms.update(name.split(".")[1] for name in names if name.startswith("showtell."))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return rooms & FLOOR.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downward(path: Path) -> None:
    room = room_of(path)
    assert room in FLOOR, f"{room} is not a room of the house"
    for other in imported_rooms(path) - {room}:
        assert FLOOR[other] < FLOOR[room], f"{path.relative_to(ROOT)}: {room} may not import {other}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_holds_one_idea(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES
    lines = path.read_text().count("\n")
    assert lines <= 250, f"{path.relative_to(ROOT)} has {lines} lines: it hides a second idea"
    if path.name == "__init__.py":
        assert lines <= 1, f"{path.relative_to(ROOT)} re-exports; only the top-level package may"
