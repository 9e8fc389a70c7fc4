"""Calibration of what is deployed, on the scores of few speakers.

A small set of scores is often told apart without an error. Logistic regression then finds any LLR,
and these are wrong on new speech. Three things prevent this: the scores come from models that did
not see the speaker (`local/cross_fit.sh`), a ridge is chosen by the Cllr of speakers that were left
out, and the LLRs are bounded by what the number of trials can support.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sdtools.errors import SdError, SdWarning, warn
from sdtools.scoring.folds import assign_folds, cross_validate
from sdtools.scoring.fusion import Fusion, FusionOptions, bounded, train_fusion
from sdtools.scoring.metrics import cllr
from sdtools.scoring.roc import sort_scores

RIDGES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
NUM_FOLDS = 5  # in which the models of cross-fitted scores are trained
MAX_LEFT_OUT = 30  # folds of speakers that the choice of the ridge leaves out, one after another


class Calibration(NamedTuple):
    """A fusion, and the LLR of each trial by the fusion of the other speakers, (num_trials,)."""

    fusion: Fusion
    llrs: np.ndarray


def calibrate(scores: np.ndarray, is_genuine: np.ndarray, groups: np.ndarray) -> Calibration:
    """Fuse or calibrate cross-fitted scores.

    Parameters
    ----------
    scores : (num_trials, num_systems) array
        Finite; each by models that were trained on other groups.
    is_genuine : (num_trials,) bool array
    groups : (num_trials,) array
        A number for the group of each trial, as `independent_groups` gives it.

    Returns
    -------
    Calibration
        Its LLRs stay below ln(n + 1) in magnitude (`fusion.bounded`), n the trials of the smaller
        class: n trials without an exception support odds of n + 1 to 1 and no more.

    Raises
    ------
    SdError
        As `train_fusion` and `spread_folds`.

    References
    ----------
    P. Vergeer et al., "Numerical likelihood ratios outputted by LR systems are often based on
    extrapolation: when to stop extrapolating?", Science & Justice, 2016.
    """
    num_genuine = int(is_genuine.sum())
    bound = math.log(min(num_genuine, len(is_genuine) - num_genuine) + 1)
    folds = spread_folds(is_genuine, groups, MAX_LEFT_OUT)

    def left_out(ridge: float) -> np.ndarray:
        llrs = cross_validate(scores, is_genuine, folds, FusionOptions(ridge=ridge))
        return bounded(llrs, bound)

    with warnings.catch_warnings():  # the fusion of all trials issues them once
        warnings.simplefilter("ignore", SdWarning)
        candidates = [(left_out(ridge), ridge) for ridge in RIDGES]
    costs = [cllr(sort_scores(llrs[is_genuine], llrs[~is_genuine])) for llrs, _ in candidates]
    llrs, ridge = candidates[int(np.argmin(costs))]
    fusion = train_fusion(scores, is_genuine, FusionOptions(ridge=ridge))
    return Calibration(replace(fusion, bound=bound), llrs)


def independent_groups(is_genuine: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """The group of each trial, (num_trials,): its speaker, or the trial itself.

    Trials are their own groups, with a warning, if a class has only one speaker. Nothing can then
    be told about other speakers.

    Parameters
    ----------
    is_genuine : (num_trials,) bool array
    speakers : (num_trials,) array
        Names or numbers.
    """
    for label, members in (("genuine", is_genuine), ("spoof", ~is_genuine)):
        if len(np.unique(speakers[members])) < 2:
            what = f"all {label} trials are of one speaker, so folds are by recording"
            warn("calibration", what, hint="It says nothing about other speakers. Record more")
            return np.arange(len(speakers))
    return np.unique(speakers, return_inverse=True)[1]


def spread_folds(is_genuine: np.ndarray, groups: np.ndarray, most: int) -> np.ndarray:
    """The fold of each trial, (num_trials,), from 0: `most` folds, or as many as groups allow.

    Parameters are those of `calibrate`.

    Raises
    ------
    SdError
        If a class has only one group.
    """
    for num_folds in range(min(most, len(np.unique(groups))), 1, -1):
        try:
            return assign_folds(is_genuine, groups, num_folds)
        except SdError:  # all trials of a class are in one fold
            continue
    got = " and ".join(str(len(np.unique(groups[of]))) for of in (is_genuine, ~is_genuine))
    need, hint = "two or more speakers or recordings of each class", "Add recordings"
    raise SdError("calibration", "genuine and spoof groups", got=got, need=need, hint=hint)
