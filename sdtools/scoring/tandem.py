"""Metrics of a countermeasure (CM) in tandem with a speaker verifier (ASV): min t-DCF two ways, a-DCF, concurrent t-EER.

A trial of the tandem is of a target, a nontarget (both genuine speech) or a spoof, and accepted if both systems accept it: score >=
threshold. Decisions of the two count as independent given the class, so neither needs scores of the other's trials.

References
----------
T. Kinnunen et al., "Tandem assessment of spoofing countermeasures and automatic speaker verification: fundamentals", IEEE/ACM TASLP,
2020 (t-DCF, 2021 form). H. Shim et al., "a-DCF: an architecture agnostic metric with application to spoofing-robust speaker
verification", Odyssey, 2024. T. Kinnunen et al., "t-EER: parameter-free tandem evaluation of countermeasures and biometric
comparators", IEEE TPAMI, 2023.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sdtools.scoring.metrics import Roc, Scores, convex_hull, eer, roc, sort_scores, sorted_scores

ROUNDING = 1e-12
"""Smaller differences of rates count as none; rates of up to 1e11 trials differ by more."""


@dataclass(frozen=True)
class TandemOptions:
    """Priors and costs of the tandem (defaults: ASVspoof 2019 to 5), and where the ASV decides."""

    p_target: float = field(
        default=0.9405,
        metadata={"help": "prior probability of a target; the three priors sum to 1"},
    )
    p_nontarget: float = field(
        default=0.0095, metadata={"help": "prior probability of a nontarget"}
    )
    p_spoof: float = field(default=0.05, metadata={"help": "prior probability of a spoof"})
    c_miss: float = field(default=1.0, metadata={"help": "cost of rejecting a target"})
    c_fa: float = field(default=10.0, metadata={"help": "cost of accepting a nontarget"})
    c_fa_spoof: float = field(default=10.0, metadata={"help": "cost of accepting a spoof"})
    tau: float | None = field(
        default=None,
        metadata={"help": "ASV threshold of the t-DCFs, if not that of the asvspoof EER"},
    )

    def __post_init__(self):
        priors, costs = (
            (self.p_target, self.p_nontarget, self.p_spoof),
            (self.c_miss, self.c_fa, self.c_fa_spoof),
        )
        if not (min(priors) > 0 and abs(sum(priors) - 1) <= 1e-10):
            got = ", ".join(map(str, priors))
            raise ValueError(
                f"TandemOptions: p_target, p_nontarget, p_spoof: got {got}, need positive numbers with sum 1. Set all three"
            )
        if not all(0 < cost < math.inf for cost in costs):
            got = ", ".join(map(str, costs))
            raise ValueError(
                f"TandemOptions: c_miss, c_fa, c_fa_spoof: got {got}, need positive numbers"
            )
        if self.tau is not None and not math.isfinite(self.tau):
            raise ValueError(f"TandemOptions: tau: got {self.tau}, need a finite number")


class AsvScores(NamedTuple):
    """The ASV's scores of each class in ascending order, float64."""

    target: np.ndarray
    nontarget: np.ndarray
    spoof: np.ndarray


@dataclass(frozen=True)
class Asv:
    """The ASV alone: its error rates in [0, 1] at threshold tau, and the a-DCF of its score."""

    num_target: int
    num_nontarget: int
    num_spoof: int
    tau: float
    p_miss: float
    p_false_alarm: float
    p_false_alarm_spoof: float
    a_dcf: float
    a_dcf_threshold: float


@dataclass(frozen=True)
class Tandem:
    """The figures of one CM: one threshold makes both t-DCFs least; t_eer is None where `t_eer` is."""

    num_genuine: int
    num_spoof: int
    min_tdcf_2019: float
    min_tdcf_2021: float
    threshold: float
    t_eer: float | None


def evaluate_tandem(
    genuine: np.ndarray,
    spoof: np.ndarray,
    scores: AsvScores,
    asv: Asv,
    options: TandemOptions | None = None,
) -> Tandem:
    """All tandem metrics of a CM.

    Parameters
    ----------
    genuine, spoof : (num_trials,) arrays
        The CM's scores.
    scores, asv
        Of the ASV, from `sort_asv_scores` and `evaluate_asv`.

    Raises
    ------
    ValueError
        A class without trials, a NaN; as `min_tdcf`.
    """
    cm = sort_scores(genuine, spoof)
    return Tandem(
        len(cm.genuine),
        len(cm.spoof),
        *min_tdcf(convex_hull(cm), asv, options or TandemOptions()),
        t_eer(cm, scores),
    )


def sort_asv_scores(target: np.ndarray, nontarget: np.ndarray, spoof: np.ndarray) -> AsvScores:
    """The ASV's scores of each class, (num_trials,) arrays, sorted and checked; ValueError if a class has no trial or a NaN."""
    return AsvScores(
        sorted_scores(target, "target"),
        sorted_scores(nontarget, "nontarget"),
        sorted_scores(spoof, "spoof"),
    )


def evaluate_asv(scores: AsvScores, options: TandemOptions | None = None) -> Asv:
    """Error rates of the ASV at `options.tau`, else at the asvspoof EER threshold of targets against nontargets, and its a-DCF.

    Notes
    -----
    a-DCF: the least cost of deciding by one threshold on the ASV's score alone, over that of accepting or rejecting all; at most 1.
    For a verifier made to withstand spoofs (ASVspoof 5, track 2) it is the primary metric. Being least where a target is only just
    accepted, it is looked for there (`test_tandem.py::test_every_metric_follows_its_definition`).
    """
    options = options or TandemOptions()
    tau = _eer_threshold(scores) if options.tau is None else options.tau
    nontarget, spoof = (
        Scores(scores.target, negative) for negative in (scores.nontarget, scores.spoof)
    )
    reject, accept, accept_spoof = _weights(options)
    at_targets = roc(nontarget, scores.target)
    costs = (
        reject * at_targets.p_miss
        + accept * at_targets.p_false_alarm
        + accept_spoof * roc(spoof, scores.target).p_false_alarm
    )
    best = int(np.argmin(costs))
    cost, threshold = (
        (costs[best], scores.target[best]) if costs[best] <= reject else (reject, math.inf)
    )
    at_tau = roc(nontarget, tau)
    rates = at_tau.p_miss, at_tau.p_false_alarm, roc(spoof, tau).p_false_alarm
    return Asv(
        *map(len, scores),
        *map(float, (tau, *rates, cost / min(reject, accept + accept_spoof), threshold)),
    )


def _weights(options: TandemOptions) -> tuple[float, float, float]:
    """Cost times prior of rejecting targets, accepting nontargets, accepting spoofs."""
    return (
        options.p_target * options.c_miss,
        options.p_nontarget * options.c_fa,
        options.p_spoof * options.c_fa_spoof,
    )


def _eer_threshold(scores: AsvScores) -> float:
    """The challenge script's EER threshold of targets against nontargets; warns, in their names, where `eer` would."""
    pair = Scores(scores.target, scores.nontarget)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpolated, by_trial = eer(pair), eer(pair, "asvspoof")
    if interpolated.value > 0.5:
        warnings.warn(
            f"tandem: ASV EER above 50 %: got {100 * interpolated.value:.2f} %; targets score lower than nontargets. "
            "Check the keys and the sign of the scores",
            stacklevel=3,
        )
    if abs(by_trial.value - interpolated.value) > 1 / min(map(len, pair)):
        warnings.warn(
            f"tandem: tau misled by ties: got an EER of {100 * by_trial.value:.2f} % where the ROC has {100 * interpolated.value:.2f} %; "
            "it follows the order of tied scores. Give --tau",
            stacklevel=3,
        )
    return by_trial.threshold


def min_tdcf(hull: Roc, asv: Asv, options: TandemOptions) -> tuple[float, float, float]:
    """Least normalised t-DCF over all thresholds of the CM, 2019 form and 2021 form, and the threshold.

    Raises
    ------
    ValueError
        A weight of the CM's errors that is not positive: the t-DCF is not defined.

    Notes
    -----
    C0 = Ptar Cmiss Pmiss + Pnon Cfa Pfa, C1 = Ptar Cmiss - C0, C2 = Pspf Cfa,spf Pfa,spf, with the ASV's rates. 2019: (C1 Pm + C2 Pf) /
    min(C1, C2), 0 for a perfect CM; 2021 and ASVspoof 5: (C0 + C1 Pm + C2 Pf) / (C0 + min(C1, C2)). Both are at most 1, and least at
    the same vertex of the CM's hull (`test_tandem.py::test_every_metric_follows_its_definition`).
    """
    reject, accept, accept_spoof = _weights(options)
    c0 = reject * asv.p_miss + accept * asv.p_false_alarm
    c1, c2 = reject - c0, accept_spoof * asv.p_false_alarm_spoof
    if min(c1, c2) <= 0:
        raise ValueError(
            f"tandem: weights of the CM's errors: got C1 = {c1:.4g}, C2 = {c2:.4g} with the ASV's Pmiss {asv.p_miss:.4g}, Pfa "
            f"{asv.p_false_alarm:.4g}, Pfa,spf {asv.p_false_alarm_spoof:.4g} at {asv.tau:.4g}, need both above 0, or the t-DCF is not "
            "defined; such an ASV leaves a CM nothing to gain. Check the ASV's keys and scores, or give another --tau"
        )
    costs = c1 * hull.p_miss + c2 * hull.p_false_alarm
    best = int(np.argmin(costs))
    return (
        float(costs[best] / min(c1, c2)),
        float((c0 + costs[best]) / (c0 + min(c1, c2))),
        float(hull.thresholds[best]),
    )


def t_eer(cm: Scores, asv: AsvScores) -> float | None:
    """Concurrent tandem equal error rate in [0, 1]: that at thresholds of both systems where it depends on no prevalence of spoofs.

    None if no thresholds make it so; some do if spoofs pass the ASV at its EER as often as nontargets or more, and fewer than half
    of them pass a CM that half of genuine speech passes.

    Notes
    -----
    Let the ASV accept fractions T, N, S of targets, nontargets, spoofs, the CM g of genuine speech and s of spoofs, and rho be the
    prevalence of spoofs among impostors. Then P_miss = 1 - g T, P_fa = (1 - rho) g N + rho s S; they are equal for every rho where
    1 - g T = g N = s S, which is the t-EER. The first equation is g = 1 / v, v = T + N, and gives N / v. From v = 1 (the CM accepts
    all genuine speech, the ASV is at its EER) to 2 (the ASV accepts all) the first solution counts, rates being linear between
    neighbouring operating points. A perfect CM leaves the ASV's EER, a perfect ASV that spoofs always pass leaves the CM's
    (`test_tandem.py::test_t_eer_of_a_perfect_system_is_the_eer_of_the_other`). The challenge's script takes the nearest pair of single
    trials instead: the same to a few trials, but too little if scores of the CM are tied.
    """
    (target, nontarget, asv_spoof), (genuine, cm_spoof) = _accepted(asv), _accepted(cm)
    values, useful = (target + nontarget)[target + nontarget > 1], genuine[genuine >= 0.5]
    v, index = np.unique(np.concatenate([values, 1 / useful]), return_index=True)
    g = np.concatenate([1 / values, useful])[index]
    n = _between(target + nontarget, nontarget, v, "left")
    low, high = (_between(target + nontarget, asv_spoof, v, side) for side in ("left", "right"))
    cm_low, cm_high = (_between(genuine, cm_spoof, g, side) for side in ("left", "right"))
    solved = (cm_low * low - n / v <= ROUNDING) & (cm_high * high - n / v >= -ROUNDING)
    before, behind = (
        cm_high * low - n / v,
        cm_low * high - n / v,
    )  # s S - g N as v comes and as it goes on
    crossed = np.append((behind[:-1] * before[1:] < 0) & (np.abs(before[1:]) > ROUNDING), False)
    if not (solved | crossed).any():
        return None
    i = int(np.argmax(solved | crossed))
    if solved[i]:
        return float(n[i] / v[i])
    start, end = np.array(
        [
            [v[i], n[i], high[i], cm_low[i] * v[i]],
            [v[i + 1], n[i + 1], low[i + 1], cm_high[i + 1] * v[i + 1]],
        ]
    )

    def excess(share: float) -> float:
        """V (s S - g N) between start and end, where v, N, S and v s are linear."""
        _, n, spoof, v_s = start + share * (end - start)
        return v_s * spoof - n

    from scipy.optimize import brentq  # here, so that --help does not wait for it

    v, n, *_ = start + brentq(excess, 0, 1, xtol=1e-15) * (end - start)
    return float(n / v)


def _accepted(scores: Scores | AsvScores) -> list[np.ndarray]:
    """Fraction accepted of each class, from none to all, as the threshold falls from one distinct score to the next."""
    thresholds = np.unique(np.concatenate(scores))[::-1]
    return [
        np.append(0, len(values) - np.searchsorted(values, thresholds)) / len(values)
        for values in scores
    ]


def _between(x: np.ndarray, y: np.ndarray, at: np.ndarray, side: str) -> np.ndarray:
    """`y` at `at`, linear between points of rising x; where x repeats, the first y for side left, the last for right."""
    i = np.searchsorted(x, at - ROUNDING if side == "left" else at + ROUNDING, side)
    below, above = np.maximum(i - 1, 0), np.minimum(i, len(x) - 1)
    width = x[above] - x[below]
    share = np.divide(at - x[below], width, out=np.zeros(len(at)), where=width > 0)
    return y[below] + np.clip(share, 0, 1) * (y[above] - y[below])
