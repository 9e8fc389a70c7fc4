"""The ladder of rooms: which part of sdtools may import which."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GROUND = {"errors", "files", "options"}
MAY_IMPORT = {  # floor by floor; a room also imports itself
    "errors": set(),
    "files": {"errors"},
    "options": {"errors", "files"},
    "features": GROUND,
    "tables": GROUND,
    "audio": GROUND | {"features", "tables"},
    "gmm": GROUND | {"features", "tables"},
    "scoring": GROUND | {"tables"},
    "replay": GROUND | {"features", "tables", "audio"},
    "detect": GROUND | {"features", "tables", "audio", "gmm", "scoring"},
    "report": GROUND | {"features", "tables", "scoring"},
    "cli": GROUND | {"features", "tables", "audio"},
    "bin": GROUND
    | {"features", "tables", "audio", "gmm", "scoring", "replay", "detect", "report", "cli"},
}
OTHERS = {  # packages besides numpy and the standard library
    "features": {"scipy", "numba"},
    "tables": {"kaldiio"},
    "audio": {"soundfile", "av"},
    "gmm": {"numba", "threadpoolctl"},
    "scoring": {"scipy"},
    "replay": {"scipy"},
    "detect": {"scipy"},
    "report": {"matplotlib", "scipy"},
    "cli": {"tqdm", "threadpoolctl"},
    "bin": {"matplotlib"},
}
MODULES = sorted((ROOT / "sdtools").rglob("*.py"))


def room_of(path):
    """The room of a module; nothing for the package itself, which exports from everywhere."""
    parts = path.relative_to(ROOT / "sdtools").with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imported(path):
    """Names of all modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module == "sdtools":
                yield from (f"sdtools.{alias.name}" for alias in node.names)
            else:
                yield node.module


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p)], ids=name)
def test_a_room_imports_only_from_floors_below(path):
    room = room_of(path)
    names = set(imported(path))
    ours = {n.split(".")[1] for n in names if n.startswith("sdtools.")} - {"__version__", room}
    assert ours <= MAY_IMPORT[room]
    others = {n.split(".")[0] for n in names} - sys.stdlib_module_names - {"sdtools", "numpy"}
    assert others <= OTHERS.get(room, set())


def test_the_ladder_has_no_circle():
    """In this order every room only imports what stands before it."""
    known = set()
    for room, below in MAY_IMPORT.items():
        assert below <= known
        known.add(room)
    assert {room_of(path) for path in MODULES} - {""} == known


@pytest.mark.parametrize("path", sorted((ROOT / "local").glob("*.py")), ids=name)
def test_local_does_not_import_a_command(path):
    assert not any(n.startswith("sdtools.bin") for n in imported(path))


def test_utils_is_standard_library_only():
    own = {path.stem for path in (ROOT / "utils").glob("*.py")}
    for path in (ROOT / "utils").glob("*.py"):
        names = {module.partition(".")[0] for module in imported(path)}
        assert names - sys.stdlib_module_names - own == set(), path


def test_every_module_has_its_test():
    modules = [p for p in MODULES if p.stem != "__init__" and room_of(p) != "bin"]
    tests = {path: ROOT / "tests/unit" / path.relative_to(ROOT / "sdtools") for path in modules}
    missing = [name(p) for p, t in tests.items() if not t.with_name(f"test_{t.name}").exists()]
    assert missing == []


def test_modules_are_short():
    """A long module gives its reason in its first lines."""
    too_long = []
    for path in MODULES:
        lines = path.read_text().splitlines()
        limit = 160 if room_of(path) == "bin" else 400
        if len(lines) > limit and "more than 400 lines" not in " ".join(lines[:15]):
            too_long.append(f"{name(path)}: {len(lines)}")
    assert too_long == []
