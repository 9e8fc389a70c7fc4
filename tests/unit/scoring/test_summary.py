"""Tables and sentences; the whole tables: test_score_commands.py, test_page.py."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdtools.scoring.evaluation import Evaluation, IntervalSettings, SystemEvaluation
from sdtools.scoring.fusion import Fusion
from sdtools.scoring.fusion_file import write_fusion
from sdtools.scoring.metrics import Condition, Eer, MetricOptions, Metrics
from sdtools.scoring.summary import (
    FusionGain,
    best_system,
    condition_rows,
    fusion_gains,
    is_fusion,
    system_rows,
    verdict,
)


def system(folder, eer, interval=None, cllr=0.4):
    """A system of the folder exp/<folder>."""
    eers = Eer(eer, 0, "rocch"), Eer(0.5, 0, "interp")
    metrics = Metrics(40, 60, eers, cllr, min_cllr=0.3, min_dcf=0.2, act_dcf=math.inf)
    by = {"env": {"E1": Condition(40, 7, eers[1:]), "E2": Condition(40, 53, eers[:1])}}
    return SystemEvaluation(f"exp/{folder}/scores/eval.txt", metrics, interval, by)


def evaluation(*systems):
    how = IntervalSettings("rocch", 0.95, "trial", 9) if systems[0].interval else None
    options = MetricOptions(eer=("rocch", "interp"))
    return Evaluation("utt2label", 0, options, how, systems)


def words(*systems):
    return verdict(evaluation(*systems), [s.path for s in systems])


@pytest.fixture
def fused(tmp_path, monkeypatch):
    """A folder exp/f of a fusion of exp/a and exp/b."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exp/f").mkdir(parents=True)
    fusion = Fusion(np.array([1.0, 2.0]), 0.0, 0.5, 0.0, 0.4, 10, 10)
    write_fusion("exp/f/fusion.json", fusion, ["exp/a/scores/dev.txt", "exp/b/scores/dev.txt"])


def test_rows():
    with_interval = evaluation(system("a", 0.2, (0.1, 0.3)), system("b", 0.1, (0, 0.25)))
    head, *rows = system_rows(with_interval, ["a", "b"])
    eers = ["EER % (rocch)", "95 % interval", "EER % (interp)"]
    assert head == ["system", "genuine", "spoof", *eers, "Cllr", "minCllr", "minDCF", "actDCF"]
    assert [" ".join(row) for row in rows] == [
        "a 40 60 20.00 10.00-30.00 50.00 0.4000 0.3000 0.2000 inf",
        "b 40 60 10.00 0.00-25.00 50.00 0.4000 0.3000 0.2000 inf",
    ]
    without = evaluation(system("a", 0.2))
    assert [len(row) for row in system_rows(without, ["a"])] == [9, 9]
    rows = condition_rows(with_interval, "env", ["a", "b"])
    assert rows == [
        ["env", "spoof", "a", "b"],
        ["E1", "7", "50.00", "50.00"],
        ["E2", "53", "20.00", "10.00"],
    ]


def test_the_best_is_that_of_the_first_method():
    systems = system("a", 0.2), system("b", 0.1), system("c", 0.1)
    assert best_system(evaluation(*systems)) == 1
    assert words(*systems[:2]) == (
        "Best EER: exp/b/scores/eval.txt, 10.00 %; Cllr 0.400, of which 0.100 is calibration loss"
    )
    assert "10.00 % (5.00-15.00); " in words(system("b", 0.1, (0.05, 0.15)))


@pytest.mark.parametrize("cllr", [1.5, math.inf])
def test_misleading_llrs(cllr):
    assert words(system("a", 0.2, cllr=cllr)).endswith(
        "; its LLRs mislead (Cllr above 1): calibrate them with sd-train-fusion"
    )


@pytest.mark.parametrize(
    ("eer", "interval", "is_unclear", "text"),
    [
        (0.05, None, False, "5.00 %, 5.00 points better than its best member, b"),
        (0.05, (0.02, 0.08), False, "5.00 %, 5.00 points better than its best member, b"),
        (
            0.05,
            (0.02, 0.12),
            True,
            "5.00 %, 5.00 points better than its best member, b, but its interval includes that "
            "EER",
        ),
        (0.12, (0.11, 0.13), False, "12.00 %, 2.00 points worse than its best member, b"),
        (0.1, (0.02, 0.12), False, "10.00 %, no better than its best member, b"),
    ],
)
def test_a_fusion_is_set_beside_its_best_member(fused, eer, interval, is_unclear, text):
    bounds = (0.1, 0.3) if interval else None
    systems = system("a", 0.2, bounds), system("b", 0.1, bounds), system("f", eer, interval)
    expected = FusionGain("f", "b", eer, pytest.approx(0.1 - eer), is_unclear)
    assert fusion_gains(evaluation(*systems)) == [expected]
    assert words(*systems).endswith(f"; f (a fusion): {text}")


def test_other_scores_of_a_folder_and_a_damaged_fusion(fused):
    """A member is compared by its scores of the same set; a damaged fusion is not compared."""
    systems = system("a", 0.2), system("b", 0.1), system("f", 0.05)
    better = replace(system("b", 0.01), path="exp/b/scores/eval_calibrated.txt")
    stray = replace(system("b", 0.01), path="unrelated.txt")
    (found,) = fusion_gains(evaluation(*systems, better, stray))
    assert found.member == "b" and found.gain == pytest.approx(0.05)
    Path("exp/f/fusion.json").write_text("{}")
    assert fusion_gains(evaluation(*systems)) == []


def test_a_fusion_without_its_members_and_a_member_without_its_fusion(fused):
    assert fusion_gains(evaluation(system("a", 0.2), system("f", 0.1))) == []
    assert fusion_gains(evaluation(system("a", 0.2), system("b", 0.1))) == []
    assert is_fusion(system("f", 0.1)) and not is_fusion(system("a", 0.1))
    assert not is_fusion(replace(system("f", 0.1), path="eval.txt"))
