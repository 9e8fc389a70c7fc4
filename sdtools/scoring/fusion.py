"""Linear fusion and calibration of scores by prior-weighted logistic regression."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, replace

import numpy as np

from sdtools.scoring.metrics import MetricOptions, Scores, cllr, pav_calibration, sort_scores

AUTO_RIDGE = 1e-3
CHUNK = 1 << 14
"""Trials at once: what they need stays in the cache."""
MAX_SIZE = 1e100
"""Of a score; its inverse is the least difference of two extremes."""
MAX_STEPS = 100
USELESS = 1e-6
"""Deviation of the LLRs of a system that says nothing."""
TOLERANCE = 1e-10
"""Directions with at most this share of the largest curvature are left out; one that keeps less than this of its own has no minimum."""


@dataclass(frozen=True)
class FusionOptions:
    """What the fusion minimises."""

    prior: float = field(
        default=0.5,
        metadata={"help": "prior probability of genuine speech that the training weights aim at"},
    )
    costs: tuple[float, ...] = field(
        default=(),
        metadata={
            "help": "P(spoof),Cmiss,Cfa instead of a prior, as 0.05,1,10: that of the Bayes threshold"
        },
    )
    nonnegative: bool = field(
        default=False,
        metadata={"help": "no weight below 0: a system that would have one gets weight 0"},
    )
    ridge: float = field(
        default=0.0, metadata={"help": "penalty ridge/2 |weights|^2 added to the objective"}
    )
    auto_ridge: bool = field(
        default=False,
        metadata={"help": f"apply ridge {AUTO_RIDGE} if a fusion separates the training data"},
    )

    def __post_init__(self):
        if not 0 < self.prior < 1:
            raise ValueError(
                f"FusionOptions: prior: got {self.prior}, need more than 0 and less than 1"
            )
        if self.costs and not (
            len(self.costs) == 3
            and 0 < self.costs[0] < 1
            and all(0 < cost < math.inf for cost in self.costs[1:])
        ):
            got = ",".join(map(str, self.costs))
            raise ValueError(
                f"FusionOptions: costs: got {got}, need P(spoof),Cmiss,Cfa: a probability and two positive numbers"
            )
        if not 0 < self.effective_prior < 1:
            raise ValueError(
                f"FusionOptions: costs: got {','.join(map(str, self.costs))}, need some between which a score can decide"
            )
        if self.costs and self.prior != 0.5:
            raise ValueError(
                f"FusionOptions: prior, costs: got {self.prior} and {self.costs}, need one of them. Leave out the other"
            )
        if not 0 <= self.ridge < math.inf:
            raise ValueError(f"FusionOptions: ridge: got {self.ridge}, need 0 or a positive number")

    @property
    def effective_prior(self) -> float:
        """The prior, or that which stands for the costs."""
        if not self.costs:
            return self.prior
        p_spoof, c_miss, c_fa = self.costs
        return MetricOptions(p_spoof=p_spoof, c_miss=c_miss, c_fa=c_fa).effective_prior


@dataclass(frozen=True)
class Fusion:
    """LLR = scores @ weights + offset, and how it was trained; objective 1 is as good as no scores.

    `neutral` has, if it was trained with missing scores, the score of each system that stands for one. `knots` (2, K), if there are
    any, map what the sum gives to the LLR: linear between them, constant outside. `num_folds` is that of a cross-validation whose LLRs
    were written beside it, else 0.
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


class SeparableError(ValueError):
    """No minimum of the objective is found: a fusion separates the training data, or a far outlier makes it look so."""


def train_fusion(
    scores: np.ndarray,
    is_genuine: np.ndarray,
    options: FusionOptions | None = None,
    trial_weights: np.ndarray | None = None,
    allow_missing: bool = False,
) -> Fusion:
    """Weights and offset that turn the scores of one or more systems into a natural-log likelihood ratio.

    Parameters
    ----------
    scores : (num_trials, num_systems) array
        Finite; with `allow_missing` also NaN where a system has no score: there the score stands that its own calibration makes LLR 0.
    is_genuine : (num_trials,) bool array
    trial_weights : (num_trials,) array, optional
        What each trial counts within its class; 0 is as good as no trial. Default: all alike.
    allow_missing
        Whether scores may be missing, now or when the fusion is applied.

    Raises
    ------
    ValueError
        A score that is infinite, a class without trials, a negative trial weight.
    SeparableError
        Training data that a fusion separates, and no ridge.

    Notes
    -----
    Minimises p mean_genuine softplus(-(f + logit p)) + (1 - p) mean_spoof softplus(f + logit p) + ridge/2 |w|^2, f = w.x + b,
    by Newton's method on standardised columns, and divides it by the entropy of the prior. f is the LLR: logit p is not part of
    it. With `nonnegative`, L-BFGS-B finds the systems whose weight is not 0, and Newton's method goes on with them. Minimum-norm
    steps leave out what constant or collinear columns cannot determine. Without a ridge the fit does not depend on the columns'
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
    trial_weights = (
        np.ones(len(scores)) if trial_weights is None else np.asarray(trial_weights, np.float64)
    )
    if (
        trial_weights.shape != is_genuine.shape
        or not ((trial_weights >= 0) & (trial_weights < np.inf)).all()
    ):
        bad = [w for w in trial_weights.tolist() if not 0 <= w < math.inf][:1]
        raise ValueError(
            f"train_fusion: trial weights: got {len(trial_weights)}{''.join(f', one of {w}' for w in bad)}, need a finite one, 0 or more, "
            f"for each of {len(is_genuine)} trials. Correct them"
        )
    if not trial_weights.all():
        counts = np.flatnonzero(trial_weights)
        scores, is_genuine, trial_weights = (
            scores[counts],
            is_genuine[counts],
            trial_weights[counts],
        )
    num_genuine = int(is_genuine.sum())
    num_spoof = len(is_genuine) - num_genuine
    if not num_genuine or not num_spoof:
        raise ValueError(
            f"train_fusion: trials: got {num_genuine} genuine, {num_spoof} spoof, need both. Check the labels, or the trial weights"
        )
    neutral = None
    if allow_missing:
        neutral = _neutral_scores(scores, is_genuine, options, trial_weights)
        scores = fill_missing(scores, neutral)
    x = np.ones((scores.shape[1] + 1, len(scores)))  # one row a system, and one for the offset
    x[:-1] = scores.T
    columns = x[:-1]
    bad = np.flatnonzero(~np.isfinite(columns).all(axis=1))
    if len(bad):
        raise ValueError(
            f"train_fusion: system {bad[0] + 1}: got inf or NaN, need finite scores. Leave out or repair those trials"
        )
    _check_sizes("train_fusion", columns)
    constant = columns.min(axis=1) == columns.max(axis=1)
    mean = columns.mean(axis=1)
    columns -= mean[:, None]
    columns[constant] = 0
    scale = np.where(constant, 1, columns.std(axis=1))
    columns /= scale[:, None]
    prior = options.effective_prior
    logit = math.log(prior) - math.log1p(-prior)
    entropy = -prior * math.log(prior) - (1 - prior) * math.log1p(-prior)
    classes = []
    for members, sign, share in ((is_genuine, -1, prior), (~is_genuine, 1, 1 - prior)):
        chosen = np.flatnonzero(members)
        v = trial_weights[chosen]
        classes.append((sign * x[:, chosen], sign * logit, v * (share / entropy / v.sum())))
    try:
        minimise = _nonnegative_newton if options.nonnegative else _newton
        w, value, rank = minimise(classes, np.append(options.ridge / entropy / scale**2, 0))
    except SeparableError as error:
        if not options.auto_ridge:
            raise
        warnings.warn(f"{error}. Trained with ridge {AUTO_RIDGE}", stacklevel=2)
        options = replace(options, ridge=AUTO_RIDGE, auto_ridge=False)
        return replace(train_fusion(scores, is_genuine, options, trial_weights), neutral=neutral)
    weights = w[:-1] / scale
    _warn(weights, constant, rank, options.nonnegative)
    return Fusion(
        weights,
        float(w[-1] - weights @ mean),
        prior,
        options.ridge,
        float(value),
        num_genuine,
        num_spoof,
        neutral,
    )


def train_pav(scores: np.ndarray, is_genuine: np.ndarray) -> Fusion:
    """Monotone calibration of the scores of one system, (num_trials, 1) and finite, by `metrics.pav_calibration`.

    Raises
    ------
    ValueError
        More than one system, a score that is not finite, a class without trials.
    """
    if scores.shape[1] != 1 or not np.isfinite(scores).all():
        raise ValueError(
            f"train_pav: scores: got {scores.shape[1]} systems, {int((~np.isfinite(scores)).sum())} scores missing or infinite, need one "
            "system and finite scores. Fuse first, or leave those trials out"
        )
    _check_sizes("train_pav", scores.T)
    of_class = sort_scores(scores[is_genuine, 0], scores[~is_genuine, 0])
    knots = pav_calibration(of_class)
    objective = cllr(Scores(*(np.interp(values, *knots) for values in of_class)))
    return Fusion(
        np.ones(1),
        0.0,
        0.5,
        0.0,
        objective,
        len(of_class.genuine),
        len(of_class.spoof),
        knots=knots,
    )


def _check_sizes(who: str, columns: np.ndarray) -> None:
    """Refuse scores, (num_systems, num_trials), whose squares, or those of their differences, leave float64."""
    for k, column in enumerate(columns, 1):
        low, high = column.min(), column.max()
        if max(-low, high) > MAX_SIZE or 0 < high - low < 1 / MAX_SIZE:
            need = f"at most {MAX_SIZE:g}, and differences of at least {1 / MAX_SIZE:g}; they are no log-likelihood ratios"
            raise ValueError(
                f"{who}: system {k}: got scores from {low:g} to {high:g}, need {need}. Look at where they come from"
            )


def _neutral_scores(
    scores: np.ndarray, is_genuine: np.ndarray, options: FusionOptions, trial_weights: np.ndarray
) -> np.ndarray:
    """Per system, the score to which its calibration by the trials that have one gives LLR 0, (num_systems,)."""
    neutral = np.empty(scores.shape[1])
    alone = replace(options, auto_ridge=True, nonnegative=False)
    for k, column in enumerate(scores.T):
        has = ~np.isnan(column)
        if len(set(is_genuine[has])) < 2:
            raise ValueError(
                f"train_fusion: system {k + 1}: got scores of one class at most, need both to calibrate it. Leave it out"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fusion says the same of it
            calibration = train_fusion(
                column[has, None], is_genuine[has], alone, trial_weights[has]
            )
        (weight,) = calibration.weights
        values = column[has]
        neutral[k] = (
            -calibration.offset / weight if abs(weight) * values.std() > USELESS else values.mean()
        )
    return neutral


def fill_missing(scores: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Scores, (num_trials, num_systems), with each system's neutral score in place of NaN."""
    return np.where(np.isnan(scores), neutral, scores)


def assign_folds(is_genuine: np.ndarray, groups: np.ndarray, num_folds: int) -> np.ndarray:
    """The fold, from 0, of each trial, (num_trials,): trials of a group stay together, and each class is spread as evenly as that allows.

    Parameters
    ----------
    is_genuine : (num_trials,) bool array
    groups : (num_trials,) array
        Of numbers, as of the speakers.
    num_folds

    Raises
    ------
    ValueError
        A fold that would leave the others without a class: fewer groups than folds, or all trials of a class in one.

    Notes
    -----
    The largest groups first, each to the fold that it overfills least. Does not depend on the order of the trials
    (`test_fusion.py::test_folds`).
    """
    names, numbers = np.unique(groups, return_inverse=True)
    sizes = np.stack(
        [
            np.bincount(numbers[chosen], minlength=len(names))
            for chosen in (is_genuine, ~is_genuine)
        ],
        axis=1,
    )
    shares = sizes / sizes.sum(axis=0)
    loads, fold_of_group = np.zeros((num_folds, 2)), np.empty(len(names), int)
    for group in sorted(range(len(names)), key=lambda g: (-shares[g].sum(), g)):
        fold = int(np.argmin(((loads + shares[group]) ** 2 - loads**2).sum(axis=1)))
        fold_of_group[group] = fold
        loads[fold] += shares[group]
    if len(names) < num_folds or (loads > 1 - 1e-9).any():
        raise ValueError(
            f"assign_folds: groups: got {len(names)} for {num_folds} folds, need one or more for each, and of both classes in more than "
            "one fold. Ask for fewer folds"
        )
    return fold_of_group[numbers]


def cross_validate(
    scores: np.ndarray,
    is_genuine: np.ndarray,
    folds: np.ndarray,
    options: FusionOptions | None = None,
    trial_weights: np.ndarray | None = None,
) -> np.ndarray:
    """LLR of each trial, (num_trials,), by the fusion that is trained on the other folds; parameters and errors of `train_fusion`."""
    llrs = np.empty(len(scores))
    for fold in np.unique(folds):
        out = folds == fold
        weights = None if trial_weights is None else trial_weights[~out]
        fusion = train_fusion(
            scores[~out], is_genuine[~out], options, weights, bool(np.isnan(scores).any())
        )
        llrs[out] = apply_fusion(fusion, scores[out])
    return llrs


def apply_fusion(fusion: Fusion, scores: np.ndarray) -> np.ndarray:
    """Log-likelihood ratios, (num_trials,), of scores, (num_trials, num_systems), whose columns are in the order of training.

    NaN, a missing score, is allowed if it was in training.

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
    if fusion.neutral is not None:
        scores = fill_missing(scores, fusion.neutral)
    used = fusion.weights != 0  # a score that does not count may be infinite
    with np.errstate(invalid="ignore", over="ignore"):
        llrs = scores[:, used] @ fusion.weights[used] + fusion.offset
    if np.isnan(llrs).any():
        raise ValueError(
            "apply_fusion: scores: got NaN, or inf that other scores undo, need numbers. Leave out or repair those trials"
        )
    return llrs if fusion.knots is None else np.interp(llrs, *fusion.knots)


def _nonnegative_newton(classes: list, penalty: np.ndarray) -> tuple[np.ndarray, float, int]:
    """As `_newton`, with no weight below 0; the offset may be."""
    from scipy.optimize import minimize

    bounds = [(0, None)] * (len(penalty) - 1) + [(None, None)]
    start, options = np.zeros(len(penalty)), {"gtol": 1e-10, "ftol": 0, "maxiter": MAX_STEPS}
    found = minimize(
        lambda w: _objective(classes, penalty, w)[:2],
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options=options,
    )
    free, best = np.append(found.x[:-1] > 0, True), None
    for _ in range(
        2 * len(penalty)
    ):  # each round drops systems, down to none, or finds weights that are allowed
        w = np.zeros(len(penalty))
        w[free], value, rank = _newton(
            [(x[free], offset, v) for x, offset, v in classes], penalty[free]
        )
        if (w[:-1] < 0).any():
            free[:-1] &= w[:-1] > 0
            continue
        if best is None or value < best[1]:
            best = w, value, rank
        gradient = _objective(classes, penalty, w)[1]
        left_out = np.where(free, 0, gradient)
        if left_out.min() >= -1e-9:  # no system that is left out would help
            break
        free[np.argmin(left_out)] = True
    return best


def _newton(classes: list, penalty: np.ndarray) -> tuple[np.ndarray, float, int]:
    """Minimum of the objective plus penalty/2 w^2, its value and the rank of the problem; steps are halved until they descend."""
    w = np.zeros(len(penalty))
    value, gradient, hessian = _objective(classes, penalty, w)
    curvatures, directions = np.linalg.eigh(hessian)
    kept = curvatures > TOLERANCE * curvatures[-1]
    basis = directions[:, kept] / np.sqrt(
        curvatures[kept]
    )  # in which the Hessian starts as the identity
    for _ in range(MAX_STEPS):
        curvatures, directions = np.linalg.eigh(basis.T @ hessian @ basis)
        if curvatures[0] < TOLERANCE and not penalty[:-1].all():
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
        "train_fusion: training data: got classes that a weighted sum of the scores separates, need some overlap for finite weights; "
        f"or a score far outside the rest makes it look so. Use --ridge={AUTO_RIDGE} (or more) or --auto-ridge"
    )


def _objective(
    classes: list, penalty: np.ndarray, w: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Sum of v softplus(w.x + offset) over the trials of both classes, plus penalty/2 w^2; its gradient and Hessian."""
    value, gradient, hessian = penalty @ w**2 / 2, penalty * w, np.diag(penalty)
    for x, offset, weights in classes:
        for start in range(0, x.shape[1], CHUNK):
            part, v = x[:, start : start + CHUNK], weights[start : start + CHUNK]
            z = w @ part + offset
            e = np.exp(-np.abs(z))
            value += v @ (np.maximum(z, 0) + np.log1p(e))
            gradient = gradient + part @ (v * np.where(z > 0, 1, e) / (1 + e))
            hessian = hessian + (part * (v * e / (1 + e) ** 2)) @ part.T
    return float(value), gradient, hessian


def _warn(weights: np.ndarray, constant: np.ndarray, rank: int, is_bounded: bool) -> None:
    """Say what of the training data makes the weights doubtful; systems are counted from 1."""
    if constant.any():
        names = ", ".join(str(k + 1) for k in np.flatnonzero(constant))
        warnings.warn(
            f"train_fusion: system {names}: got the same score for all trials. It has weight 0; look at its scores",
            stacklevel=3,
        )
    if is_bounded and ((weights == 0) & ~constant).any():
        names = ", ".join(str(k + 1) for k in np.flatnonzero((weights == 0) & ~constant))
        warnings.warn(
            f"train_fusion: system {names}: got weight 0, as any other would be negative. Leave it out",
            stacklevel=3,
        )
    elif rank < len(weights) + 1 - constant.sum():
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
