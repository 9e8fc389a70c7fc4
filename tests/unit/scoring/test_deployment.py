"""What decisions cost: rates with intervals, thresholds, failed calibrations, JSON."""

import copy
import json
import math
import re

import numpy as np
import pytest
from fields import fails
from scipy.stats import binomtest

from sdtools.scoring.deployment import (
    Deployment,
    LabelledLlrs,
    Rate,
    error_rate,
    read_deployment,
)
from sdtools.scoring.json_files import Fields, write_json


def draw(rng, num_speakers=12, distance=4.0, shift=0.0):
    """Well-calibrated LLRs of five genuine and five replayed trials of each speaker."""
    speakers = np.repeat(np.arange(num_speakers), 10)
    is_genuine = np.arange(len(speakers)) % 2 == 0
    mean = np.where(is_genuine, distance / 2, -distance / 2)
    llrs = rng.normal(mean, math.sqrt(distance)) + shift
    return LabelledLlrs(llrs, is_genuine, speakers)


@pytest.mark.parametrize(("num_errors", "num_trials"), [(0, 60), (3, 60), (60, 60), (1, 7)])
def test_independent_trials_have_the_exact_interval(num_errors, num_trials):
    rate = error_rate(np.arange(num_trials) < num_errors, np.arange(num_trials))
    exact = binomtest(num_errors, num_trials).proportion_ci(0.95, "exact")
    assert (rate.num_errors, rate.num_speakers) == (num_errors, num_trials)
    assert (rate.low, rate.high) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_errors_of_one_speaker_widen_the_interval():
    is_error = np.arange(100) < 20
    scattered = error_rate(is_error, np.arange(100))
    clustered = error_rate(is_error, np.arange(100) // 20)
    assert (clustered.num_errors, clustered.num_speakers) == (20, 5)
    assert clustered.low < scattered.low < 0.2 < scattered.high < clustered.high


def test_coverage():
    """The interval holds the true rate in 95 % of draws; one by trial would in far fewer."""
    rng = np.random.default_rng(0)
    ours = exact = 0
    for _ in range(300):
        p_of_speaker = rng.beta(0.4, 1.6, 20)  # mean 0.2
        is_error = (rng.random((20, 15)) < p_of_speaker[:, None]).ravel()
        rate = error_rate(is_error, np.repeat(np.arange(20), 15))
        ours += rate.low <= 0.2 <= rate.high
        low, high = binomtest(rate.num_errors, 300).proportion_ci(0.95, "exact")
        exact += low <= 0.2 <= high
    assert ours >= 0.9 * 300 > 0.8 * 300 > exact


def test_thresholds_are_between_scores_and_rates_are_counts():
    rng = np.random.default_rng(1)
    dev, eval_set = draw(rng), draw(rng, 8)
    found = Deployment.measure(dev, eval_set, 0.01)
    assert list(found.thresholds) == ["bayes", "eer", "false_alarm"]
    assert found.thresholds["bayes"] == 0
    for name, level in found.thresholds.items():
        assert level not in dev.llrs
        for costs, (llrs, is_genuine, speakers) in ((found.dev, dev), (found.eval, eval_set)):
            miss, false_alarm = costs.miss[name], costs.false_alarm[name]
            assert miss.value == (llrs[is_genuine] < level).mean()
            assert false_alarm.value == (llrs[~is_genuine] >= level).mean()
            assert miss.num_speakers == len(set(speakers))
    assert found.dev.false_alarm["false_alarm"].value <= 0.01
    assert found.dev.miss["eer"].value == pytest.approx(
        found.dev.false_alarm["eer"].value, abs=0.04
    )
    assert found.failures == found.warnings == []


def test_separable_scores_have_their_threshold_in_the_middle():
    """At the edge of the genuine scores it would reject half of what is a little lower."""
    llrs = np.array([3.0, 4, 5, -5, -4, -1])
    dev = LabelledLlrs(llrs, llrs > 0, np.array([0, 1, 2, 0, 1, 2]))
    found = Deployment.measure(dev, None, 0.01)
    assert found.thresholds == {"bayes": 0, "eer": 1, "false_alarm": 1}
    assert found.eval is None and found.failures == []


def test_without_a_threshold_that_is_low_enough_there_is_an_infinite_one():
    llrs = np.array([1.0, 2, 2, -1, 0, 2])
    dev = LabelledLlrs(llrs, np.arange(6) < 3, np.array([0, 1, 2, 0, 1, 2]))
    found = Deployment.measure(dev, dev, 0.01)
    assert found.thresholds["false_alarm"] == math.inf
    assert found.dev.miss["false_alarm"].value == 1
    assert Deployment.from_json(Fields(json.loads(json.dumps(found.to_json())))) == found


@pytest.mark.parametrize(
    ("distance", "shift", "words"),
    [
        (4, 0, []),
        (4, -2.5, ["calibration loss", "miss rate"]),
        (4, 2.5, ["calibration loss", "false-alarm rate"]),
    ],
)
def test_a_calibration_that_fails_its_eval(distance, shift, words):
    rng = np.random.default_rng(2)
    found = Deployment.measure(draw(rng), draw(rng, distance=distance, shift=shift), 0.01)
    told = "; ".join(found.failures)
    assert all(word in told for word in words) and bool(told) == bool(words)
    assert bool(found.warnings) == bool(words)
    assert all(text in "".join(found.warnings) for text in found.failures)


def test_misleading_llrs_fail():
    rng = np.random.default_rng(3)
    llrs, is_genuine, speakers = draw(rng)
    found = Deployment.measure(draw(rng), LabelledLlrs(-llrs, is_genuine, speakers), 0.01)
    assert found.failures[0].startswith("Cllr ") and "above 1" in found.failures[0]


def test_few_speakers_are_a_warning_that_says_how_many_would_do():
    found = Deployment.measure(draw(np.random.default_rng(4), 9), None, 0.01)
    (text,) = found.warnings
    assert "9 speakers" in text and "10 or more" in text


def test_rows_show_each_threshold_on_both_sets():
    rng = np.random.default_rng(5)
    found = Deployment.measure(draw(rng), draw(rng, 8), 0.01)
    head, *rows = found.rows()
    assert {len(row) for row in rows} == {len(head)}
    assert [row[0] for row in rows] == ["bayes"] * 2 + ["eer"] * 2 + ["false_alarm"] * 2
    assert [row[2] for row in rows] == ["train + dev", "eval"] * 3
    assert [row[5] for row in rows] == ["12", "8"] * 3
    rate = found.eval.miss["eer"]
    assert rows[3][3].startswith(f"{100 * rate.value:.1f} (")
    assert rows[3][3].endswith(f"), {rate.num_errors} of 40")
    assert f"{found.eval.cllr:.3f}" in found.explanation


def test_json_comes_back_and_names_the_failures(tmp_path):
    rng = np.random.default_rng(6)
    found = Deployment.measure(draw(rng), draw(rng, shift=-3), 0.01)
    path = tmp_path / "model.json"
    write_json(str(path), {"deployment": found.to_json()})
    assert read_deployment(path) == found
    assert json.loads(path.read_text())["deployment"]["calibration_failures"] == found.failures
    write_json(str(path), {})
    assert read_deployment(path) is None


@pytest.mark.parametrize(
    ("place", "value", "where"),
    [
        (("thresholds",), {}, "deployment.thresholds"),
        (("thresholds", "eer", "threshold"), "nan", "deployment.thresholds.eer.threshold"),
        (("dev", "miss"), {}, "deployment.dev.miss.bayes"),
        (("dev", "miss", "eer", "num_errors"), 10**6, "deployment.dev.miss.eer"),
        (("dev", "miss", "eer", "num_trials"), 0, "deployment.dev.miss.eer"),
        (("eval", "cllr"), "x", "deployment.eval.cllr"),
        (("eval",), 3, "deployment.eval"),
    ],
)
def test_json_that_is_refused(tmp_path, place, value, where):
    rng = np.random.default_rng(7)
    record = copy.deepcopy(Deployment.measure(draw(rng), draw(rng), 0.01).to_json())
    part = record
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"deployment": record}))
    with fails(who=f"{path}: {where}", hint=re.compile("Make the model again")):
        read_deployment(path)


def test_a_rate():
    assert Rate(3, 60, 7, 0.01, 0.14).value == 0.05
