"""Calibration of what is deployed: bounds, choice of the ridge, folds by speaker."""

import math

import numpy as np
import pytest
from fields import fails

from sdtools.errors import SdWarning
from sdtools.scoring.calibration import (
    RIDGES,
    calibrate,
    independent_groups,
    spread_folds,
)
from sdtools.scoring.fusion import FusionOptions, apply_fusion, bounded, train_fusion
from sdtools.scoring.metrics import cllr
from sdtools.scoring.roc import sort_scores


def draw(rng, num_speakers, distance, per_speaker=4):
    """Scores (num_trials, 1) of speakers who differ, truth and speakers."""
    speakers = np.repeat(np.arange(num_speakers), per_speaker)
    is_genuine = np.arange(len(speakers)) % 2 == 0
    shift = rng.normal(0, 1, num_speakers)[speakers]
    scores = rng.normal(0, 1, len(speakers)) + shift + np.where(is_genuine, distance, -distance) / 2
    return scores[:, None], is_genuine, speakers


def cost(llrs, is_genuine):
    return cllr(sort_scores(llrs[is_genuine], llrs[~is_genuine]))


def test_separable_scores_have_bounded_llrs():
    """Twelve trials of a class support odds of 13 to 1."""
    scores, is_genuine, speakers = draw(np.random.default_rng(0), 6, 40.0)
    fusion, llrs = calibrate(scores, is_genuine, speakers)
    assert fusion.bound == math.log(13) and fusion.ridge == min(RIDGES)
    assert ((llrs > 2.3) == is_genuine).all() and np.abs(llrs).max() < math.log(13)
    np.testing.assert_allclose(apply_fusion(fusion, [[1e9], [-1e9]]), [math.log(13), -math.log(13)])


@pytest.mark.parametrize("distance", [0.5, 1.0, 4.0])
def test_the_ridge_is_the_best_for_speakers_left_out(distance):
    scores, is_genuine, speakers = draw(np.random.default_rng(1), 7, distance)
    fusion, llrs = calibrate(scores, is_genuine, speakers)
    costs = {}
    for ridge in RIDGES:
        left_out = np.empty(len(scores))
        for speaker in range(7):
            out = speakers == speaker
            of_others = train_fusion(scores[~out], is_genuine[~out], FusionOptions(ridge=ridge))
            left_out[out] = bounded(apply_fusion(of_others, scores[out]), fusion.bound)
        costs[ridge] = cost(left_out, is_genuine)
        if ridge == fusion.ridge:
            np.testing.assert_allclose(llrs, left_out, atol=1e-9)
    assert costs[fusion.ridge] == min(costs.values())


def test_new_speakers_are_judged_better_than_without_ridge_and_bound():
    """Mean Cllr of new trials over thirty small sets: the plain way is misled by single sets."""
    rng = np.random.default_rng(2)
    plain, ours = [], []
    for _ in range(30):
        scores, is_genuine, speakers = draw(rng, 5, 5.0, per_speaker=2)
        new, is_new_genuine, _ = draw(rng, 200, 5.0)
        fusion, _ = calibrate(scores, is_genuine, speakers)
        ours.append(cost(apply_fusion(fusion, new), is_new_genuine))
        old = train_fusion(scores, is_genuine, FusionOptions(ridge=1e-6))
        plain.append(cost(apply_fusion(old, new), is_new_genuine))
    assert np.mean(ours) < 0.6 * np.mean(plain) and max(ours) < 1 < max(plain)


def test_folds_are_as_many_as_groups_allow():
    is_genuine = np.arange(40) % 2 == 0
    assert set(spread_folds(is_genuine, np.arange(40) // 4, 5)) == set(range(5))
    assert set(spread_folds(is_genuine, np.arange(40) // 20, 5)) == {0, 1}
    with fails(what="genuine and spoof groups", got="1 and 1"):
        spread_folds(is_genuine, np.zeros(40, int), 5)


def test_a_class_of_one_speaker_is_folded_by_recording():
    is_genuine, speakers = np.array([True, True, False, False]), np.array(["a", "a", "a", "b"])
    with pytest.warns(SdWarning, match="all genuine trials are of one speaker"):
        groups = independent_groups(is_genuine, speakers)
    assert len(set(groups)) == 4
    both = independent_groups(is_genuine, np.array(["a", "b", "a", "b"]))
    assert both.tolist() == [0, 1, 0, 1]
