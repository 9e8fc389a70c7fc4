"""The order of imports that CONTRIBUTING.md states: who may know whom."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MATHS = {"compression", "filterbank", "differentiation", "envelope", "postprocess", "subbands", "gmm", "metrics", "fusion", "replay"}
MATHS |= {"triangular", "cqcc", "fdlp", "modulation", "gmm_kernels", "tandem", "intervals", "quality"}
FILES = {"streams", "objects", "specifiers", "tables", "audio", "scores", "gmm_io", "summary"}


def imports(path):
    """Top-level names of everything that a file imports, our modules as sdtools.X."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"sdtools.{alias.name}" for alias in node.names} if node.module == "sdtools" else {node.module}
    return {".".join(name.split(".")[:2]) if name.startswith("sdtools") else name.split(".")[0] for name in names}


def modules(folder):
    return sorted(path for path in (ROOT / folder).glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("path", modules("sdtools"), ids=lambda p: p.stem)
def test_module_imports_only_what_its_layer_may(path):
    ours = {name.removeprefix("sdtools.") for name in imports(path) if name.startswith("sdtools.")} - {"__version__"}
    others = imports(path) - sys.stdlib_module_names - {f"sdtools.{name}" for name in ours} - {"sdtools.__version__"}
    if path.stem in MATHS:
        assert ours <= MATHS
        assert others <= {"numpy", "scipy", "numba", "joblib", "threadpoolctl"}
        assert "numba" not in others or path.stem in ("subbands", "gmm_kernels")
    elif path.stem in FILES:
        assert ours <= FILES | MATHS
    elif path.stem == "plots":
        assert ours <= MATHS and others == {"numpy", "matplotlib"}
    elif path.stem == "report":
        assert ours <= MATHS | {"plots", "summary"} and others == {"numpy"}
    elif path.stem == "extraction":
        assert ours == {"audio", "cli", "tables"}
    elif path.stem in ("model", "detection", "simulation"):
        assert ours <= FILES | MATHS | {"cli", "extraction", "model"}
    else:
        assert path.stem == "cli" and ours == {"streams"}
    assert "bin" not in ours


@pytest.mark.parametrize("path", modules("sdtools") + modules("sdtools/bin") + modules("local"), ids=lambda p: p.name)
def test_only_plots_imports_matplotlib(path):
    """And a command imports plots only where it draws."""
    assert ("matplotlib" in imports(path)) == (path.name == "plots.py")
    at_the_top = [node for node in ast.parse(path.read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert path.stem == "report" or not {"plots", "report"} & {alias.name for node in at_the_top for alias in node.names}


@pytest.mark.parametrize("path", modules("sdtools") + modules("sdtools/bin") + modules("utils") + modules("local"), ids=lambda p: p.name)
def test_nothing_imports_a_command(path):
    assert "sdtools.bin" not in imports(path)


@pytest.mark.parametrize("path", modules("utils"), ids=lambda p: p.stem)
def test_utils_is_standard_library_only(path):
    assert imports(path) - sys.stdlib_module_names - {p.stem for p in modules("utils")} == set()


def test_every_module_has_its_test():
    missing = [p.stem for p in modules("sdtools") if not (ROOT / "tests" / f"test_{p.stem}.py").exists()]
    assert missing == []


def test_a_command_is_short():
    long = {path.stem: n for path in modules("sdtools/bin") if (n := len(path.read_text().splitlines())) > 140}
    assert long == {}
