"""Metrics of a countermeasure (CM) in tandem with a speaker verifier (ASV).

Conventions
-----------
- A trial of the tandem is of a target, a nontarget (both genuine speech) or a spoof. It is accepted
  if both systems accept it: score >= threshold.
- Decisions of the two systems are independent given the class, so neither needs scores of the
  other's trials.

Metrics
-------
- `min_tdcf`: least tandem detection cost (t-DCF), normalised as in 2019 and as from 2021 on [1].
- a-DCF of the ASV alone, in `evaluate_asv` [2].
- `t_eer`: concurrent tandem equal error rate [3].

References
----------
[1] T. Kinnunen et al., "Tandem assessment of spoofing countermeasures and automatic speaker
verification: fundamentals", IEEE/ACM TASLP, 2020 (2021 form).
[2] H. Shim et al., "a-DCF: an architecture agnostic metric with application to spoofing-robust
speaker verification", Odyssey, 2024.
[3] T. Kinnunen et al., "t-EER: parameter-free tandem evaluation of countermeasures and biometric
comparators", IEEE TPAMI, 2023.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sdtools.errors import SdError
from sdtools.scoring.equal_error_rate import TiesWarning, WrongWayWarning, read_eer
from sdtools.scoring.roc import Roc, SortedScores, convex_hull, roc, sort_class, sort_scores

ROUNDING = (
    1e-12  # smaller differences of rates count as none; rates of up to 1e11 trials differ more
)


@dataclass(frozen=True)
class TandemOptions:
    """Priors and costs of the tandem (defaults: ASVspoof 2019 to 5), and the ASV's threshold."""

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
        metadata={"help": "ASV threshold of the t-DCFs, instead of that of its asvspoof EER"},
    )

    def __post_init__(self) -> None:
        priors = self.p_target, self.p_nontarget, self.p_spoof
        costs = self.c_miss, self.c_fa, self.c_fa_spoof
        if not (min(priors) > 0 and abs(sum(priors) - 1) <= 1e-10):
            raise SdError(
                "--p-target, --p-nontarget, --p-spoof",
                got=", ".join(map(str, priors)),
                need="positive numbers that sum to 1",
                hint="Set all three",
            )
        if not all(0 < cost < math.inf for cost in costs):
            got = ", ".join(map(str, costs))
            raise SdError("--c-miss, --c-fa, --c-fa-spoof", got=got, need="positive numbers")
        if self.tau is not None and not math.isfinite(self.tau):
            raise SdError("--tau", got=self.tau, need="a finite number")

    @property
    def weights(self) -> tuple[float, float, float]:
        """Cost times prior of rejecting targets, accepting nontargets, accepting spoofs."""
        return (
            self.p_target * self.c_miss,
            self.p_nontarget * self.c_fa,
            self.p_spoof * self.c_fa_spoof,
        )


class AsvScores(NamedTuple):
    """The ASV's scores of each class in ascending order, float64."""

    target: np.ndarray
    nontarget: np.ndarray
    spoof: np.ndarray


@dataclass(frozen=True)
class Asv:
    """The ASV alone: its error rates within 0..1 at threshold tau, and its a-DCF."""

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
    """The metrics of one CM.

    Both t-DCFs are least at the same `threshold`; `t_eer` is None if there is none.
    """

    num_genuine: int
    num_spoof: int
    min_tdcf_2019: float
    min_tdcf_2021: float
    threshold: float
    t_eer: float | None


def evaluate_tandem(
    genuine: npt.ArrayLike,
    spoof: npt.ArrayLike,
    asv_scores: AsvScores,
    asv: Asv,
    options: TandemOptions = TandemOptions(),
) -> Tandem:
    """All tandem metrics of a CM.

    Parameters
    ----------
    genuine, spoof : (num_trials,) arrays or lists
        The CM's scores in any order.
    asv_scores, asv
        From `sort_asv_scores` and `evaluate_asv`.
    options

    Raises
    ------
    SdError
        If a class has no trials, or a score is NaN; as `min_tdcf`.
    """
    cm = sort_scores(genuine, spoof)
    costs = min_tdcf(convex_hull(cm), asv, options)
    return Tandem(len(cm.genuine), len(cm.spoof), *costs, t_eer(cm, asv_scores))


def sort_asv_scores(
    target: npt.ArrayLike, nontarget: npt.ArrayLike, spoof: npt.ArrayLike
) -> AsvScores:
    """Check and sort the ASV's scores of each class, (num_trials,) each."""
    return AsvScores(*map(sort_class, (target, nontarget, spoof), AsvScores._fields))


def evaluate_asv(scores: AsvScores, options: TandemOptions = TandemOptions()) -> Asv:
    """Error rates of the ASV at its threshold, and its a-DCF.

    The threshold is `options.tau`, or else that of the asvspoof EER of targets against nontargets.

    Notes
    -----
    The a-DCF is the least cost of deciding by one threshold on the ASV's score alone, divided by
    the cost of accepting or rejecting all; at most 1. For a verifier that should withstand spoofs
    (ASVspoof 5, track 2) it is the primary metric. It is least where a target is only just
    accepted, so only these thresholds are tried
    (`test_tandem.py::test_every_metric_follows_its_definition`).
    """
    tau = _eer_threshold(scores) if options.tau is None else options.tau
    nontarget = SortedScores(scores.target, scores.nontarget)
    spoof = SortedScores(scores.target, scores.spoof)
    reject, accept, accept_spoof = options.weights
    at_targets = roc(nontarget, scores.target)
    costs = (
        reject * at_targets.p_miss
        + accept * at_targets.p_false_alarm
        + accept_spoof * roc(spoof, scores.target).p_false_alarm
    )
    best = int(np.argmin(costs))
    cost, threshold = costs[best], scores.target[best]
    if cost > reject:
        cost, threshold = reject, math.inf
    at_tau = roc(nontarget, tau)
    return Asv(
        num_target=len(scores.target),
        num_nontarget=len(scores.nontarget),
        num_spoof=len(scores.spoof),
        tau=float(tau),
        p_miss=float(at_tau.p_miss),
        p_false_alarm=float(at_tau.p_false_alarm),
        p_false_alarm_spoof=float(roc(spoof, tau).p_false_alarm),
        a_dcf=float(cost / min(reject, accept + accept_spoof)),
        a_dcf_threshold=float(threshold),
    )


def _eer_threshold(scores: AsvScores) -> float:
    """Threshold of the asvspoof EER of targets against nontargets, with warnings about the ASV."""
    by_trial, doubts = read_eer(SortedScores(scores.target, scores.nontarget), "asvspoof")
    hints = {
        WrongWayWarning: "Targets score lower than nontargets. Check the keys and the sign of the "
        "scores",
        TiesWarning: "The threshold depends on the order of tied scores. Give --tau",
    }
    for doubt in doubts:
        kind = type(doubt)
        warning = kind("ASV", doubt.what, got=doubt.got, hint=hints[kind])
        warnings.warn(warning, stacklevel=3)
    return by_trial.threshold


def min_tdcf(hull: Roc, asv: Asv, options: TandemOptions) -> tuple[float, float, float]:
    """Least normalised t-DCF over all thresholds of the CM: 2019 form, 2021 form, and threshold.

    Raises
    ------
    SdError
        If a weight of the CM's errors is not positive: then the t-DCF is not defined.

    Notes
    -----
    With the ASV's rates, C0 = Ptar Cmiss Pmiss + Pnon Cfa Pfa, C1 = Ptar Cmiss - C0 and C2 = Pspf
    Cfa,spf Pfa,spf. 2019: (C1 Pm + C2 Pf) / min(C1, C2), 0 for a perfect CM. 2021 and ASVspoof 5:
    (C0 + C1 Pm + C2 Pf) / (C0 + min(C1, C2)). Both are at most 1, and least at the same vertex of
    the CM's hull (`test_tandem.py::test_every_metric_follows_its_definition`).
    """
    reject, accept, accept_spoof = options.weights
    c0 = reject * asv.p_miss + accept * asv.p_false_alarm
    c1, c2 = reject - c0, accept_spoof * asv.p_false_alarm_spoof
    if min(c1, c2) <= 0:
        rates = (
            f"Pmiss {asv.p_miss:.4g}, Pfa {asv.p_false_alarm:.4g} and Pfa,spf "
            f"{asv.p_false_alarm_spoof:.4g} of the ASV at {asv.tau:.4g}"
        )
        raise SdError(
            "t-DCF",
            "weights of the CM's errors",
            got=f"C1 = {c1:.4g}, C2 = {c2:.4g} with {rates}",
            need="both above 0, because the t-DCF is not defined otherwise",
            hint="Check the keys and scores of the ASV, or give another --tau",
        )
    costs = c1 * hull.p_miss + c2 * hull.p_false_alarm
    best = int(np.argmin(costs))
    return (
        float(costs[best] / min(c1, c2)),
        float((c0 + costs[best]) / (c0 + min(c1, c2))),
        float(hull.thresholds[best]),
    )


def t_eer(cm: SortedScores, asv: AsvScores) -> float | None:
    """Concurrent tandem equal error rate, within 0..1.

    It is the equal error rate at thresholds of both systems where it does not depend on the
    prevalence of spoofs. None if there are no such thresholds. There are some if spoofs pass the
    ASV at its EER as often as nontargets or more, and fewer than half of them pass a CM that half
    of genuine speech passes.

    Notes
    -----
    Let the ASV accept fractions T, N, S of targets, nontargets, spoofs, the CM g of genuine speech
    and s of spoofs, and rho be the prevalence of spoofs among impostors. Then P_miss = 1 - g T and
    P_fa = (1 - rho) g N + rho s S. They are equal for every rho where 1 - g T = g N = s S, which is
    the t-EER. The first equation is g = 1 / v, v = T + N, and gives N / v. v rises from 1 (the CM
    accepts all genuine speech, the ASV is at its EER) to 2 (the ASV accepts all). The first
    solution counts; rates are linear between neighbouring operating points. With a perfect CM the
    t-EER is the EER of the ASV, and with a perfect ASV that spoofs always pass it is that of the CM
    (`test_tandem.py::test_t_eer_of_a_perfect_system_is_the_eer_of_the_other`). The challenge's
    script takes the nearest pair of single trials instead: the same to a few trials, but too low if
    scores of the CM are tied.
    """
    (target, nontarget, asv_spoof), (genuine, cm_spoof) = _accepted(asv), _accepted(cm)
    total = target + nontarget
    values, useful = total[total > 1], genuine[genuine >= 0.5]
    v, index = np.unique(np.concatenate([values, 1 / useful]), return_index=True)
    g = np.concatenate([1 / values, useful])[index]
    n = _between(total, nontarget, v, "left")
    low, high = (_between(total, asv_spoof, v, side) for side in ("left", "right"))
    cm_low, cm_high = (_between(genuine, cm_spoof, g, side) for side in ("left", "right"))
    solved = (cm_low * low - n / v <= ROUNDING) & (cm_high * high - n / v >= -ROUNDING)
    before, after = cm_high * low - n / v, cm_low * high - n / v  # s S - g N on both sides of v
    crossed = np.append((after[:-1] * before[1:] < 0) & (np.abs(before[1:]) > ROUNDING), False)
    if not (solved | crossed).any():
        return None
    i = int(np.argmax(solved | crossed))
    if solved[i]:
        return float(n[i] / v[i])
    start = np.array([v[i], n[i], high[i], cm_low[i] * v[i]])
    end = np.array([v[i + 1], n[i + 1], low[i + 1], cm_high[i + 1] * v[i + 1]])
    return _crossing(start, end)


def _crossing(start: np.ndarray, end: np.ndarray) -> float:
    """N / v where s S = g N between two places, each (v, N, S, v s), which are linear between."""
    from scipy.optimize import brentq  # here, so that --help does not wait for it

    def excess(share: float) -> float:
        """V (s S - g N)."""
        _, n, spoof, v_s = start + share * (end - start)
        return v_s * spoof - n

    v, n, *_ = start + brentq(excess, 0, 1, xtol=1e-15) * (end - start)
    return float(n / v)


def _accepted(scores: SortedScores | AsvScores) -> list[np.ndarray]:
    """Fraction accepted of each class, from none to all, as the threshold falls score by score."""
    thresholds = np.unique(np.concatenate(scores))[::-1]
    return [
        np.append(0, len(values) - np.searchsorted(values, thresholds)) / len(values)
        for values in scores
    ]


def _between(
    x: np.ndarray, y: np.ndarray, at: np.ndarray, side: Literal["left", "right"]
) -> np.ndarray:
    """`y` at `at`, linear between points of rising x.

    Where x repeats, side `left` takes the first y and `right` the last.
    """
    i = np.searchsorted(x, at - ROUNDING if side == "left" else at + ROUNDING, side)
    below, above = np.maximum(i - 1, 0), np.minimum(i, len(x) - 1)
    width = x[above] - x[below]
    share = np.divide(at - x[below], width, out=np.zeros(len(at)), where=width > 0)
    return y[below] + np.clip(share, 0, 1) * (y[above] - y[below])
