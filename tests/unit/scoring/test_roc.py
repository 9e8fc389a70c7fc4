import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from sdtools.errors import SdError
from sdtools.scoring.metrics import eer, evaluate
from sdtools.scoring.roc import convex_hull, pav_llrs, roc, sort_scores


def test_scores_in_any_order_as_lists_or_integers():
    rng = np.random.default_rng(0)
    genuine, spoof = rng.normal(1, 1, 300), rng.normal(-1, 1, 200)
    expected = evaluate(np.sort(genuine), np.sort(spoof))
    assert evaluate(genuine.tolist(), spoof) == expected
    assert eer(genuine, spoof) == expected.eer[0]
    integers = np.array([3, 1, 2], np.int16), [0, 1, -2]
    scores = sort_scores(*integers)
    assert scores.genuine.tolist() == [1, 2, 3] and scores.genuine.dtype == np.float64
    assert integers[0].tolist() == [3, 1, 2]


def test_operating_points():
    points = roc(sort_scores([1, 2, 2], [0, 2]), [0, 2, 3])
    assert points.num_miss.tolist() == [0, 1, 3] and points.num_false_alarms.tolist() == [2, 1, 0]
    np.testing.assert_allclose(points[1:].excess, [1 / 3 - 1 / 2, 1])


@pytest.mark.parametrize("decimals", [1, 12])
def test_pav_is_isotonic_regression(decimals):
    rng = np.random.default_rng(3)
    genuine = np.round(rng.normal(1, 1, 3000), decimals)
    spoof = np.round(rng.normal(0, 1.3, 2000), decimals)
    distinct, group = np.unique(np.concatenate([genuine, spoof]), return_inverse=True)
    num_genuine, size = np.bincount(group[:3000], minlength=len(distinct)), np.bincount(group)
    expected = isotonic_regression(num_genuine / size, weights=size).x
    hull = convex_hull(sort_scores(genuine, spoof))
    with np.errstate(divide="ignore"):
        llrs = np.log(expected) - np.log1p(-expected) - np.log(3000 / 2000)
    block = np.searchsorted(hull.thresholds[1:-1], distinct, side="right")
    np.testing.assert_allclose(pav_llrs(hull)[block], llrs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("genuine", "spoof", "who", "got"),
    [
        ([1, np.nan], [0], "genuine[1]", "NaN"),
        ([1], [np.nan], "spoof[0]", "NaN"),
        (np.array([5, np.nan, 1, np.nan]), [0], "genuine[1]", "NaN"),
        ([], [1], "genuine", "none"),
        ([1], [], "spoof", "none"),
        ([1], [[0]], "spoof", "an array of shape (1, 1)"),
        (3.0, [1], "genuine", "an array of shape ()"),
        ([[1, 2], [3]], [1], "genuine", "lists of unequal length"),
        (["1", "2"], [1], "genuine", "values of type <U1"),
        ([True], [1], "genuine", "values of type bool"),
        ([1], [1, None], "spoof", "values of type object"),
        ([1j], [1], "genuine", "values of type complex128"),
    ],
)
def test_scores_that_have_no_metrics(genuine, spoof, who, got):
    for function in (eer, evaluate):
        with pytest.raises(SdError) as info:
            function(genuine, spoof)
        assert (info.value.who, info.value.got) == (who, got)
