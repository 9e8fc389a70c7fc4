"""Detection metrics of two arrays of scores: EER three ways, PAV, Cllr, minCllr, minDCF, actDCF.

Higher scores speak for genuine speech; a trial is accepted if its score >= the threshold. Scores that Cllr and actDCF are asked of
are natural-log likelihood ratios genuine : spoof. The curve metrics share one sort of each class and one convex hull.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

EER_METHODS = ("interp", "rocch", "asvspoof")


@dataclass(frozen=True)
class MetricOptions:
    """Which EERs, and the costs of the DCFs (defaults: ASVspoof 5)."""

    eer: tuple[str, ...] = field(
        default=("interp",),
        metadata={
            "help": "interpolated ROC, convex hull (ASVspoof 2017), the challenge's script from 2019 on",
            "choices": EER_METHODS,
        },
    )
    p_spoof: float = field(
        default=0.05, metadata={"help": "prior probability of a spoof in minDCF and actDCF"}
    )
    c_miss: float = field(default=1.0, metadata={"help": "cost of rejecting genuine speech"})
    c_fa: float = field(default=10.0, metadata={"help": "cost of accepting a spoof"})

    def __post_init__(self):
        if not self.eer or len(set(self.eer)) < len(self.eer):
            raise ValueError(
                f"MetricOptions: eer: got {','.join(self.eer)!r}, need one or more, each once"
            )
        if not 0 < self.p_spoof < 1:
            raise ValueError(
                f"MetricOptions: p_spoof: got {self.p_spoof}, need more than 0 and less than 1"
            )
        if not (0 < self.c_miss < math.inf and 0 < self.c_fa < math.inf):
            raise ValueError(
                f"MetricOptions: c_miss, c_fa: got {self.c_miss}, {self.c_fa}, need positive numbers"
            )

    @property
    def effective_prior(self) -> float:
        """Prior of genuine speech that stands for prior and costs together."""
        miss, false_alarm = (1 - self.p_spoof) * self.c_miss, self.p_spoof * self.c_fa
        return miss / (miss + false_alarm)

    @property
    def bayes_threshold(self) -> float:
        """Threshold of LLRs that costs least, -logit of the effective prior."""
        p = self.effective_prior
        return math.log1p(-p) - math.log(p)


class Scores(NamedTuple):
    """The scores of each class in ascending order, float64."""

    genuine: np.ndarray
    spoof: np.ndarray


@dataclass(frozen=True)
class Roc:
    """Operating points by rising threshold: num_miss genuine trials score < it, num_false_alarms spoof trials score >= it."""

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


class Eer(NamedTuple):
    """An equal error rate in [0, 1], how it was read off the curve, and the threshold nearest to it."""

    value: float
    threshold: float
    method: str


@dataclass(frozen=True)
class Metrics:
    """All figures of one system; an EER for each method asked for."""

    num_genuine: int
    num_spoof: int
    eer: tuple[Eer, ...]
    cllr: float
    min_cllr: float
    min_dcf: float
    act_dcf: float


@dataclass(frozen=True)
class Condition:
    """EERs, one for each method asked for, of the spoof trials of one condition against all genuine trials."""

    num_genuine: int
    num_spoof: int
    eer: tuple[Eer, ...]


def evaluate(
    genuine: np.ndarray, spoof: np.ndarray, options: MetricOptions | None = None
) -> Metrics:
    """All metrics of the scores of genuine and of spoof trials.

    Parameters
    ----------
    genuine, spoof : (num_trials,) arrays
        Log-likelihood ratios; -inf and inf are allowed.

    Raises
    ------
    ValueError
        A class without trials, a NaN.
    """
    options = options or MetricOptions()
    scores = sort_scores(genuine, spoof)
    hull = convex_hull(scores)
    return Metrics(
        num_genuine=len(scores.genuine),
        num_spoof=len(scores.spoof),
        eer=tuple(eer(scores, method) for method in options.eer),
        cllr=cllr(scores),
        min_cllr=min_cllr(hull),
        min_dcf=min_dcf(hull, options),
        act_dcf=act_dcf(scores, options),
    )


def breakdown(
    genuine: np.ndarray,
    spoof: np.ndarray,
    conditions: Mapping[str, np.ndarray],
    methods: Sequence[str] = ("interp",),
) -> dict[str, Condition]:
    """EERs of each condition.

    Parameters
    ----------
    genuine, spoof : (num_trials,) arrays
    conditions
        By name, the indices of a condition's trials in `spoof`.
    methods
        Of `EER_METHODS`.

    Raises
    ------
    ValueError
        As `evaluate` and `eer`; a condition without trials.

    Notes
    -----
    Each is that of `evaluate` on its subset (`test_metrics.py::test_breakdown_is_evaluation_of_subsets`), but the genuine scores are
    sorted once, and all that `eer` warns of becomes one warning, which says of how many conditions and of which.
    """
    genuine = sorted_scores(genuine, "genuine")
    results, warned = {}, {}
    for name, indices in conditions.items():
        scores = Scores(genuine, sorted_scores(np.asarray(spoof)[indices], f"{name} spoof"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results[name] = Condition(
                len(genuine), len(scores.spoof), tuple(eer(scores, method) for method in methods)
            )
        for what in {
            str(warning.message).removeprefix("eer: ").partition(":")[0] for warning in caught
        }:
            warned.setdefault(what, []).append(name)
    if warned:
        parts = []
        for what, names in sorted(warned.items()):
            first = " ".join(names[:10]) + " ..." * (len(names) > 10)
            parts.append(f"{what} for {len(names)} of {len(conditions)} conditions ({first})")
        warnings.warn("; ".join(parts), stacklevel=2)
    return results


def sort_scores(genuine: np.ndarray, spoof: np.ndarray) -> Scores:
    """The scores of genuine and of spoof trials, sorted and checked: what the metrics work on.

    Parameters
    ----------
    genuine, spoof : (num_trials,) arrays

    Raises
    ------
    ValueError
        A class without trials, a NaN.
    """
    with ThreadPoolExecutor(2) as pool:
        return Scores(*pool.map(sorted_scores, (genuine, spoof), Scores._fields))


def sorted_scores(scores: np.ndarray, name: str) -> np.ndarray:
    """Ascending float64 copy of the scores of one class."""
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 1 or len(scores) == 0:
        raise ValueError(
            f"metrics: {name} scores: got shape {scores.shape}, need a vector of one or more. Score trials of both classes"
        )
    scores = np.sort(scores)
    if np.isnan(scores[-1]):
        raise ValueError(
            f"metrics: {name} scores: got NaN, need numbers. Find the utterances that the system cannot score"
        )
    return scores


def roc(scores: Scores, thresholds: np.ndarray) -> Roc:
    """Operating points at rising thresholds."""
    num_miss = np.searchsorted(scores.genuine, thresholds)
    num_false_alarms = len(scores.spoof) - np.searchsorted(scores.spoof, thresholds)
    return Roc(
        np.asarray(thresholds), num_miss, num_false_alarms, len(scores.genuine), len(scores.spoof)
    )


def convex_hull(scores: Scores) -> Roc:
    """Vertices of the lower convex hull of all operating points, accept-all and reject-all included: the ends of the blocks of PAV.

    Notes
    -----
    Pool adjacent violators in exact integers: a block whose genuine fraction is not above that of the block before is one with it.
    Whole runs are pooled at once, so the rounds are few (`test_metrics.py::test_pav_is_isotonic_regression`). Blocks begin at
    genuine scores: a threshold just above a spoof and below the next genuine score would cost nothing and gain nothing.
    """
    num_rejected = np.searchsorted(scores.spoof, scores.genuine)
    corners = np.flatnonzero(np.diff(num_rejected, prepend=0))
    hull = Roc(
        np.concatenate(
            [[min(scores.genuine[0], scores.spoof[0])], scores.genuine[corners], [np.inf]]
        ),
        np.concatenate([[0], corners, [len(scores.genuine)]]),
        len(scores.spoof) - np.concatenate([[0], num_rejected[corners], [len(scores.spoof)]]),
        len(scores.genuine),
        len(scores.spoof),
    )
    while True:
        num_genuine, num_spoof = np.diff(hull.num_miss), -np.diff(hull.num_false_alarms)
        rises = num_genuine[1:] * num_spoof[:-1] > num_genuine[:-1] * num_spoof[1:]
        if rises.all():
            return hull
        hull = hull[np.concatenate([[True], rises, [True]])]


def pav_llrs(hull: Roc) -> np.ndarray:
    """Log-likelihood ratio of each PAV block of a convex hull, (K - 1,), rising; -inf and inf where a block has one class only."""
    with np.errstate(divide="ignore"):
        return np.log(np.diff(hull.p_miss)) - np.log(-np.diff(hull.p_false_alarm))


def pav_calibration(scores: Scores) -> np.ndarray:
    """Knots (2, K), rising scores and LLRs, of a monotone calibration: linear between them, constant outside.

    Notes
    -----
    The LLRs are those of PAV blocks, at the (lower) median of each block's scores; with one more genuine and one more spoof trial at
    either end, so that all are finite (`test_metrics.py::test_pav_calibration`). Finite scores only.
    """
    padded = Scores(*(np.concatenate([[-np.inf], values, [np.inf]]) for values in scores))
    hull = convex_hull(padded)
    num_genuine, num_spoof = map(len, scores)
    llrs = np.log(np.diff(hull.num_miss) / -np.diff(hull.num_false_alarms)) - math.log(
        num_genuine / num_spoof
    )
    both = np.sort(np.concatenate(scores))
    edges = np.searchsorted(both, hull.thresholds)
    filled = edges[1:] > edges[:-1]
    medians = both[(edges[:-1] + edges[1:] - 1)[filled] // 2]
    return np.stack([medians, llrs[filled]])


def eer(scores: Scores, method: str = "interp") -> Eer:
    """Equal error rate.

    Parameters
    ----------
    scores
        From `sort_scores`.
    method
        `interp`: the first operating point with Pmiss >= Pfa, linear from the point before. `rocch`: likewise on the convex hull, as
        BOSARIS and ASVspoof 2017; at most 0.5. `asvspoof`: as the challenge's script from 2019 on, the mean of Pmiss and Pfa at the
        first trial, in stable order, where they differ least; it depends on the order of tied scores.

    Raises
    ------
    ValueError
        Another method.

    Notes
    -----
    Warns if the classes are the wrong way round, and if ties mislead `asvspoof`.
    """
    if method not in EER_METHODS:
        raise ValueError(f"eer: method: got {method!r}, need {' or '.join(EER_METHODS)}")
    points = _around_eer(scores)
    interpolated = _interpolated(points, "interp")
    if interpolated.value > 0.5:
        warnings.warn(
            f"eer: EER above 50 %: got {100 * interpolated.value:.2f} %; genuine trials score lower than spoof trials. "
            "Check the labels and the sign of the scores",
            stacklevel=2,
        )
    if method == "rocch":
        hull = convex_hull(scores)
        end = int(np.argmax(hull.excess >= 0))
        return _interpolated(hull[end - 1 : end + 1], "rocch")
    if method == "asvspoof":
        by_trial = _by_trial(points, scores)
        if abs(by_trial.value - interpolated.value) > 1 / min(points.num_genuine, points.num_spoof):
            warnings.warn(
                f"eer: asvspoof EER misled by ties: got {100 * by_trial.value:.2f} % where the ROC has {100 * interpolated.value:.2f} %; "
                "it follows the order of tied scores. Use --eer=interp",
                stacklevel=2,
            )
        return by_trial
    return interpolated


def thresholds(
    scores: Scores, options: MetricOptions, max_false_alarm_rate: float
) -> dict[str, float]:
    """Thresholds by name, to decide by: accept if score >= it.

    `eer`: of the EER by the first method. `bayes`: for LLRs, at the prior and costs of the options. `false_alarm`: the least one whose
    false-alarm rate on these scores is not above the given one; inf if it takes that.

    Raises
    ------
    ValueError
        A rate that is none; more spoofs with an infinite score than it allows, which no threshold rejects.
    """
    if not 0 <= max_false_alarm_rate <= 1:
        raise ValueError(f"thresholds: false-alarm rate: got {max_false_alarm_rate}, need 0 to 1")
    candidates = np.append(np.unique(np.concatenate(scores)), np.inf)
    is_low = roc(scores, candidates).p_false_alarm <= max_false_alarm_rate
    if not is_low.any():
        raise ValueError(
            f"thresholds: false-alarm rate: got spoofs with an infinite score, need a share of {max_false_alarm_rate:g} at most to pass. "
            "Repair the scores, or allow more"
        )
    return {
        "eer": eer(scores, options.eer[0]).threshold,
        "bayes": options.bayes_threshold,
        "false_alarm": float(candidates[np.argmax(is_low)]),
    }


def _around_eer(scores: Scores) -> Roc:
    """The last operating point with Pmiss < Pfa and the first with Pmiss >= Pfa."""
    num_genuine, num_spoof = len(scores.genuine), len(scores.spoof)

    def excess(threshold: float) -> float:  # of `roc`, for one threshold in a fraction of the time
        num_miss, num_rejected = (values.searchsorted(threshold) for values in scores)
        return num_miss / num_genuine - (num_spoof - num_rejected) / num_spoof

    ends = [bisect_left(values, 0, key=excess) for values in scores]
    last = max(values[i - 1] for values, i in zip(scores, ends) if i > 0)
    first = min((values[i] for values, i in zip(scores, ends) if i < len(values)), default=np.inf)
    starts = [np.searchsorted(values, last) for values in scores]
    num_miss, num_rejected = np.transpose([starts, ends])
    return Roc(np.array([last, first]), num_miss, num_spoof - num_rejected, num_genuine, num_spoof)


def _interpolated(pair: Roc, method: str) -> Eer:
    """Linear interpolation to Pmiss = Pfa between two points; the threshold is that of the nearer one."""
    (miss0, miss1), (before, after) = pair.p_miss, pair.excess
    nearer = 0 if -before <= after else 1
    return Eer(
        float(miss0 - (miss1 - miss0) * before / (after - before)),
        float(pair.thresholds[nearer]),
        method,
    )


def _by_trial(pair: Roc, scores: Scores) -> Eer:
    """The challenge script's EER: between two points genuine trials are rejected one by one, then spoof trials one by one."""
    (miss0, miss1), (fa0, fa1) = pair.num_miss, pair.num_false_alarms
    p_miss = np.append(np.arange(miss0, miss1), np.full(fa0 - fa1 + 1, miss1)) / pair.num_genuine
    p_false_alarm = (
        np.append(np.full(miss1 - miss0, fa0), np.arange(fa0, fa1 - 1, -1)) / pair.num_spoof
    )
    best = int(np.argmin(np.abs(p_miss - p_false_alarm)))
    threshold = pair.thresholds[0]
    if best == 0:  # the score before it
        lower = [values[i - 1] for values, i in zip(scores, (miss0, pair.num_spoof - fa0)) if i > 0]
        threshold = max(lower, default=threshold - 0.001)
    return Eer(float((p_miss[best] + p_false_alarm[best]) / 2), float(threshold), "asvspoof")


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def cllr(scores: Scores) -> float:
    """Cost of log-likelihood ratios in bits: 0 perfect, 1 as good as none, inf if an infinite one is on the wrong side.

    References
    ----------
    N. Brümmer and J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech and Language, 2006.
    """
    return float(softplus(-scores.genuine).mean() + softplus(scores.spoof).mean()) / (
        2 * math.log(2)
    )


def min_cllr(hull: Roc) -> float:
    """Cllr of the best monotone calibration of the scores, from their convex hull; 0 x inf counts as 0."""
    llrs, p_genuine, p_spoof = pav_llrs(hull), np.diff(hull.p_miss), -np.diff(hull.p_false_alarm)
    genuine, spoof = p_genuine > 0, p_spoof > 0
    return float(
        p_genuine[genuine] @ softplus(-llrs[genuine]) + p_spoof[spoof] @ softplus(llrs[spoof])
    ) / (2 * math.log(2))


def min_dcf(hull: Roc, options: MetricOptions) -> float:
    """Least normalised detection cost over all thresholds, at most 1; being linear, it is least at a vertex of the convex hull."""
    return float(_dcf(hull, options).min())


def act_dcf(scores: Scores, options: MetricOptions) -> float:
    """Normalised detection cost of deciding by Bayes' threshold, -logit of the effective prior."""
    return float(_dcf(roc(scores, options.bayes_threshold), options))


def _dcf(points: Roc, options: MetricOptions) -> np.ndarray:
    """[p Pmiss + (1 - p) Pfa] / min(p, 1 - p)."""
    p = options.effective_prior
    return (p * points.p_miss + (1 - p) * points.p_false_alarm) / min(p, 1 - p)
