"""The equal error rate (EER) of sorted scores, read off the error curve in one of three ways."""

from __future__ import annotations

from bisect import bisect_left
from typing import ClassVar, NamedTuple

import numpy as np

from sdtools.errors import SdError, SdWarning
from sdtools.scoring.roc import Roc, SortedScores, convex_hull

EER_METHODS = ("interp", "rocch", "asvspoof")


class Eer(NamedTuple):
    """An equal error rate within 0..1, the threshold nearest to it, and how it was read."""

    value: float
    threshold: float
    method: str


class EerWarning(SdWarning):
    """Something doubtful about an EER; `SUMMARY` is what, in few words."""

    SUMMARY: ClassVar[str]


class WrongWayWarning(EerWarning):
    """An EER above 50 %."""

    SUMMARY: ClassVar = "EER above 50 %"


class TiesWarning(EerWarning):
    """Tied scores that mislead the EER of ASVspoof's script."""

    SUMMARY: ClassVar = "asvspoof EER misled by ties"


def read_eer(scores: SortedScores, method: str = "interp") -> tuple[Eer, list[EerWarning]]:
    """`eer` of sorted scores, and the warnings about it."""
    if method not in EER_METHODS:
        raise SdError("eer", "method", got=repr(method), need=" or ".join(EER_METHODS))
    points = _around_eer(scores)
    interpolated = _interpolated(points, "interp")
    doubts: list[EerWarning] = []
    percent = f"{100 * interpolated.value:.2f} %"
    if interpolated.value > 0.5:
        hint = (
            "Genuine trials score lower than spoof trials. Check the labels and the sign of the "
            "scores"
        )
        doubts.append(WrongWayWarning("eer", WrongWayWarning.SUMMARY, got=percent, hint=hint))
    if method == "rocch":
        hull = convex_hull(scores)
        end = int(np.argmax(hull.excess >= 0))
        return _interpolated(hull[end - 1 : end + 1], "rocch"), doubts
    if method == "interp":
        return interpolated, doubts
    by_trial = _by_trial(points, scores)
    if abs(by_trial.value - interpolated.value) > 1 / min(points.num_genuine, points.num_spoof):
        got = f"{100 * by_trial.value:.2f} % where the ROC has {percent}"
        hint = "It depends on the order of tied scores. Use --eer=interp"
        doubts.append(TiesWarning("eer", TiesWarning.SUMMARY, got=got, hint=hint))
    return by_trial, doubts


def _around_eer(scores: SortedScores) -> Roc:
    """The last operating point with Pmiss < Pfa and the first with Pmiss >= Pfa."""
    num_genuine, num_spoof = len(scores.genuine), len(scores.spoof)

    def excess(threshold: float) -> float:
        """`Roc.excess` of one threshold, much faster than by `roc`."""
        num_miss, num_rejected = (values.searchsorted(threshold) for values in scores)
        return num_miss / num_genuine - (num_spoof - num_rejected) / num_spoof

    ends = [bisect_left(values, 0.0, key=excess) for values in scores]
    last = max(values[i - 1] for values, i in zip(scores, ends) if i > 0)
    first = min((values[i] for values, i in zip(scores, ends) if i < len(values)), default=np.inf)
    starts = [np.searchsorted(values, last) for values in scores]
    num_miss, num_rejected = np.transpose([starts, ends])
    return Roc(np.array([last, first]), num_miss, num_spoof - num_rejected, num_genuine, num_spoof)


def _interpolated(pair: Roc, method: str) -> Eer:
    """The EER between two points, with the threshold of the nearer one."""
    (miss0, miss1), (before, after) = pair.p_miss, pair.excess
    nearer = 0 if -before <= after else 1
    value = miss0 - (miss1 - miss0) * before / (after - before)
    return Eer(float(value), float(pair.thresholds[nearer]), method)


def _by_trial(pair: Roc, scores: SortedScores) -> Eer:
    """The EER of ASVspoof's script.

    Between two points it rejects genuine trials one by one, then spoof trials one by one.
    """
    (miss0, miss1), (fa0, fa1) = pair.num_miss, pair.num_false_alarms
    num_miss = np.append(np.arange(miss0, miss1), np.full(fa0 - fa1 + 1, miss1))
    num_false_alarms = np.append(np.full(miss1 - miss0, fa0), np.arange(fa0, fa1 - 1, -1))
    p_miss, p_false_alarm = num_miss / pair.num_genuine, num_false_alarms / pair.num_spoof
    best = int(np.argmin(np.abs(p_miss - p_false_alarm)))
    threshold = pair.thresholds[0]
    if best == 0:  # the score before it
        lower = [values[i - 1] for values, i in zip(scores, (miss0, pair.num_spoof - fa0)) if i > 0]
        threshold = max(lower, default=threshold - 0.001)
    return Eer(float((p_miss[best] + p_false_alarm[best]) / 2), float(threshold), "asvspoof")
