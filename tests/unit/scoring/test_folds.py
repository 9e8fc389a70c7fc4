import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_metrics import synthetic_set

from sdtools.errors import SdError
from sdtools.scoring.folds import assign_folds, cross_validate
from sdtools.scoring.fusion import FusionOptions, apply_fusion, train_fusion

OPTIONS = FusionOptions()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_folds(seed, num_folds):
    """A speaker is in one fold, classes are spread evenly, the order of trials does not matter."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(20, size=300)
    is_genuine = rng.random(300) < 0.3
    folds = assign_folds(is_genuine, groups, num_folds)
    assert set(folds) == set(range(num_folds))
    assert all(len(set(folds[groups == g])) == 1 for g in set(groups))
    for chosen in (is_genuine, ~is_genuine):
        shares = np.bincount(folds[chosen], minlength=num_folds) / chosen.sum()
        largest = np.bincount(groups[chosen]).max() / chosen.sum()
        assert np.ptp(shares) <= 2 * largest
    order = rng.permutation(300)
    again = assign_folds(is_genuine[order], groups[order], num_folds)
    np.testing.assert_array_equal(again, folds[order])


def test_held_out_scores_come_from_the_other_folds():
    scores, is_genuine = synthetic_set()
    scores = scores[:, :2]
    folds = assign_folds(is_genuine, np.arange(500) % 25, 5)
    llrs = cross_validate(scores, is_genuine, folds, OPTIONS)
    for fold in range(5):
        out = folds == fold
        fusion = train_fusion(scores[~out], is_genuine[~out])
        np.testing.assert_array_equal(llrs[out], apply_fusion(fusion, scores[out]))
    flipped = is_genuine.copy()
    flipped[7] = not flipped[7]
    changed = cross_validate(scores, flipped, folds, OPTIONS) != llrs
    assert not changed[folds == folds[7]].any() and changed[folds != folds[7]].all()


def test_a_missing_score_in_one_fold():
    """All folds then know what replaces it."""
    scores, is_genuine = synthetic_set()
    scores = scores[:, :2].copy()
    scores[7, 1] = np.nan
    assert np.isfinite(cross_validate(scores, is_genuine, np.arange(500) % 5, OPTIONS)).all()


@pytest.mark.parametrize(
    ("is_genuine", "groups"),
    [
        ([True, False] * 4, [1, 1, 2, 2, 3, 3, 4, 4]),
        ([True] * 4 + [False] * 4, [1] * 4 + [2, 3, 4, 5]),
    ],
)
def test_too_few_groups_for_the_folds(is_genuine, groups):
    with pytest.raises(SdError) as info:
        assign_folds(np.array(is_genuine), np.array(groups), 5)
    assert info.value.what == "groups" and info.value.got.endswith("for 5 folds")
    assert "fewer folds" in info.value.hint
