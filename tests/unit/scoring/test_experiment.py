from pathlib import Path

import numpy as np
import pytest

from sdtools.scoring.experiment import Experiment, SystemFolder, short_names, system_names
from sdtools.scoring.fusion import Fusion
from sdtools.scoring.fusion_file import write_fusion


def test_layout(tmp_path):
    experiment = Experiment(tmp_path)
    assert experiment.results == tmp_path / "results.json"
    assert experiment.tables == tmp_path / "RESULTS.md"
    folder = experiment.system("f")
    assert folder.scores("dev") == tmp_path / "f/scores/dev.txt"
    assert folder.model == tmp_path / "f/model" and folder.name == "f"
    assert SystemFolder.of_scores(str(folder.scores("dev"))) == folder
    folder.path.mkdir()
    assert not folder.is_fusion
    fusion = Fusion(np.array([1.0, 2.0]), 0.0, 0.5, 0.0, 0.4, 10, 10)
    write_fusion(str(folder.fusion), fusion, ["exp/a/scores/dev.txt", "b.txt"])
    (folder.path / "a.conf").touch()
    assert folder.is_fusion and folder.members() == [SystemFolder(Path("exp/a")), None]
    assert [path.name for path in folder.settings()] == ["a.conf", "fusion.json"]


@pytest.mark.parametrize("path", ["eval.txt", "exp/a/eval.txt", "scores/eval.txt"])
def test_scores_of_no_system(path):
    assert SystemFolder.of_scores(path) is None


def test_names_of_systems():
    assert system_names(["exp/a/scores/eval.txt"]) == ["a"]
    assert system_names(["exp/a/scores/eval.txt", "x/a/scores/eval.txt"]) == ["exp", "x"]
    assert system_names(["a.txt", "b.txt"]) == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ("exp/cf_sd0/scores/eval.txt exp/cm_sd0/scores/eval.txt", "cf_sd0 cm_sd0"),
        ("a/x/dev.txt a/y/eval.txt", "x/dev.txt y/eval.txt"),
        ("a/dev.txt a/eval.txt", "dev.txt eval.txt"),
        ("a/b a/b/b", "b b/b"),
        ("b b/b b/a/b", "b b/b b/a/b"),
        ("/exp/a/s exp/a/s", "/exp exp"),
        ("a/s b/c/s", "a b/c"),
        ("a/s a/s", "s s"),
        ("exp/cf_sd0/scores/eval.txt", "exp/cf_sd0/scores/eval.txt"),
    ],
)
def test_short_names(paths, names):
    assert short_names(paths.split()) == names.split()
