"""How far an EER would go with other speakers: bootstrap intervals."""

from __future__ import annotations

import warnings

import numpy as np

from sdtools.scoring.metrics import Scores, eer

LEVEL = 0.95


def eer_interval(
    scores: tuple[np.ndarray, np.ndarray],
    groups: tuple[np.ndarray, np.ndarray] | None = None,
    method: str = "interp",
    num_replicates: int = 1000,
) -> tuple[float, float]:
    """Bounds of the percentile bootstrap interval of an EER, in [0, 1], at `LEVEL`.

    Parameters
    ----------
    scores
        Of genuine and of spoof trials, (num_trials,) each.
    groups
        What is resampled, within each class: a number a trial, that of its speaker. Default: every trial alone.
    method
        Of `metrics.EER_METHODS`.

    Notes
    -----
    Trials of a speaker are alike, and an interval by trial is then far too narrow (`test_intervals.py::test_coverage`). The classes
    are sorted once; a replicate repeats each score as often as its speaker was drawn. The same scores, in any order, have the same
    interval, if the groups are numbered alike.

    References
    ----------
    B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    rng = np.random.default_rng(0)
    classes = []
    for values, numbers in zip(scores, groups or (None, None)):
        order = np.argsort(values)
        numbers = (
            np.arange(len(order))
            if numbers is None
            else np.unique(numbers, return_inverse=True)[1][order]
        )
        classes.append((np.asarray(values, np.float64)[order], numbers, numbers.max() + 1))
    eers = np.empty(num_replicates)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the EER itself has been said already
        for i in range(num_replicates):
            parts = []
            for values, numbers, num_groups in classes:
                times = np.bincount(rng.integers(num_groups, size=num_groups), minlength=num_groups)
                parts.append(np.repeat(values, times[numbers]))
            eers[i] = eer(Scores(*parts), method).value
    low, high = np.quantile(eers, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def by_class(
    speakers: np.ndarray | None, is_genuine: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Speakers of the genuine and of the spoof trials, as `groups` for an interval; None, with a warning, where they say nothing.

    Parameters
    ----------
    speakers : (num_trials,) array or None
        A number for the speaker of each trial; None if nobody knows.
    is_genuine : (num_trials,) bool array
    """
    groups = None if speakers is None else (speakers[is_genuine], speakers[~is_genuine])
    if groups and all(len(set(group.tolist())) > 1 for group in groups):
        return groups
    lack = "got a class with one speaker: " if groups else ""
    warnings.warn(
        f"{lack}intervals are by trial, too narrow where trials of a speaker are alike",
        stacklevel=2,
    )
    return None
