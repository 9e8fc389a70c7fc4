"""Scores of two classes as a receiver operating characteristic (ROC) and its convex hull.

A higher score speaks for genuine speech. A trial is accepted if its score >= the threshold. Every
function here takes `SortedScores`, so that many metrics of the same scores share one sort.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sdtools.errors import SdError


class SortedScores(NamedTuple):
    """The scores of each class in ascending order, float64; made by `sort_scores`."""

    genuine: np.ndarray
    spoof: np.ndarray


@dataclass(frozen=True)
class Roc:
    """Operating points by rising threshold.

    At each threshold `num_miss` genuine trials score below it, and `num_false_alarms` spoof trials
    do not.
    """

    thresholds: np.ndarray
    num_miss: np.ndarray
    num_false_alarms: np.ndarray
    num_genuine: int
    num_spoof: int

    @property
    def p_miss(self) -> np.ndarray:
        """Fraction of genuine trials rejected, (num_points,)."""
        return self.num_miss / self.num_genuine

    @property
    def p_false_alarm(self) -> np.ndarray:
        """Fraction of spoof trials accepted, (num_points,)."""
        return self.num_false_alarms / self.num_spoof

    @property
    def excess(self) -> np.ndarray:
        """Pmiss - Pfa, rising from -1 to 1, (num_points,)."""
        return self.p_miss - self.p_false_alarm

    def __getitem__(self, keep: np.ndarray | slice) -> Roc:
        """The points that `keep` selects."""
        return Roc(
            self.thresholds[keep],
            self.num_miss[keep],
            self.num_false_alarms[keep],
            self.num_genuine,
            self.num_spoof,
        )


def as_numbers(values: npt.ArrayLike, who: str) -> np.ndarray:
    """`values` as a float64 array.

    Raises
    ------
    SdError
        If they are not numbers, or lists of unequal length.
    """
    need = "numbers"
    try:
        array = np.asarray(values)
    except ValueError:
        raise SdError(who, "scores", got="lists of unequal length", need=need) from None
    if array.dtype.kind not in "fiu":
        raise SdError(who, "scores", got=f"values of type {array.dtype}", need=need)
    return array.astype(np.float64, copy=False)


def sort_class(scores: npt.ArrayLike, name: str) -> np.ndarray:
    """Ascending float64 copy of the scores of the class `name`.

    Raises
    ------
    SdError
        If there is no score, if one is NaN, or if they are not a vector of numbers.
    """
    given = as_numbers(scores, name)
    if given.ndim != 1:
        got = f"an array of shape {given.shape}"
        raise SdError(name, "scores", got=got, need="one score per trial")
    if len(given) == 0:
        hint = "Score trials of both classes"
        raise SdError(name, "scores", got="none", need="one or more", hint=hint)
    ascending = np.sort(given)
    if np.isnan(ascending[-1]):
        where = f"{name}[{np.flatnonzero(np.isnan(given))[0]}]"
        hint = "Find out why the system cannot score this trial"
        raise SdError(where, "score", got="NaN", need="a number", hint=hint)
    return ascending


def sort_scores(genuine: npt.ArrayLike, spoof: npt.ArrayLike) -> SortedScores:
    """Check and sort the scores of genuine and of spoof trials, (num_trials,) each.

    Raises
    ------
    SdError
        As `sort_class`.
    """
    with ThreadPoolExecutor(2) as pool:
        return SortedScores(*pool.map(sort_class, (genuine, spoof), SortedScores._fields))


def roc(scores: SortedScores, thresholds: npt.ArrayLike) -> Roc:
    """Operating points at rising thresholds."""
    thresholds = np.asarray(thresholds)
    num_miss = np.searchsorted(scores.genuine, thresholds)
    num_false_alarms = len(scores.spoof) - np.searchsorted(scores.spoof, thresholds)
    return Roc(thresholds, num_miss, num_false_alarms, len(scores.genuine), len(scores.spoof))


def convex_hull(scores: SortedScores) -> Roc:
    """Vertices of the lower convex hull of all operating points, accept-all and reject-all too.

    Notes
    -----
    They are the ends of the blocks of pool adjacent violators (PAV), which is done here in exact
    integers: a block is joined with the one before it if its genuine fraction is not higher. Whole
    runs are joined at once, so there are few rounds
    (`test_roc.py::test_pav_is_isotonic_regression`). Blocks begin at genuine scores: a threshold
    just above a spoof score and below the next genuine score has the same cost.
    """
    genuine, spoof = scores
    num_genuine, num_spoof = len(genuine), len(spoof)
    num_rejected = np.searchsorted(spoof, genuine)
    corners = np.flatnonzero(np.diff(num_rejected, prepend=0))
    lowest = min(genuine[0], spoof[0])
    hull = Roc(
        np.concatenate([[lowest], genuine[corners], [np.inf]]),
        np.concatenate([[0], corners, [num_genuine]]),
        num_spoof - np.concatenate([[0], num_rejected[corners], [num_spoof]]),
        num_genuine,
        num_spoof,
    )
    while True:
        in_genuine, in_spoof = np.diff(hull.num_miss), -np.diff(hull.num_false_alarms)
        rises = in_genuine[1:] * in_spoof[:-1] > in_genuine[:-1] * in_spoof[1:]
        if rises.all():
            return hull
        hull = hull[np.concatenate([[True], rises, [True]])]


def pav_llrs(hull: Roc) -> np.ndarray:
    """LLR of each PAV block of a convex hull, (num_points - 1,), rising.

    It is -inf or inf where a block has one class only.
    """
    with np.errstate(divide="ignore"):
        return np.log(np.diff(hull.p_miss)) - np.log(-np.diff(hull.p_false_alarm))
