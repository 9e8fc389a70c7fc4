import json
import math
from dataclasses import replace

import numpy as np
import pytest

from sdtools.errors import SdError
from sdtools.scoring.fusion import Fusion
from sdtools.scoring.fusion_file import read_fusion, write_fusion

FUSION = Fusion(np.array([1.8, 0.1 + 0.2]), -2.5, 0.5, 0.0, 0.44, 200, 300)


def test_fusion_comes_back_with_every_bit(tmp_path):
    path = str(tmp_path / "fusion.json")
    write_fusion(path, FUSION, ["a.txt", "b.txt"])
    fusion, systems = read_fusion(path)
    assert systems == ["a.txt", "b.txt"] and fusion.weights.tolist() == FUSION.weights.tolist()
    assert replace(fusion, weights=None) == replace(FUSION, weights=None)


def test_fusion_with_neutral_scores_and_knots_comes_back(tmp_path):
    path = str(tmp_path / "fusion.json")
    knots = np.array([[0.0, 1, 7], [-3.0, 0.1, 2]])
    fusion = replace(FUSION, neutral=np.array([0.5, -1 / 3]), knots=knots, num_folds=5, bound=3.5)
    write_fusion(path, fusion, ["a.txt", "b.txt"])
    back, _ = read_fusion(path)
    np.testing.assert_array_equal(back.neutral, fusion.neutral)
    np.testing.assert_array_equal(back.knots, fusion.knots)
    assert (back.num_folds, back.bound) == (5, 3.5)


def test_fusion_of_an_older_version(tmp_path):
    path = tmp_path / "fusion.json"
    write_fusion(str(path), FUSION, ["a.txt", "b.txt"])
    record = json.loads(path.read_text())
    for name in ("neutral", "knots", "num_folds", "bound"):
        del record[name]
    path.write_text(json.dumps(record))
    assert read_fusion(str(path))[0].neutral is None


@pytest.mark.parametrize(
    ("change", "where", "got"),
    [
        ({"extra": 1}, "fields", "extra"),
        ({"offset": ...}, "fields", "systems weights prior"),
        ({"systems": ["a.txt"]}, "systems, weights and neutral", "1 systems and 2 weights"),
        ({"systems": [1, 2]}, "systems[0]", "1"),
        ({"systems": [], "weights": []}, "systems, weights and neutral", "0 systems"),
        ({"weights": 3.0}, "weights", "3.0"),
        ({"systems": "a"}, "systems", "'a'"),
        ({"weights": [1.0, "2"]}, "weights[1]", "'2'"),
        ({"weights": [1.0, math.inf]}, "", "no JSON (Infinity is not finite)"),
        ({"offset": math.nan}, "", "no JSON (NaN is not finite)"),
        ({"offset": 10**19}, "", "no JSON (an integer of 20 digits)"),
        ({"offset": "\ud800"}, "", "surrogates not allowed"),
        ({"offset": None}, "offset", "None"),
        ({"neutral": [1.0]}, "systems, weights and neutral", ""),
        ({"neutral": [1.0, None]}, "neutral[1]", "None"),
        ({"knots": [1.0, 2.0]}, "knots[0]", "1.0"),
        ({"knots": [[1.0, 2.0]]}, "knots", "1 lists"),
        ({"knots": [[1.0, 2.0], [3.0, "4"]]}, "knots[1].[1]", "'4'"),
        ({"knots": [[1.0, 2.0], [3.0]]}, "knots", "[[1.0, 2.0], [3.0]]"),
        ({"knots": [[1.0, 1.0], [3.0, 4.0]]}, "knots", "[[1.0, 1.0]"),
        ({"knots": [[], []]}, "knots", "[[], []]"),
        ({"num_spoof": True}, "num_spoof", "True"),
        ({"bound": -1}, "bound", "-1"),
        ({"bound": "3"}, "bound", "'3'"),
    ],
)
def test_fusion_files_that_are_refused(tmp_path, change, where, got):
    path = tmp_path / "fusion.json"
    write_fusion(str(path), FUSION, ["a.txt", "b.txt"])
    record = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({name: value for name, value in record.items() if value is not ...}))
    with pytest.raises(SdError) as info:
        read_fusion(str(path))
    error = info.value
    place = f"{path}: fusion: {where}" if where else str(path)
    assert error.who == place and got in str(error.got) and "Train it again" in error.hint


@pytest.mark.parametrize(("text", "got"), [("{", "no JSON"), ("[1]", "list")])
def test_files_of_another_kind(tmp_path, text, got):
    (tmp_path / "fusion.json").write_text(text)
    with pytest.raises(SdError) as info:
        read_fusion(str(tmp_path / "fusion.json"))
    assert info.value.got.startswith(got)
