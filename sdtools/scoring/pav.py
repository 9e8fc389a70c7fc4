"""Monotone calibration of one system by pool adjacent violators (PAV)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sdtools.errors import SdError
from sdtools.scoring.fusion import Fusion
from sdtools.scoring.metrics import cllr
from sdtools.scoring.roc import SortedScores, as_numbers, convex_hull, sort_scores
from sdtools.scoring.training_data import as_truth, check_scores


def train_pav(scores: npt.ArrayLike, is_genuine: npt.ArrayLike) -> Fusion:
    """Monotone calibration of the scores of one system.

    Parameters
    ----------
    scores : (num_trials, 1) array
        Finite.
    is_genuine : (num_trials,) bool array

    Raises
    ------
    SdError
        If there is more than one system, a score is not finite, or a class has no trials.
    """
    scores, is_genuine = as_numbers(scores, "train_pav"), as_truth(is_genuine)
    if scores.ndim != 2 or scores.shape[1] != 1 or is_genuine.shape != scores.shape[:1]:
        got, need = f"shapes {scores.shape} and {is_genuine.shape}", "(trials, 1) and (trials,)"
        hint = "Fuse several systems first"
        raise SdError("train_pav", "scores and is_genuine", got=got, need=need, hint=hint)
    check_scores(scores)
    by_class = sort_scores(scores[is_genuine, 0], scores[~is_genuine, 0])
    knots = pav_knots(by_class)
    objective = cllr(SortedScores(*(np.interp(values, *knots) for values in by_class)))
    num_genuine, num_spoof = map(len, by_class)
    return Fusion(np.ones(1), 0.0, 0.5, 0.0, objective, num_genuine, num_spoof, knots=knots)


def pav_knots(scores: SortedScores) -> np.ndarray:
    """Rising scores and their LLRs, (2, num_knots), of a monotone calibration.

    It is linear between the knots and constant outside.

    Notes
    -----
    The LLRs are those of PAV blocks, at the (lower) median of each block's scores. One more genuine
    and one more spoof trial at either end make all of them finite (`test_pav.py::test_pav_knots`).
    Scores must be finite.
    """
    ends = [-np.inf], [np.inf]
    padded = SortedScores(*(np.concatenate([ends[0], values, ends[1]]) for values in scores))
    hull = convex_hull(padded)
    num_genuine, num_spoof = map(len, scores)
    ratios = np.diff(hull.num_miss) / -np.diff(hull.num_false_alarms)
    llrs = np.log(ratios) - math.log(num_genuine / num_spoof)
    both = np.sort(np.concatenate(scores))
    edges = np.searchsorted(both, hull.thresholds)
    is_filled = edges[1:] > edges[:-1]
    medians = both[(edges[:-1] + edges[1:] - 1)[is_filled] // 2]
    return np.stack([medians, llrs[is_filled]])
