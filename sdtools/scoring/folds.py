"""Cross-validation of a fusion: LLRs of trials that were not in training."""

from __future__ import annotations

import numpy as np

from sdtools.errors import SdError
from sdtools.scoring.fusion import FusionOptions, apply_fusion, train_fusion


def assign_folds(is_genuine: np.ndarray, groups: np.ndarray, num_folds: int) -> np.ndarray:
    """The fold of each trial, (num_trials,), from 0.

    Trials of a group stay together, and each class is spread as evenly as that allows.

    Parameters
    ----------
    is_genuine : (num_trials,) bool array
    groups : (num_trials,) array
        A number for the group, such as the speaker, of each trial.
    num_folds

    Raises
    ------
    SdError
        If there are fewer groups than folds, or all trials of a class are in one fold.

    Notes
    -----
    Takes the largest group first and puts it into the fold that it overfills least. The order of
    the trials does not matter (`test_folds.py::test_folds`).
    """
    names, numbers = np.unique(groups, return_inverse=True)
    classes = is_genuine, ~is_genuine
    sizes = np.stack([np.bincount(numbers[c], minlength=len(names)) for c in classes], axis=1)
    shares = sizes / sizes.sum(axis=0)
    loads, fold_of_group = np.zeros((num_folds, 2)), np.empty(len(names), int)
    for group in sorted(range(len(names)), key=lambda g: (-shares[g].sum(), g)):
        fold = int(np.argmin(((loads + shares[group]) ** 2 - loads**2).sum(axis=1)))
        fold_of_group[group] = fold
        loads[fold] += shares[group]
    if len(names) < num_folds or (loads > 1 - 1e-9).any():
        raise SdError(
            "assign_folds",
            "groups",
            got=f"{len(names)} for {num_folds} folds",
            need="at least one per fold, and each class in more than one fold",
            hint="Use fewer folds",
        )
    return fold_of_group[numbers]


def cross_validate(
    scores: np.ndarray,
    is_genuine: np.ndarray,
    folds: np.ndarray,
    options: FusionOptions,
    trial_weights: np.ndarray | None = None,
) -> np.ndarray:
    """LLR of each trial, (num_trials,), by the fusion that is trained on the other folds.

    `folds` is that of `assign_folds`; the other parameters and the errors are those of
    `train_fusion`.
    """
    llrs = np.empty(len(scores))
    allow_missing = bool(np.isnan(scores).any())
    for fold in np.unique(folds):
        out = folds == fold
        weights = None if trial_weights is None else trial_weights[~out]
        fusion = train_fusion(scores[~out], is_genuine[~out], options, weights, allow_missing)
        llrs[out] = apply_fusion(fusion, scores[out])
    return llrs
