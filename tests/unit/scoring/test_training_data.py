from unittest.mock import ANY

import numpy as np
import pytest
from test_fusion import train

from sdtools.errors import SdError
from sdtools.scoring.fusion import train_fusion
from sdtools.scoring.pav import train_pav


@pytest.mark.parametrize(
    ("scores", "is_genuine", "who", "got"),
    [
        ([[1.0, 2], [3, np.inf]], [True, False], "scores[1, 1]", np.inf),
        ([[np.nan, 2], [3, 1]], [True, False], "scores[0, 0]", ANY),
        ([[1.0], [2]], [True, True], "train_fusion", "none"),
        ([[1.0], [2]], [False, False], "train_fusion", "none"),
        ([], [], "train_fusion", ANY),
        ([1.0, 2], [True, False], "train_fusion", "shapes (2,) and (2,)"),
        ([[1.0], [2]], [True], "train_fusion", "shapes (2, 1) and (1,)"),
        ([[1.0], [2, 3]], [True, False], "train_fusion", "lists of unequal length"),
        ([["1"], ["2"]], [True, False], "train_fusion", "values of type <U1"),
        ([[1.0], [2]], ["genuine", "spoof"], "is_genuine", None),
        ([[1.0], [2]], [1, -1], "is_genuine", None),
    ],
)
def test_training_data_that_cannot_be_used(scores, is_genuine, who, got):
    with pytest.raises(SdError) as info:
        train(scores, is_genuine)
    assert (info.value.who, info.value.got) == (who, got)


def test_the_missing_class_is_named():
    for is_genuine, name in (([1, 1], "spoof"), ([0, 0], "genuine")):
        with pytest.raises(SdError) as info:
            train([[1], [2]], is_genuine)
        assert info.value.what == f"{name} trials" and "labels" in info.value.hint


@pytest.mark.parametrize(
    ("weights", "who", "got"),
    [
        ([1, -1], "trial_weights[1]", -1),
        ([np.nan, 1], "trial_weights[0]", ANY),
        ([np.inf, 1], "trial_weights[0]", np.inf),
        ([1], "trial_weights", "shape (1,)"),
        ([1, 0], "train_fusion", "none"),
    ],
)
def test_trial_weights_that_cannot_be_used(weights, who, got):
    with pytest.raises(SdError) as info:
        train_fusion([[1], [2]], [True, False], trial_weights=weights)
    assert (info.value.who, info.value.got) == (who, got)


@pytest.mark.parametrize("is_missing", [True, False])
def test_a_system_without_scores_of_a_class(is_missing):
    scores, is_genuine = np.array([[0.0, 1], [1, 2], [2, 3]]), np.array([True, False, False])
    scores[is_genuine == is_missing, 1] = np.nan
    with pytest.raises(SdError) as info:
        train_fusion(scores, is_genuine, allow_missing=True)
    name = "genuine" if is_missing else "spoof"
    assert (info.value.who, info.value.what) == ("system 2", f"scores of {name} trials")


def test_lists_and_integers_are_taken():
    scores, is_genuine = [[3], [1], [-1], [0], [1], [-1]], [1, 1, 1, 0, 0, 0]
    expected = train(np.array(scores, float), np.array(is_genuine) > 0)
    np.testing.assert_array_equal(train(scores, is_genuine).weights, expected.weights)


@pytest.mark.parametrize("train", [train_fusion, train_pav])
@pytest.mark.parametrize("factor", [1e101, 1e-101, 1e-320])
def test_scores_that_no_llr_can_have(train, factor):
    """Their squares leave float64, and weights of 0 or worse came of them."""
    scores = np.array([[2.0], [1.0], [-1.0], [-2.0], [0.5], [-0.5]])
    is_genuine = np.array([True, True, False, False, False, True])
    with pytest.raises(SdError) as info:
        train(scores * factor, is_genuine)
    error = info.value
    assert error.who == "system 1" and "not log-likelihood ratios" in error.hint
    assert error.got == f"{-2 * factor:g} to {2 * factor:g}"
    assert error.need == "at most 1e+100, and differences of at least 1e-100"
    train(scores * 1e99, is_genuine)
