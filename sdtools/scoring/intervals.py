"""Bootstrap intervals: how far an EER would move with other speakers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sdtools.errors import warn
from sdtools.scoring.equal_error_rate import read_eer
from sdtools.scoring.roc import SortedScores

LEVEL = 0.95
Groups = tuple[np.ndarray, np.ndarray]


def eer_interval(
    genuine: npt.ArrayLike,
    spoof: npt.ArrayLike,
    groups: Groups | None = None,
    method: str = "interp",
    num_replicates: int = 1000,
) -> tuple[float, float]:
    """Bounds of the percentile bootstrap interval of an EER, within 0..1, at `LEVEL`.

    Parameters
    ----------
    genuine, spoof : (num_trials,) arrays or lists
        Scores in any order.
    groups
        What is resampled within each class: a number for the speaker of each genuine and of each
        spoof trial. Default: every trial alone.
    method
        Of `EER_METHODS`.
    num_replicates

    Notes
    -----
    Trials of one speaker are alike, and an interval by trial is then far too narrow
    (`test_intervals.py::test_coverage`). The classes are sorted once; a replicate repeats each
    score as often as its speaker was drawn. The order of trials does not matter, if groups have the
    same numbers.

    References
    ----------
    B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    rng = np.random.default_rng(0)
    classes = [
        _sorted_with_groups(np.asarray(values, np.float64), numbers)
        for values, numbers in zip((genuine, spoof), groups or (None, None))
    ]
    eers = np.empty(num_replicates)
    for i in range(num_replicates):
        parts = []
        for values, numbers, num_groups in classes:
            times = np.bincount(rng.integers(num_groups, size=num_groups), minlength=num_groups)
            parts.append(np.repeat(values, times[numbers]))
        eers[i] = read_eer(SortedScores(*parts), method)[0].value
    low, high = np.quantile(eers, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _sorted_with_groups(
    values: np.ndarray, numbers: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Ascending scores, the group of each, from 0, and the number of groups."""
    order = np.argsort(values)
    if numbers is None:
        return values[order], np.arange(len(order)), len(order)
    numbers = np.unique(numbers, return_inverse=True)[1][order]
    return values[order], numbers, int(numbers.max()) + 1


def speaker_groups(speakers: np.ndarray | None, is_genuine: np.ndarray) -> Groups | None:
    """Speakers of the genuine and of the spoof trials, as `groups` of `eer_interval`.

    None, with a warning, if speakers are unknown or a class has only one.

    Parameters
    ----------
    speakers : (num_trials,) array or None
        A number for the speaker of each trial.
    is_genuine : (num_trials,) bool array
    """
    groups = None if speakers is None else (speakers[is_genuine], speakers[~is_genuine])
    if groups and all(len(set(group.tolist())) > 1 for group in groups):
        return groups
    reason = "a class has only one speaker" if groups else "speakers are unknown"
    warn("EER interval", f"resampled by trial, because {reason}", hint="It may be too narrow")
    return None
