"""Training data of a fusion or calibration, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtools.errors import SdError
from sdtools.scoring.roc import as_numbers

MAX_SIZE = 1e100  # of a score; 1 / MAX_SIZE is the least difference of two extremes


@dataclass(frozen=True)
class TrainingData:
    """Scores (num_trials, num_systems), truth and weight of each trial, (num_trials,)."""

    scores: np.ndarray
    is_genuine: np.ndarray
    trial_weights: np.ndarray

    def subset(self, keep: np.ndarray) -> TrainingData:
        """The trials with the indices `keep`."""
        return TrainingData(self.scores[keep], self.is_genuine[keep], self.trial_weights[keep])


def check_scores(scores: np.ndarray, allow_missing: bool = False) -> None:
    """Refuse scores that are not finite, or so large or close that their squares leave float64.

    Parameters
    ----------
    scores : (num_trials, num_systems) array
    allow_missing
        Whether NaN is allowed.

    Raises
    ------
    SdError
        With trial, counted from 0, and system, counted from 1.
    """
    usable = np.isfinite(scores) | (np.isnan(scores) if allow_missing else False)
    if not usable.all():
        trial, system = np.argwhere(~usable)[0]
        what, got = f"score of system {system + 1}", scores[trial, system]
        hint = "Leave out or repair this trial"
        raise SdError(
            f"scores[{trial}, {system}]", what, got=got, need="a finite number", hint=hint
        )
    for k, column in enumerate(scores.T, 1):
        low, high = np.nanmin(column), np.nanmax(column)
        if max(-low, high) > MAX_SIZE or 0 < high - low < 1 / MAX_SIZE:
            raise SdError(
                f"system {k}",
                "scores",
                got=f"{low:g} to {high:g}",
                need=f"at most {MAX_SIZE:g}, and differences of at least {1 / MAX_SIZE:g}",
                hint="They are not log-likelihood ratios. Check where they come from",
            )


def as_truth(is_genuine: npt.ArrayLike) -> np.ndarray:
    """Truth values as a bool array; 0 and 1 are taken.

    Raises
    ------
    SdError
        If a value is neither true nor false.
    """
    array = np.asarray(is_genuine)
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise SdError("is_genuine", need="True for genuine trials, False for spoof trials")
    return array.astype(bool)


def check_training(
    scores: npt.ArrayLike,
    is_genuine: npt.ArrayLike,
    trial_weights: npt.ArrayLike | None,
    allow_missing: bool,
) -> TrainingData:
    """Training data without the trials of weight 0; parameters as `fusion.train_fusion`."""
    scores, is_genuine = as_numbers(scores, "train_fusion"), as_truth(is_genuine)
    if scores.ndim != 2 or scores.size == 0 or is_genuine.shape != scores.shape[:1]:
        got = f"shapes {scores.shape} and {is_genuine.shape}"
        need = "(trials, systems) and (trials,)"
        raise SdError("train_fusion", "scores and is_genuine", got=got, need=need)
    if trial_weights is None:
        trial_weights = np.ones(len(scores))
    trial_weights = as_numbers(trial_weights, "trial_weights")
    if trial_weights.shape != is_genuine.shape:
        got, need = f"shape {trial_weights.shape}", f"one for each of {len(is_genuine)} trials"
        raise SdError("trial_weights", got=got, need=need)
    bad = np.flatnonzero(~((trial_weights >= 0) & (trial_weights < np.inf)))
    if len(bad):
        got, need = trial_weights[bad[0]], "a finite number, 0 or more"
        raise SdError(f"trial_weights[{bad[0]}]", got=got, need=need)
    data = TrainingData(scores, is_genuine, trial_weights)
    if not trial_weights.all():
        data = data.subset(np.flatnonzero(trial_weights))
    for name, members in (("genuine", data.is_genuine), ("spoof", ~data.is_genuine)):
        if not members.any():
            hint = "Check the labels and the trial weights"
            raise SdError("train_fusion", f"{name} trials", got="none", need="some", hint=hint)
        unscored = np.isnan(data.scores[members]).all(axis=0) if allow_missing else np.array([])
        if unscored.any():
            who, what = f"system {np.argmax(unscored) + 1}", f"scores of {name} trials"
            raise SdError(who, what, got="none", need="some", hint="Leave this system out")
    check_scores(data.scores, allow_missing)
    return data
