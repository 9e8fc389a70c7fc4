"""What an evaluation says in words, beside the figures it is made of; tables: test_score_commands.py, test_report.py."""

from pathlib import Path

import numpy as np
import pytest

from sdtools.scoring import evaluation as summary
from sdtools.scoring import files as scores
from sdtools.scoring.fusion import Fusion


def system(folder, eer, interval=None, cllr=0.4):
    """Figures of a system with few of them."""
    return {
        "system": f"exp/{folder}/scores/eval.txt",
        "eer": {"rocch": {"value": eer, "threshold": 0}, "interp": {"value": 0.5, "threshold": 0}},
        "eer_interval": interval,
        "cllr": cllr,
        "min_cllr": 0.3,
    }


@pytest.fixture
def fused(tmp_path, monkeypatch):
    """A folder exp/f of a fusion of exp/a and exp/b."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exp/f").mkdir(parents=True)
    fusion = Fusion(np.array([1.0, 2.0]), 0.0, 0.5, 0.0, 0.4, 10, 10)
    scores.write_fusion(
        "exp/f/fusion.json", fusion, ["exp/a/scores/dev.txt", "exp/b/scores/dev.txt"]
    )


def words(systems, how=None):
    return summary.verdict(
        {"systems": systems, "eer_interval": how}, [s["system"] for s in systems]
    )


def test_the_best_is_that_of_the_first_method():
    assert words([system("a", 0.2), system("b", 0.1)]) == (
        "best EER: exp/b/scores/eval.txt, 10.00 %; of its Cllr 0.4000, 0.1000 is for want of calibration"
    )


@pytest.mark.parametrize("cllr", [1.5, "inf"])
def test_llrs_worse_than_none_are_said_to_be(cllr):
    assert words([system("a", 0.2, cllr=cllr)]).endswith(
        "; its LLRs mislead (Cllr above 1): calibrate them with sd-train-fusion"
    )


@pytest.mark.parametrize(
    ("eer", "interval", "says"),
    [
        (0.05, None, "f (a fusion): 5.00 %, gains 5.00 on its best member, b"),
        (0.05, (0.02, 0.08), "f (a fusion): 5.00 %, gains 5.00 on its best member, b"),
        (
            0.05,
            (0.02, 0.12),
            "f (a fusion): 5.00 %, gains 5.00 on its best member, b, less than its interval tells apart",
        ),
        (0.12, (0.11, 0.13), "f (a fusion): 12.00 %, loses 2.00 on its best member, b"),
        (0.1, (0.02, 0.12), "f (a fusion): 10.00 %, changes nothing on its best member, b"),
    ],
)
def test_a_fusion_is_set_beside_its_best_member(fused, eer, interval, says):
    systems = [
        system("a", 0.2, (0.1, 0.3)),
        system("b", 0.1, (0.05, 0.15)),
        system("f", eer, interval),
    ]
    assert words(systems, interval and {"level": 0.95}).endswith("; " + says)


def test_other_scores_of_a_folder_and_a_damaged_fusion(fused):
    """A member is compared by its scores of the same set; a fusion file that is none says nothing."""
    systems = [system("a", 0.2), system("b", 0.1), system("f", 0.05)]
    better = {**system("b", 0.01), "system": "exp/b/scores/eval_calibrated.txt"}
    stray = {**system("b", 0.01), "system": "unrelated.txt"}
    assert "gains 5.00 on its best member, b" in words([*systems, better, stray])
    Path("exp/f/fusion.json").write_text("{}")
    assert "fusion" not in words(systems)


def test_a_fusion_without_its_members_and_a_member_without_its_fusion(fused):
    assert "fusion" not in words([system("a", 0.2), system("f", 0.1)])
    assert "fusion" not in words([system("a", 0.2), system("b", 0.1)])
    assert not summary.is_fusion({"system": "eval.txt"})
