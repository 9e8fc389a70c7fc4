"""Linear fusion and calibration of scores by prior-weighted logistic regression."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, replace

import numpy as np

AUTO_RIDGE = 1e-3
CHUNK = 1 << 14
"""Trials at once: what they need stays in the cache."""
MAX_STEPS = 100
TOLERANCE = 1e-10
"""Directions with at most this share of the largest curvature are left out; one that keeps less than this of its own has no minimum."""


@dataclass(frozen=True)
class FusionOptions:
    """What the fusion minimises."""

    prior: float = field(default=0.5, metadata={"help": "prior probability of genuine speech that the training weights aim at"})
    ridge: float = field(default=0.0, metadata={"help": "penalty ridge/2 |weights|^2 added to the objective"})
    auto_ridge: bool = field(default=False, metadata={"help": f"apply ridge {AUTO_RIDGE} if a fusion separates the training data"})

    def __post_init__(self):
        if not 0 < self.prior < 1:
            raise ValueError(f"FusionOptions: prior: got {self.prior}, need more than 0 and less than 1")
        if not 0 <= self.ridge < math.inf:
            raise ValueError(f"FusionOptions: ridge: got {self.ridge}, need 0 or a positive number")


@dataclass(frozen=True)
class Fusion:
    """LLR = scores @ weights + offset, and how it was trained; objective 1 is as good as no scores."""

    weights: np.ndarray
    offset: float
    prior: float
    ridge: float
    objective: float
    num_genuine: int
    num_spoof: int


class SeparableError(ValueError):
    """The objective has no minimum: a fusion separates the training data."""


def train_fusion(scores: np.ndarray, is_genuine: np.ndarray, options: FusionOptions | None = None) -> Fusion:
    """Weights and offset that turn the scores of one or more systems into a natural-log likelihood ratio.

    Parameters
    ----------
    scores : (num_trials, num_systems) array
        Finite.
    is_genuine : (num_trials,) bool array

    Raises
    ------
    ValueError
        A score that is not finite, a class without trials.
    SeparableError
        Training data that a fusion separates, and no ridge.

    Notes
    -----
    Minimises p mean_genuine softplus(-(f + logit p)) + (1 - p) mean_spoof softplus(f + logit p) + ridge/2 |w|^2, f = w.x + b,
    by Newton's method on standardised columns, and divides it by the entropy of the prior. f is the LLR: logit p is not part of
    it. Minimum-norm steps leave out what constant or collinear columns cannot determine. The fit does not depend on the columns'
    scale (`test_fusion.py::test_affine_maps_of_the_columns`).

    References
    ----------
    N. Brümmer and E. de Villiers, "The BOSARIS Toolkit User Guide", 2011.
    """
    options = options or FusionOptions()
    scores, is_genuine = np.asarray(scores, np.float64), np.asarray(is_genuine, bool)
    if scores.ndim != 2 or is_genuine.shape != scores.shape[:1]:
        raise ValueError(
            f"train_fusion: scores, labels: got shapes {scores.shape}, {is_genuine.shape}, need (trials, systems), (trials,). Join by id"
        )
    num_genuine = int(is_genuine.sum())
    num_spoof = len(is_genuine) - num_genuine
    if not num_genuine or not num_spoof:
        raise ValueError(f"train_fusion: trials: got {num_genuine} genuine, {num_spoof} spoof, need both. Check the labels")
    x = np.ones((scores.shape[1] + 1, len(scores)))  # one row a system, and one for the offset
    x[:-1] = scores.T
    columns = x[:-1]
    bad = np.flatnonzero(~np.isfinite(columns).all(axis=1))
    if len(bad):
        raise ValueError(f"train_fusion: system {bad[0] + 1}: got inf or NaN, need finite scores. Leave out or repair those trials")
    constant = columns.min(axis=1) == columns.max(axis=1)
    mean = columns.mean(axis=1)
    columns -= mean[:, None]
    columns[constant] = 0
    scale = np.where(constant, 1, columns.std(axis=1))
    columns /= scale[:, None]
    prior = options.prior
    logit = math.log(prior) - math.log1p(-prior)
    entropy = -prior * math.log(prior) - (1 - prior) * math.log1p(-prior)
    classes = (
        (-x[:, np.flatnonzero(is_genuine)], -logit, prior / entropy / num_genuine),
        (x[:, np.flatnonzero(~is_genuine)], logit, (1 - prior) / entropy / num_spoof),
    )
    try:
        w, value, rank = _newton(classes, np.append(options.ridge / entropy / scale**2, 0))
    except SeparableError as error:
        if not options.auto_ridge:
            raise
        warnings.warn(f"{error}. Trained with ridge {AUTO_RIDGE}", stacklevel=2)
        return train_fusion(scores, is_genuine, replace(options, ridge=AUTO_RIDGE, auto_ridge=False))
    weights = w[:-1] / scale
    _warn(weights, constant, rank)
    return Fusion(weights, float(w[-1] - weights @ mean), prior, options.ridge, float(value), num_genuine, num_spoof)


def apply_fusion(fusion: Fusion, scores: np.ndarray) -> np.ndarray:
    """Log-likelihood ratios, (num_trials,), of scores, (num_trials, num_systems), whose columns are in the order of training.

    Raises
    ------
    ValueError
        Another number of systems; inf - inf.
    """
    scores = np.asarray(scores, np.float64)
    if scores.shape[1] != len(fusion.weights):
        raise ValueError(
            f"apply_fusion: systems: got {scores.shape[1]}, need {len(fusion.weights)}, as in training. Give one file for each"
        )
    with np.errstate(invalid="ignore"):
        llrs = scores @ fusion.weights + fusion.offset
    if np.isnan(llrs).any():
        raise ValueError("apply_fusion: scores: got NaN, or inf that other scores undo, need numbers. Leave out or repair those trials")
    return llrs


def _newton(classes: tuple, penalty: np.ndarray) -> tuple[np.ndarray, float, int]:
    """Minimum of the objective plus penalty/2 w^2, its value and the rank of the problem; steps are halved until they descend."""
    w = np.zeros(len(penalty))
    value, gradient, hessian = _objective(classes, penalty, w)
    curvatures, directions = np.linalg.eigh(hessian)
    kept = curvatures > TOLERANCE * curvatures[-1]
    basis = directions[:, kept] / np.sqrt(curvatures[kept])  # in which the Hessian starts as the identity
    for _ in range(MAX_STEPS):
        curvatures, directions = np.linalg.eigh(basis.T @ hessian @ basis)
        if curvatures[0] < TOLERANCE:
            break
        slopes = directions.T @ (basis.T @ gradient)
        step = -basis @ (directions @ (slopes / curvatures))
        if slopes**2 @ (1 / curvatures) <= 1e-14:
            return w + step, value, basis.shape[1]
        while (trial := _objective(classes, penalty, w + step))[0] > value * (1 + 1e-12):
            step /= 2
        w = w + step
        value, gradient, hessian = trial
    raise SeparableError(
        "train_fusion: training data: got classes that a weighted sum of the scores separates, need some overlap for finite weights. "
        f"Use --ridge={AUTO_RIDGE} (or more) or --auto-ridge"
    )


def _objective(classes: tuple, penalty: np.ndarray, w: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Sum of weight softplus(w.x + offset) over the trials of both classes, plus penalty/2 w^2; its gradient and Hessian."""
    value, gradient, hessian = penalty @ w**2 / 2, penalty * w, np.diag(penalty)
    for x, offset, weight in classes:
        for start in range(0, x.shape[1], CHUNK):
            part = x[:, start : start + CHUNK]
            z = w @ part + offset
            e = np.exp(-np.abs(z))
            value += weight * (np.maximum(z, 0) + np.log1p(e)).sum()
            gradient = gradient + weight * (part @ (np.where(z > 0, 1, e) / (1 + e)))
            hessian = hessian + weight * ((part * (e / (1 + e) ** 2)) @ part.T)
    return value, gradient, hessian


def _warn(weights: np.ndarray, constant: np.ndarray, rank: int) -> None:
    """Say what of the training data makes the weights doubtful; systems are counted from 1."""
    if constant.any():
        names = ", ".join(str(k + 1) for k in np.flatnonzero(constant))
        warnings.warn(f"train_fusion: system {names}: got the same score for all trials. It has weight 0; look at its scores", stacklevel=3)
    if rank < len(weights) + 1 - constant.sum():
        warnings.warn(
            "train_fusion: systems: got scores that are linear functions of each other. Their weights are shared out; leave one out",
            stacklevel=3,
        )
    if (weights < 0).any():
        names = ", ".join(f"{k + 1} ({weights[k]:.3g})" for k in np.flatnonzero(weights < 0))
        warnings.warn(
            f"train_fusion: system {names}: got a negative weight, need positive ones where higher means genuine; the wrong sign, or "
            "a system that corrects the others. Try the fusion without it",
            stacklevel=3,
        )
