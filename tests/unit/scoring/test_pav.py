import math

import numpy as np
import pytest
from hypothesis import given
from scipy.optimize import isotonic_regression
from test_metrics import CASES, SMALL

from sdtools.errors import SdError
from sdtools.scoring.pav import pav_knots, train_pav
from sdtools.scoring.roc import sort_scores


def test_an_outlier_moves_no_knot():
    rng = np.random.default_rng(0)
    genuine, spoof = rng.normal(1, 1, 200), rng.normal(-1, 1, 300)
    knots = pav_knots(sort_scores(genuine, spoof))
    spoof[np.argmin(spoof)] = -1e17
    np.testing.assert_array_equal(pav_knots(sort_scores(genuine, spoof)), knots)


@CASES
@given(SMALL, SMALL)
def test_pav_knots(genuine, spoof):
    """Finite and rising; against isotonic regression with two more trials at either end."""
    knots = pav_knots(sort_scores(genuine, spoof))
    assert np.isfinite(knots).all() and (np.diff(knots) > 0).all()
    values = sorted({*genuine, *spoof})
    num_genuine = np.array([1, *(genuine.count(v) for v in values), 1])
    num_all = np.array([2, *(genuine.count(v) + spoof.count(v) for v in values), 2])
    fraction = isotonic_regression(num_genuine / num_all, weights=num_all).x[1:-1]
    llrs = np.log(fraction / (1 - fraction)) - math.log(len(genuine) / len(spoof))
    both = np.array(sorted([*genuine, *spoof]))
    of_trial = np.round(llrs[np.searchsorted(values, both)], 9)
    levels = np.unique(of_trial)
    np.testing.assert_allclose(knots[1], levels, atol=1e-8)
    blocks = [np.sort(both[of_trial == level]) for level in levels]
    np.testing.assert_allclose(knots[0], [block[(len(block) - 1) // 2] for block in blocks])


@pytest.mark.parametrize(
    ("scores", "is_genuine", "who"),
    [
        ([[1, 2], [0, 1]], [True, False], "train_pav"),
        ([1, 2], [True, False], "train_pav"),
        ([[1], [math.inf]], [True, False], "scores[1, 0]"),
        ([[math.nan], [1]], [True, False], "scores[0, 0]"),
        ([[1], [2]], [True, True], "spoof"),
        ([[1], [2]], ["genuine", "spoof"], "is_genuine"),
    ],
)
def test_training_data_that_cannot_be_used(scores, is_genuine, who):
    with pytest.raises(SdError) as info:
        train_pav(scores, is_genuine)
    assert info.value.who == who
