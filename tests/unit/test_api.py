"""The public Python names: none vanishes, each has an example, importing costs nothing."""

import ast
import doctest
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sdtools
from sdtools.audio.encoding import write_audio

ROOT = Path(__file__).parents[2]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
NAMES = Path(__file__).with_name("public_names.json")


def signature(name):
    """Parameters and defaults of a public name as text."""
    value = getattr(sdtools, name)
    if inspect.isclass(value) and issubclass(value, Exception):
        return "exception"
    return str(inspect.signature(value)).replace("sdtools.", "")


def test_no_public_name_or_parameter_vanishes():
    """After a wanted change: python tests/unit/test_api.py writes the list anew."""
    assert {name: signature(name) for name in sdtools.__all__} == json.loads(NAMES.read_text())


@pytest.mark.parametrize("name", sdtools.__all__)
def test_every_public_function_has_an_example_that_runs(name, doctest_globals):
    value = getattr(sdtools, name)
    assert value.__doc__
    names = {**vars(sys.modules[value.__module__]), **doctest_globals}
    found = doctest.DocTestFinder().find(value, name, globs=names)
    tests = [test for test in found if test.examples]
    if not name.endswith(("Options", "Warning")):
        assert tests, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in tests:
        runner.run(test)
    assert runner.failures == 0


def test_importing_loads_nothing_else():
    code = "import sys, sdtools; print(sorted(set(sys.modules) & {'numpy', 'scipy', 'numba'}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout == "[]\n"


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "sdtools/__init__.py").read_text())
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {f"{alias.asname}": node.module for node in block.body for alias in node.names}
    assert seen == {name: f"sdtools.{home}" for name, home in sdtools._HOME_OF.items()}
    assert (ROOT / "sdtools/py.typed").exists()


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="nothing"):
        _ = sdtools.nothing
    assert set(sdtools.__all__) <= set(dir(sdtools))


def test_every_module_has_examples_that_run(doctest_globals):
    """Also the private ones: an example that is wrong is worse than none."""
    failed = []
    for path in sorted((ROOT / "sdtools").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if ">>>" in path.read_text():
            module = importlib.import_module(name)
            if doctest.testmod(module, extraglobs=doctest_globals, optionflags=FLAGS).failed:
                failed.append(name)
    assert failed == []


EXTRACTORS = ["SubbandExtractor", "TriangularExtractor", "CqccExtractor", "FdlpExtractor"]
EXTRACTORS += ["ModulationExtractor", "LfccExtractor"]


@pytest.mark.parametrize("name", EXTRACTORS)
@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(4000, np.int16), "32768"),
        (np.zeros((4000, 2)), "channel"),
        (np.full(4000, 3000.0), "32768"),
        (np.r_[np.zeros(3000), np.nan], "3000"),
        ([], ""),
    ],
    ids=["int16", "stereo", "unscaled", "nan", "empty"],
)
def test_extractors_check_samples_at_the_door(name, samples, words):
    extractor = getattr(sdtools, name)(sample_rate_hz=16000)
    with pytest.raises(sdtools.SdError) as info:
        extractor(samples)
    assert words in str(info.value)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_extractors_take_lists(name):
    extractor = getattr(sdtools, name)(sample_rate_hz=16000)
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, 8000)
    for output, matrix in extractor(samples).items():
        np.testing.assert_array_equal(matrix, extractor(samples.tolist())[output])


def test_scores_come_in_any_order():
    genuine, spoof = [3.0, 1.0, 2.0, -0.5], [0.0, -2.0, 1.5, -1.0]
    value = sdtools.eer(genuine, spoof).value
    assert value == sdtools.eer(sorted(genuine), sorted(spoof)).value == 0.25
    with pytest.raises(sdtools.SdError):
        sdtools.eer([1.0, float("nan")], spoof)


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 12
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, seconds in (("live", 1.0), ("replayed", 0.9)):
        write_audio(f"{name}.wav", 0.1 * rng.standard_normal(int(16000 * seconds)), 16000)
    exec(code, {})
    llr, figures = capsys.readouterr().out.splitlines()
    assert llr.startswith("LLR ") and float(llr.split()[1]) > 0
    assert figures == "EER 0.333, Cllr 0.622"


if __name__ == "__main__":
    names = {name: signature(name) for name in sdtools.__all__}
    NAMES.write_text(json.dumps(names, indent=1) + "\n")
