"""Linear fusion and calibration of scores by prior-weighted logistic regression.

The fused score is a natural-log likelihood ratio: LLR = scores @ weights + offset. With one system
this is a calibration.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sdtools.errors import SdError, SdWarning
from sdtools.scoring.logistic import (
    ClassTrials,
    Minimum,
    SeparableError,
    minimise,
    minimise_nonnegative,
)
from sdtools.scoring.metrics import MetricOptions
from sdtools.scoring.roc import as_numbers
from sdtools.scoring.training_data import TrainingData, check_training

AUTO_RIDGE = 1e-3
FAR = 1e6  # an LLR beyond every bound
USELESS = 1e-6  # deviation of the LLRs of a system without information


@dataclass(frozen=True)
class FusionOptions:
    """What the fusion minimises."""

    prior: float = field(
        default=0.5, metadata={"help": "prior probability of genuine speech in training"}
    )
    costs: tuple[float, ...] = field(
        default=(),
        metadata={"help": "P(spoof),Cmiss,Cfa instead of a prior, such as 0.05,1,10"},
    )
    nonnegative: bool = field(
        default=False,
        metadata={"help": "no weight below 0: such a system gets weight 0"},
    )
    ridge: float = field(
        default=0.0, metadata={"help": "penalty ridge/2 |weights|^2 added to the objective"}
    )
    auto_ridge: bool = field(
        default=False,
        metadata={"help": f"use ridge {AUTO_RIDGE} if a fusion separates the training data"},
    )

    def __post_init__(self) -> None:
        costs = ",".join(map(str, self.costs))
        if not 0 < self.prior < 1:
            raise SdError("--prior", got=self.prior, need="more than 0 and less than 1")
        if self.costs and not (
            len(self.costs) == 3
            and 0 < self.costs[0] < 1
            and all(0 < cost < math.inf for cost in self.costs[1:])
        ):
            need = "P(spoof),Cmiss,Cfa: a probability and two positive numbers"
            raise SdError("--costs", got=costs, need=need)
        if not 0 < self.effective_prior < 1:
            need = "costs for which the decision depends on the score"
            raise SdError("--costs", got=costs, need=need)
        if self.costs and self.prior != 0.5:
            got = f"{self.prior} and {costs}"
            hint = "Leave out the other"
            raise SdError("--prior, --costs", got=got, need="one of them", hint=hint)
        if not 0 <= self.ridge < math.inf:
            raise SdError("--ridge", got=self.ridge, need="0 or a positive number")

    @property
    def effective_prior(self) -> float:
        """The prior, or the one that is equivalent to the costs."""
        if not self.costs:
            return self.prior
        p_spoof, c_miss, c_fa = self.costs
        return MetricOptions(p_spoof=p_spoof, c_miss=c_miss, c_fa=c_fa).effective_prior


@dataclass(frozen=True)
class Fusion:
    """LLR = scores @ weights + offset, and how it was trained.

    Parameters
    ----------
    weights : (num_systems,) array
    offset
    prior, ridge
        As in training.
    objective
        The minimum in training; 1 is no better than no scores.
    num_genuine, num_spoof
        Number of training trials.
    neutral : (num_systems,) array, optional
        The score that replaces a missing one, if missing scores were allowed.
    knots : (2, num_knots) array, optional
        Rising sums and their LLRs; the LLR is linear between them and constant outside.
    num_folds
        Of a cross-validation whose LLRs were written in training, else 0.
    bound
        Limit that the magnitude of LLRs approaches (`bounded`), if there is one.
    """

    weights: np.ndarray
    offset: float
    prior: float
    ridge: float
    objective: float
    num_genuine: int
    num_spoof: int
    neutral: np.ndarray | None = None
    knots: np.ndarray | None = None
    num_folds: int = 0
    bound: float | None = None


def train_fusion(
    scores: npt.ArrayLike,
    is_genuine: npt.ArrayLike,
    options: FusionOptions = FusionOptions(),
    trial_weights: npt.ArrayLike | None = None,
    allow_missing: bool = False,
) -> Fusion:
    """Train weights and offset that turn scores into a natural-log likelihood ratio.

    Parameters
    ----------
    scores : (num_trials, num_systems) array or list of lists
        Finite. With `allow_missing` also NaN where a system has no score; this is replaced by the
        score to which the calibration of this system alone gives LLR 0.
    is_genuine : (num_trials,) bool array or list
    options
    trial_weights : (num_trials,) array or list, optional
        Weight of each trial within its class, 0 or more. Default: all the same.
    allow_missing
        Whether scores may be missing, now or when the fusion is applied.

    Returns
    -------
    Fusion

    Raises
    ------
    SdError
        If a score is infinite, a class has no trials, a trial weight is negative, or shapes differ.
    SeparableError
        If the scores separate the classes and there is no ridge.

    Notes
    -----
    Minimises p mean_genuine softplus(-(f + logit p)) + (1 - p) mean_spoof softplus(f + logit p)
    + ridge/2 |w|^2, f = w.x + b, and divides it by the entropy of the prior. f is the LLR: logit p
    is not part of it. Columns are standardised for this. Without a ridge the fit does not depend on
    their scale (`test_fusion.py::test_affine_maps_of_the_columns`). Warns of weights that are
    doubtful.

    References
    ----------
    N. Brümmer and E. de Villiers, "The BOSARIS Toolkit User Guide", 2011.

    Examples
    --------
    >>> scores = [[2], [1], [0], [1], [-1], [0]]
    >>> fusion = train_fusion(scores, [True, True, True, False, False, False])
    >>> fusion.weights.round(3), round(fusion.offset, 3)
    (array([1.386]), -0.693)
    >>> apply_fusion(fusion, [[0.5]]).round(3)
    array([0.])
    """
    data = check_training(scores, is_genuine, trial_weights, allow_missing)
    neutral = None
    if allow_missing:
        neutral = np.array([_neutral_score(data, k, options) for k in range(data.scores.shape[1])])
        data = replace(data, scores=fill_missing(data.scores, neutral))
    fusion, doubts = _train(data, options)
    for doubt in doubts:
        warnings.warn(doubt, stacklevel=2)
    return replace(fusion, neutral=neutral)


def apply_fusion(fusion: Fusion, scores: npt.ArrayLike) -> np.ndarray:
    """Log-likelihood ratios of scores.

    Parameters
    ----------
    fusion
    scores : (num_trials, num_systems) array or list of lists
        Columns in the order of training. NaN, a missing score, only if training allowed it.

    Returns
    -------
    (num_trials,) array

    Raises
    ------
    SdError
        If the number of systems is another one, or an LLR would be NaN.

    Examples
    --------
    >>> fusion = Fusion(np.array([0.5, 1.0]), -1.0, 0.5, 0.0, 0.4, 100, 100)
    >>> apply_fusion(fusion, [[2, 3], [0, -1]])
    array([ 3., -2.])
    """
    scores = as_numbers(scores, "apply_fusion")
    num_systems = len(fusion.weights)
    if scores.ndim != 2 or scores.shape[1] != num_systems:
        need = f"shape (trials, {num_systems}), as in training"
        hint = "Give the scores of each system"
        raise SdError("apply_fusion", "scores", got=f"shape {scores.shape}", need=need, hint=hint)
    if fusion.neutral is not None:
        scores = fill_missing(scores, fusion.neutral)
    used = fusion.weights != 0  # a score without weight may be infinite
    with np.errstate(invalid="ignore", over="ignore"):
        llrs = scores[:, used] @ fusion.weights[used] + fusion.offset
    if np.isnan(llrs).any():
        trial = int(np.flatnonzero(np.isnan(llrs))[0])
        got = "NaN, or inf of opposite signs"
        hint = "Leave out or repair this trial"
        raise SdError(f"scores[{trial}]", "scores", got=got, need="numbers", hint=hint)
    if fusion.knots is not None:
        llrs = np.interp(llrs, *fusion.knots)
    return llrs if fusion.bound is None else bounded(llrs, fusion.bound)


def bounded(llrs: np.ndarray, bound: float) -> np.ndarray:
    """LLRs between -`bound` and `bound`, in the same order.

    Notes
    -----
    Each class may hold a share of the other one, e = exp(-bound) times as large: the likelihood
    ratio is then (LR + e)/(1 + e LR) in place of LR.

    Examples
    --------
    >>> bounded(np.array([-50.0, 0.0, 1.0, 3.0, 50.0]), 3.0).round(2)
    array([-3.  ,  0.  ,  0.89,  2.31,  3.  ])
    """
    llrs = np.clip(llrs, -FAR, FAR)
    return np.logaddexp(llrs, -bound) - np.logaddexp(0, llrs - bound)


def fill_missing(scores: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Scores, (num_trials, num_systems), with each system's neutral score in place of NaN."""
    return np.where(np.isnan(scores), neutral, scores)


def _neutral_score(data: TrainingData, system: int, options: FusionOptions) -> float:
    """The score to which the calibration of a system by its own trials gives LLR 0."""
    has = np.flatnonzero(~np.isnan(data.scores[:, system]))
    alone = replace(data.subset(has), scores=data.scores[has, system : system + 1])
    calibration, _ = _train(alone, replace(options, auto_ridge=True, nonnegative=False))
    (weight,), values = calibration.weights, alone.scores
    if abs(weight) * values.std() > USELESS:
        return -calibration.offset / weight
    return float(values.mean())


def _train(data: TrainingData, options: FusionOptions) -> tuple[Fusion, list[SdWarning]]:
    """The fusion of finite scores, and what is doubtful about it."""
    prior = options.effective_prior
    entropy = -prior * math.log(prior) - (1 - prior) * math.log1p(-prior)
    columns, mean, scale, is_constant = _standardised(data.scores)
    classes = _weighted_classes(columns, data, prior, entropy)
    ridge, doubts = options.ridge, []
    solve = minimise_nonnegative if options.nonnegative else minimise
    try:
        found = solve(classes, np.append(ridge / entropy / scale**2, 0))
    except SeparableError as error:
        if not options.auto_ridge:
            raise
        ridge = AUTO_RIDGE
        doubts.append(SdWarning(error.who, error.what, hint=f"Trained with ridge {ridge}"))
        found = solve(classes, np.append(ridge / entropy / scale**2, 0))
    weights = found.weights[:-1] / scale
    offset = float(found.weights[-1] - weights @ mean)
    num_genuine = int(data.is_genuine.sum())
    num_spoof = len(data.is_genuine) - num_genuine
    doubts += _doubts(weights, is_constant, found, options.nonnegative)
    fusion = Fusion(weights, offset, prior, ridge, float(found.value), num_genuine, num_spoof)
    return fusion, doubts


def _standardised(
    scores: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows (num_systems + 1, num_trials) of mean 0 and deviation 1, and a last one of ones.

    Also mean and scale of each system, and whether its scores are all the same.
    """
    rows = np.ones((scores.shape[1] + 1, len(scores)))
    rows[:-1] = scores.T
    systems = rows[:-1]
    is_constant = systems.min(axis=1) == systems.max(axis=1)
    mean = systems.mean(axis=1)
    systems -= mean[:, None]
    systems[is_constant] = 0
    scale = np.where(is_constant, 1, systems.std(axis=1))
    systems /= scale[:, None]
    return rows, mean, scale, is_constant


def _weighted_classes(
    rows: np.ndarray, data: TrainingData, prior: float, entropy: float
) -> list[ClassTrials]:
    """The trials of each class, whose weights sum to its share of the objective."""
    logit = math.log(prior) - math.log1p(-prior)
    classes = []
    for members, sign, share in ((data.is_genuine, -1, prior), (~data.is_genuine, 1, 1 - prior)):
        chosen = np.flatnonzero(members)
        v = data.trial_weights[chosen]
        weights = v * (share / entropy / v.sum())
        classes.append(ClassTrials(sign * rows[:, chosen], sign * logit, weights))
    return classes


def _doubts(
    weights: np.ndarray, is_constant: np.ndarray, found: Minimum, is_bounded: bool
) -> list[SdWarning]:
    """What in the training data makes the weights doubtful; systems are counted from 1."""

    def systems(chosen: np.ndarray) -> str:
        numbers = ", ".join(str(k + 1) for k in np.flatnonzero(chosen))
        return f"systems {numbers}" if chosen.sum() > 1 else f"system {numbers}"

    doubts = []
    if is_constant.any():
        what, hint = "the score is the same in all trials, so the weight is 0", "Check the scores"
        doubts.append(SdWarning(systems(is_constant), what, hint=hint))
    unused = (weights == 0) & ~is_constant
    if is_bounded and unused.any():
        what = "the weight is 0, because it would be negative"
        doubts.append(SdWarning(systems(unused), what, hint="Leave it out"))
    elif found.rank < len(weights) + 1 - is_constant.sum():
        what = "the scores are linear functions of each other and share the weight"
        doubts.append(SdWarning("systems", what, hint="Leave one out"))
    if (weights < 0).any():
        got = ", ".join(f"{weight:.3g}" for weight in weights[weights < 0])
        hint = (
            "The sign of the scores is wrong, or this system corrects the others. Try the fusion "
            "without it"
        )
        doubts.append(SdWarning(systems(weights < 0), "negative weight", got=got, hint=hint))
    return doubts
