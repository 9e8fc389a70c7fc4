"""Bootstrap intervals against loops over speakers, and how often they hold the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtools.errors import SdWarning
from sdtools.scoring.intervals import LEVEL, eer_interval, speaker_groups
from sdtools.scoring.metrics import eer


def slow_interval(scores, groups, method, num_replicates):
    """Lists of scores of the speakers drawn, by the same random numbers."""
    rng, eers = np.random.default_rng(0), []
    for _ in range(num_replicates):
        replicate = []
        for values, numbers in zip(scores, groups):
            names = sorted(set(numbers))
            drawn = [names[i] for i in rng.integers(len(names), size=len(names))]
            replicate.append([v for name in drawn for v, n in zip(values, numbers) if n == name])
        eers.append(eer(*replicate, method).value)
    return np.quantile(eers, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])


@pytest.mark.parametrize("method", ["interp", "rocch", "asvspoof"])
def test_against_lists_of_speakers(method):
    rng = np.random.default_rng(3)
    scores = np.round(rng.normal(1, 1, 40), 1), np.round(rng.normal(-1, 1, 60), 1)  # with ties
    groups = rng.integers(5, size=40), 7 + 2 * rng.integers(4, size=60)
    expected = slow_interval(scores, groups, method, 50)
    assert eer_interval(*scores, groups, method, 50) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), is_grouped=st.booleans())
def test_order_changes_nothing(seed, is_grouped):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 9, 30) + 3.0, rng.integers(0, 9, 40) + 0.0
    groups = (rng.integers(4, size=30), rng.integers(4, size=40)) if is_grouped else None
    orders = rng.permutation(30), rng.permutation(40)
    shuffled = [values[order] for values, order in zip(scores, orders)]
    shuffled_groups = is_grouped and [numbers[order] for numbers, order in zip(groups, orders)]
    expected = eer_interval(*scores, groups, num_replicates=20)
    assert eer_interval(*shuffled, shuffled_groups, num_replicates=20) == expected


def test_scores_that_say_all_or_nothing():
    apart = np.arange(10, 20.0), np.arange(10.0)
    assert eer_interval(*apart, num_replicates=50) == (0, 0)
    assert eer_interval(*apart[::-1], num_replicates=50) == (1, 1)  # without `eer`'s warning


def test_coverage():
    """Intervals by speaker hold the true EER in 90 % or more of 100 worlds, by trial in below 70 %.

    A class has 20 speakers (few, so not 95 %) with 25 trials each. The mean of a speaker varies as
    much as a trial.
    """
    rng = np.random.default_rng(0)
    num_worlds, num_speakers, num_trials = 100, 20, 25
    numbers = np.repeat(np.arange(num_speakers), num_trials)
    truth = 0.1586552539314571  # of N(1, 2/2) against N(-1, 2/2): Phi(-1)
    held = {"speaker": 0, "trial": 0}
    for _ in range(num_worlds):
        scores = []
        for sign in (1, -1):
            means = np.repeat(rng.standard_normal(num_speakers), num_trials)
            scores.append(sign + np.sqrt(0.5) * (means + rng.standard_normal(len(numbers))))
        for by, groups in (("speaker", (numbers, numbers)), ("trial", None)):
            low, high = eer_interval(*scores, groups, num_replicates=100)
            held[by] += low <= truth <= high
    assert held["speaker"] >= 0.9 * num_worlds
    assert held["trial"] <= 0.7 * num_worlds


@pytest.mark.parametrize(
    ("speakers", "reason"),
    [(None, "speakers are unknown"), (np.array([1, 2, 3, 3]), "a class has only one speaker")],
)
def test_speakers_without_use(speakers, reason):
    with pytest.warns(SdWarning) as caught:
        assert speaker_groups(speakers, np.array([True, True, False, False])) is None
    assert reason in caught[0].message.what and "narrow" in caught[0].message.hint


def test_groups_are_the_speakers_of_each_class():
    groups = speaker_groups(np.array([1, 2, 3, 4]), np.array([True, False, True, False]))
    assert [group.tolist() for group in groups] == [[1, 3], [2, 4]]
