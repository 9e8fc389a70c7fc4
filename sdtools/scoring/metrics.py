"""Detection metrics of the scores of genuine and of spoof trials.

Conventions
-----------
- A higher score speaks for genuine speech. A trial is accepted if its score >= the threshold.
- A miss is a rejected genuine trial, a false alarm is an accepted spoof trial. Error rates are
  fractions within 0..1.
- Scores are a list or array per class, in any order. -inf and inf are allowed, NaN is not.
- `cllr` and `act_dcf` take the scores as natural-log likelihood ratios (LLRs) genuine : spoof. All
  other metrics only depend on the order of the scores.

Metrics
-------
- `eer`: equal error rate, read off the error curve in one of three ways.
- `evaluate`: all metrics of one system.
- `breakdown`: equal error rates by condition.
- `cllr`, `min_cllr`: cost of the LLRs in bits, before and after the best calibration.
- `act_dcf`, `min_dcf`: detection cost at Bayes' threshold and at the best threshold.
- `thresholds`: thresholds to decide by.

`eer`, `evaluate` and `breakdown` take scores in any order. The others take `roc.SortedScores`, or
the convex hull of these, so that many metrics share one sort.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sdtools.errors import SdError
from sdtools.scoring.equal_error_rate import EER_METHODS, Eer, EerWarning, read_eer
from sdtools.scoring.roc import (
    Roc,
    SortedScores,
    convex_hull,
    pav_llrs,
    roc,
    sort_class,
    sort_scores,
)

MAX_NAMES = 10  # of conditions in a warning


@dataclass(frozen=True)
class MetricOptions:
    """How EERs are read, and the costs of minDCF and actDCF (defaults: ASVspoof 5)."""

    eer: tuple[str, ...] = field(
        default=("interp",),
        metadata={
            "help": "EERs: interpolated ROC, convex hull (ASVspoof 2017), script of ASVspoof 2019",
            "choices": EER_METHODS,
        },
    )
    p_spoof: float = field(
        default=0.05, metadata={"help": "prior probability of a spoof in minDCF and actDCF"}
    )
    c_miss: float = field(default=1.0, metadata={"help": "cost of rejecting genuine speech"})
    c_fa: float = field(default=10.0, metadata={"help": "cost of accepting a spoof"})

    def __post_init__(self) -> None:
        if not self.eer or len(set(self.eer)) < len(self.eer):
            raise SdError("--eer", got=repr(",".join(self.eer)), need="one or more, each once")
        if not 0 < self.p_spoof < 1:
            raise SdError("--p-spoof", got=self.p_spoof, need="more than 0 and less than 1")
        if not (0 < self.c_miss < math.inf and 0 < self.c_fa < math.inf):
            got = f"{self.c_miss} and {self.c_fa}"
            raise SdError("--c-miss, --c-fa", got=got, need="positive numbers")

    @property
    def effective_prior(self) -> float:
        """The prior of genuine speech that is equivalent to prior and costs together."""
        miss, false_alarm = (1 - self.p_spoof) * self.c_miss, self.p_spoof * self.c_fa
        return miss / (miss + false_alarm)

    @property
    def bayes_threshold(self) -> float:
        """The threshold of LLRs with the least cost, -logit of the effective prior."""
        p = self.effective_prior
        return math.log1p(-p) - math.log(p)


@dataclass(frozen=True)
class Metrics:
    """All metrics of one system, with one EER for each method of the options."""

    num_genuine: int
    num_spoof: int
    eer: tuple[Eer, ...]
    cllr: float
    min_cllr: float
    min_dcf: float
    act_dcf: float


@dataclass(frozen=True)
class Condition:
    """EERs of the spoof trials of one condition against all genuine trials."""

    num_genuine: int
    num_spoof: int
    eer: tuple[Eer, ...]


def eer(genuine: npt.ArrayLike, spoof: npt.ArrayLike, method: str = "interp") -> Eer:
    """Equal error rate.

    Parameters
    ----------
    genuine, spoof : (num_trials,) arrays or lists
        Scores in any order; higher for genuine speech.
    method
        `interp`: the first operating point with Pmiss >= Pfa, linear from the point before.
        `rocch`: the same on the convex hull, as BOSARIS and ASVspoof 2017 do; at most 0.5.
        `asvspoof`: as the script of ASVspoof from 2019 on, the mean of Pmiss and Pfa at the first
        trial, in stable order, where they differ least; it depends on the order of tied scores.

    Returns
    -------
    Eer
        `value` within 0..1, `threshold`, `method`.

    Raises
    ------
    SdError
        If a class has no trials, a score is NaN or no number, or the method is unknown.

    Notes
    -----
    Warns if the EER is above 50 %, and if ties mislead `asvspoof`.

    Examples
    --------
    >>> eer([3, 0.5, 2, 1], [-1, 0, 1.5, -2])
    Eer(value=0.25, threshold=1.0, method='interp')
    """
    return sorted_eer(sort_scores(genuine, spoof), method)


def evaluate(
    genuine: npt.ArrayLike, spoof: npt.ArrayLike, options: MetricOptions = MetricOptions()
) -> Metrics:
    """All metrics of one system.

    Parameters
    ----------
    genuine, spoof : (num_trials,) arrays or lists
        Log-likelihood ratios in any order.
    options
        How EERs are read, and the costs of minDCF and actDCF.

    Returns
    -------
    Metrics
        Number of trials, EERs, `cllr`, `min_cllr`, `min_dcf`, `act_dcf`.

    Raises
    ------
    SdError
        As `eer`.

    Examples
    --------
    >>> metrics = evaluate([3, 0.5, 2, 1], [-1, 0, 1.5, -2])
    >>> metrics.eer[0].value, round(metrics.cllr, 3), round(metrics.min_cllr, 3)
    (0.25, 0.685, 0.344)
    """
    scores = sort_scores(genuine, spoof)
    hull = convex_hull(scores)
    return Metrics(
        num_genuine=len(scores.genuine),
        num_spoof=len(scores.spoof),
        eer=tuple(sorted_eer(scores, method) for method in options.eer),
        cllr=cllr(scores),
        min_cllr=min_cllr(hull),
        min_dcf=min_dcf(hull, options),
        act_dcf=act_dcf(scores, options),
    )


def breakdown(
    genuine: npt.ArrayLike,
    spoof: npt.ArrayLike,
    conditions: Mapping[str, np.ndarray],
    methods: Sequence[str] = ("interp",),
) -> dict[str, Condition]:
    """EERs of each condition.

    Parameters
    ----------
    genuine, spoof : (num_trials,) arrays or lists
    conditions
        By name, the indices of a condition's trials in `spoof`.
    methods
        Of `EER_METHODS`.

    Raises
    ------
    SdError
        As `eer`; if a condition has no trials.

    Notes
    -----
    Equal to `evaluate` on each subset (`test_metrics.py::test_breakdown_is_evaluation_of_subsets`),
    but the genuine scores are sorted once, and a warning names all conditions that it is about.
    """
    genuine = sort_class(genuine, "genuine")
    results: dict[str, Condition] = {}
    doubtful: dict[type[EerWarning], list[str]] = {}
    for name, indices in conditions.items():
        in_condition = np.asarray(spoof)[indices]
        scores = SortedScores(genuine, sort_class(in_condition, f"spoof of {name}"))
        read = [read_eer(scores, method) for method in methods]
        eers = tuple(value for value, _ in read)
        results[name] = Condition(len(genuine), len(scores.spoof), eers)
        for kind in {type(doubt) for _, doubts in read for doubt in doubts}:
            doubtful.setdefault(kind, []).append(name)
    for kind, names in doubtful.items():
        first = " ".join(names[:MAX_NAMES]) + " ..." * (len(names) > MAX_NAMES)
        what = f"{kind.SUMMARY} in {len(names)} of {len(conditions)} conditions"
        warnings.warn(kind(first, what), stacklevel=2)
    return results


def sorted_eer(scores: SortedScores, method: str = "interp") -> Eer:
    """`eer` of sorted scores, with its warnings."""
    result, doubts = read_eer(scores, method)
    for doubt in doubts:
        warnings.warn(doubt, stacklevel=3)
    return result


def thresholds(
    scores: SortedScores, options: MetricOptions, max_false_alarm_rate: float
) -> dict[str, float]:
    """Thresholds by name: accept a trial if its score >= the threshold.

    Parameters
    ----------
    scores
    options
        `eer`: the first method is used. Prior and costs: for `bayes`.
    max_false_alarm_rate
        Within 0..1, for `false_alarm`.

    Returns
    -------
    dict
        `eer`: the threshold of the EER. `bayes`: Bayes' threshold, for LLRs. `false_alarm`: the
        lowest threshold whose false-alarm rate on these scores is not above the given one; inf if
        only that is.

    Raises
    ------
    SdError
        If the rate is not within 0..1, or more spoof trials than it allows have score inf.
    """
    if not 0 <= max_false_alarm_rate <= 1:
        raise SdError("thresholds", "false-alarm rate", got=max_false_alarm_rate, need="0 to 1")
    candidates = np.append(np.unique(np.concatenate(scores)), np.inf)
    is_low = roc(scores, candidates).p_false_alarm <= max_false_alarm_rate
    if not is_low.any():
        raise SdError(
            "thresholds",
            "share of spoof trials with score inf",
            got=f"{np.isposinf(scores.spoof).mean():g}",
            need=f"at most {max_false_alarm_rate:g}",
            hint="Repair the scores, or allow a higher false-alarm rate",
        )
    return {
        "eer": sorted_eer(scores, options.eer[0]).threshold,
        "bayes": options.bayes_threshold,
        "false_alarm": float(candidates[np.argmax(is_low)]),
    }


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def cllr(scores: SortedScores) -> float:
    """Cost of LLRs in bits: 0 is perfect, 1 is no better than no LLRs.

    It is inf if a genuine trial has LLR -inf or a spoof trial has LLR inf.

    References
    ----------
    N. Brümmer and J. du Preez, "Application-independent evaluation of speaker detection", Computer
    Speech and Language, 2006.
    """
    cost = softplus(-scores.genuine).mean() + softplus(scores.spoof).mean()
    return float(cost) / (2 * math.log(2))


def min_cllr(hull: Roc) -> float:
    """Cllr of the best monotone calibration of the scores, from their convex hull."""
    llrs, p_genuine, p_spoof = pav_llrs(hull), np.diff(hull.p_miss), -np.diff(hull.p_false_alarm)
    genuine, spoof = p_genuine > 0, p_spoof > 0  # so that 0 x inf counts as 0
    cost_genuine = p_genuine[genuine] @ softplus(-llrs[genuine])
    return float(cost_genuine + p_spoof[spoof] @ softplus(llrs[spoof])) / (2 * math.log(2))


def min_dcf(hull: Roc, options: MetricOptions) -> float:
    """Least normalised detection cost over all thresholds, at most 1.

    The cost is linear, so it is least at a vertex of the convex hull.
    """
    return float(_dcf(hull, options).min())


def act_dcf(scores: SortedScores, options: MetricOptions) -> float:
    """Normalised detection cost at Bayes' threshold."""
    return float(_dcf(roc(scores, options.bayes_threshold), options))


def _dcf(points: Roc, options: MetricOptions) -> np.ndarray:
    """[p Pmiss + (1 - p) Pfa] / min(p, 1 - p)."""
    p = options.effective_prior
    return (p * points.p_miss + (1 - p) * points.p_false_alarm) / min(p, 1 - p)
