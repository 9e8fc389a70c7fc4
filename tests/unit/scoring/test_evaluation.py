"""The typed record, its JSON, and JSON that is refused."""

import copy
import json
import math

import numpy as np
import pytest

from sdtools import __version__
from sdtools.errors import SdError
from sdtools.scoring.evaluation import (
    Evaluation,
    IntervalSettings,
    SystemEvaluation,
    read_evaluation,
    threshold_record,
    write_evaluation,
)
from sdtools.scoring.metrics import MetricOptions, Metrics, breakdown, evaluate
from sdtools.scoring.roc import sort_scores

OPTIONS = MetricOptions(eer=("rocch", "interp"), p_spoof=0.25, c_fa=2)


def make_evaluation():
    """Two systems, one with an infinite score of a spoof trial."""
    genuine, spoof = np.arange(2.0, 9), np.arange(6.0)
    conditions = {"E2": np.array([0, 5]), "E1": np.array([1, 2])}
    systems = []
    for last in (5.5, np.inf):
        spoof[-1] = last
        metrics = evaluate(genuine, spoof, OPTIONS)
        by = {"env": breakdown(genuine, spoof, conditions, OPTIONS.eer)}
        systems.append(SystemEvaluation(f"exp/{last}/scores/eval.txt", metrics, (0.1, 0.5), by))
    interval = IntervalSettings("rocch", 0.95, "speaker", 7)
    return Evaluation("data/utt2label", 3, OPTIONS, interval, tuple(systems))


def test_what_is_written_comes_back(tmp_path):
    path = str(tmp_path / "results.json")
    evaluation = make_evaluation()
    assert evaluation.systems[1].metrics.cllr == math.inf
    write_evaluation(path, evaluation)
    assert read_evaluation(path) == evaluation
    first = (tmp_path / "results.json").read_bytes()
    write_evaluation(path, read_evaluation(path))
    assert (tmp_path / "results.json").read_bytes() == first


def test_json():
    record = make_evaluation().to_json()
    names = ["utt2label", "num_dropped", "options", "eer_interval", "systems"]
    assert list(record) == names
    system = json.loads(json.dumps(record["systems"][1]))
    metrics = ["num_genuine", "num_spoof", "eer", "cllr", "min_cllr", "min_dcf", "act_dcf"]
    assert list(system) == ["system", *metrics, "eer_interval", "by"]
    assert system["cllr"] == "inf" and system["eer_interval"] == [0.1, 0.5]
    assert list(system["eer"]) == ["rocch", "interp"] and list(system["by"]["env"]) == ["E2", "E1"]
    assert system["by"]["env"]["E2"]["eer"]["rocch"].keys() == {"value", "threshold"}
    assert record["eer_interval"] == {
        "eer": "rocch",
        "level": 0.95,
        "by": "speaker",
        "replicates": 7,
    }
    assert Evaluation.from_json(record) == make_evaluation()


def test_calibration_loss():
    metrics = Metrics(1, 1, (), cllr=0.5, min_cllr=0.2, min_dcf=0, act_dcf=0)
    assert SystemEvaluation("s", metrics, None, {}).calibration_loss == pytest.approx(0.3)


def changed(*place, value):
    """The JSON with another value, or without the field if it is None."""
    record = json.loads(json.dumps(make_evaluation().to_json()))
    part = record
    for name in place[:-1]:
        part = part[name]
    if value is None:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    return record


@pytest.mark.parametrize(
    ("place", "value", "where"),
    [
        (("options",), None, "options"),
        (("options", "eer"), ["interp", "x"], "systems[0].eer.x"),
        (("options", "eer"), [], "--eer"),
        (("options", "p_spoof"), "1", "options.p_spoof"),
        (("options", "p_spoof"), 2, "--p-spoof"),
        (("eer_interval",), [], "eer_interval"),
        (("eer_interval", "level"), "x", "eer_interval.level"),
        (("systems",), [], "systems"),
        (("systems", 0), 3, "systems[0]"),
        (("systems", 0, "system"), 3, "systems[0].system"),
        (("systems", 0, "min_cllr"), "1", "systems[0].min_cllr"),
        (("systems", 0, "min_cllr"), "inf", "systems[0].min_cllr"),
        (("systems", 0, "cllr"), "nan", "systems[0].cllr"),
        (("systems", 0, "num_spoof"), True, "systems[0].num_spoof"),
        (("systems", 0, "eer", "interp", "value"), None, "systems[0].eer.interp.value"),
        (("systems", 0, "eer_interval"), [0.1], "systems[0].eer_interval"),
        (("systems", 1, "by"), {}, "systems"),
        (("systems", 1, "by", "env"), {}, "systems"),
        (("systems", 1, "by", "env", "E1", "num_spoof"), 0.5, "systems[1].by.env.E1.num_spoof"),
        (("num_dropped",), 1.5, "num_dropped"),
    ],
)
def test_records_that_are_refused(tmp_path, place, value, where):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(changed(*place, value=value)))
    with pytest.raises(SdError) as info:
        read_evaluation(str(path))
    assert info.value.who == f"{path}: evaluation: {where}"
    assert "Evaluate again" in info.value.hint


def test_only_some_intervals():
    record = copy.deepcopy(make_evaluation().to_json())
    record["systems"][1]["eer_interval"] = None
    with pytest.raises(SdError, match="interval"):
        Evaluation.from_json(record)


@pytest.mark.parametrize("name", ["touch MADE |", "-"])
@pytest.mark.parametrize("place", [("utt2label",), ("systems", 1, "system")])
def test_reading_runs_no_command(tmp_path, monkeypatch, place, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results.json").write_text(json.dumps(changed(*place, value=name)))
    with pytest.raises(SdError) as info:
        read_evaluation("results.json")
    assert info.value.got == repr(name) and not (tmp_path / "MADE").exists()


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_files_of_another_kind(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(SdError) as info:
        read_evaluation(str(tmp_path / "results.json"))
    assert "results.json" in info.value.who and "Evaluate again" in info.value.hint


def test_threshold_record():
    scores = sort_scores([1, 2, 3, 4], [0, 1.5, -1, -2])
    record = threshold_record("utt2label", "s.txt", scores, OPTIONS, 0)
    found = record.pop("thresholds")
    assert record == {
        "sdtools": __version__,
        "utt2label": "utt2label",
        "scores": "s.txt",
        "num_genuine": 4,
        "num_spoof": 4,
        "eer": "rocch",
        "p_spoof": 0.25,
        "c_miss": 1,
        "c_fa": 2,
        "false_alarm_rate": 0,
    }
    assert found["false_alarm"] == {"threshold": 2, "p_miss": 0.25, "p_false_alarm": 0}
    assert found["bayes"]["threshold"] == pytest.approx(math.log(0.5 / 0.75))
    apart = sort_scores([1], [1])
    record = threshold_record("utt2label", "s.txt", apart, MetricOptions(), 0)
    assert record["thresholds"]["false_alarm"]["threshold"] == "inf"
