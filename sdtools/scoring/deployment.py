"""What the decisions of a deployed model cost: error rates at each of its thresholds.

The record is made once, written into model.json, and rendered here for all who show it: the last
stage of the recipes, the report and `sd-detect --info`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from sdtools.errors import SdError
from sdtools.scoring.intervals import LEVEL
from sdtools.scoring.json_files import Fields, read_json, to_word
from sdtools.scoring.metrics import MetricOptions, cllr, min_cllr, thresholds
from sdtools.scoring.roc import convex_hull, sort_scores
from sdtools.scoring.summary import aligned

MIN_SPEAKERS = 10  # of a class; with fewer, LLRs and intervals are unreliable
MAX_CLLR, MAX_LOSS, MAX_FACTOR = 1.0, 0.2, 2.0  # beyond these a calibration has failed
EQUAL_COSTS = MetricOptions(p_spoof=0.5, c_miss=1.0, c_fa=1.0)


class LabelledLlrs(NamedTuple):
    """LLRs of a set, truth (bool) and a number for the speaker of each, (num_trials,)."""

    llrs: np.ndarray
    is_genuine: np.ndarray
    speakers: np.ndarray


@dataclass(frozen=True)
class Rate:
    """An error rate, as counts, and the bounds of its interval within 0..1."""

    num_errors: int
    num_trials: int
    num_speakers: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The rate, within 0..1."""
        return self.num_errors / self.num_trials

    @classmethod
    def from_json(cls, values: Fields) -> Rate:
        """Read what `asdict` gave."""
        errors, trials = values.integer("num_errors"), values.integer("num_trials")
        if not 0 <= errors <= trials or trials < 1:
            need = "no more errors than trials, and trials"
            raise SdError(values.name, got=f"{errors} of {trials}", need=need)
        bounds = values.number("low"), values.number("high")
        return cls(errors, trials, values.integer("num_speakers"), *bounds)


@dataclass(frozen=True)
class SetCosts:
    """Cost of the LLRs of one set in bits, and its errors at each threshold, by name."""

    cllr: float
    min_cllr: float
    miss: dict[str, Rate]
    false_alarm: dict[str, Rate]

    @property
    def loss(self) -> float:
        """The part of Cllr that calibration would remove."""
        return self.cllr - self.min_cllr

    @classmethod
    def measure(cls, trials: LabelledLlrs, levels: dict[str, float]) -> SetCosts:
        """Measure a set at the thresholds `levels`."""
        llrs, is_genuine, speakers = trials
        scores = sort_scores(llrs[is_genuine], llrs[~is_genuine])
        rates = [
            {
                name: error_rate(is_error(llrs[of], level), speakers[of])
                for name, level in levels.items()
            }
            for of, is_error in ((is_genuine, np.less), (~is_genuine, np.greater_equal))
        ]
        return cls(cllr(scores), min_cllr(convex_hull(scores)), *rates)

    @classmethod
    def from_json(cls, values: Fields, names: Sequence[str]) -> SetCosts:
        """Read what `asdict` gave."""
        rates = []
        for error in ("miss", "false_alarm"):
            of = values.object(error)
            rates.append({name: Rate.from_json(of.object(name)) for name in names})
        return cls(values.number("cllr"), values.number("min_cllr"), *rates)


@dataclass(frozen=True)
class Deployment:
    """Thresholds of a model, and what they cost.

    Parameters
    ----------
    thresholds
        LLR by name: `bayes` (prior 0.5, equal costs), `eer`, `false_alarm`.
    dev
        Trials of train and dev, cross-fitted: models and calibration are of other speakers.
    eval
        Trials of eval; None if it has no labels.
    """

    thresholds: dict[str, float]
    dev: SetCosts
    eval: SetCosts | None

    @classmethod
    def measure(
        cls, dev: LabelledLlrs, eval_set: LabelledLlrs | None, max_false_alarm_rate: float
    ) -> Deployment:
        """Choose the thresholds on `dev`, and count the errors of both sets."""
        llrs, is_genuine, _ = dev
        scores = sort_scores(llrs[is_genuine], llrs[~is_genuine])
        found = thresholds(scores, EQUAL_COSTS, max_false_alarm_rate)
        levels = {
            name: level if name == "bayes" else _between(level, llrs)
            for name, level in sorted(found.items())
        }
        of_eval = None if eval_set is None else SetCosts.measure(eval_set, levels)
        return cls(levels, SetCosts.measure(dev, levels), of_eval)

    @property
    def failures(self) -> list[str]:
        """How the calibration failed its eval; empty if it did not, or there is no eval."""
        if self.eval is None:
            return []
        found = []
        if self.eval.cllr > MAX_CLLR:
            found.append(f"Cllr {self.eval.cllr:.2f} on eval, above {MAX_CLLR:g}")
        if self.eval.loss > MAX_LOSS:
            found.append(f"calibration loss {self.eval.loss:.2f} bit on eval, above {MAX_LOSS:g}")
        for what in ("miss", "false_alarm"):
            dev, seen = getattr(self.dev, what)["eer"], getattr(self.eval, what)["eer"]
            if seen.value > MAX_FACTOR * dev.high:
                name, expected = what.replace("_", "-"), _percent(dev)
                rate = f"{100 * seen.value:.1f} % on eval at the EER threshold"
                found.append(f"{name} rate {rate}, expected {expected}")
        return found

    @property
    def num_speakers(self) -> int:
        """Speakers in the calibration, of the class that has fewer."""
        rates = (self.dev.miss, self.dev.false_alarm)
        return min(rate.num_speakers for of in rates for rate in of.values())

    @property
    def warnings(self) -> list[str]:
        """What a user of the model has to know, as sentences without a full stop."""
        found = []
        if self.failures:
            found.append(f"the calibration failed its eval: {'; '.join(self.failures)}")
        if self.num_speakers < MIN_SPEAKERS:
            found.append(
                f"the calibration is of {self.num_speakers} speakers, so LLRs and error rates are "
                f"unreliable; {MIN_SPEAKERS} or more in train and dev together would do"
            )
        return found

    @property
    def explanation(self) -> str:
        """What the figures of `rows` are, and the cost of the LLRs, in sentences."""
        sets = [f"{self.dev.cllr:.3f} ({self.dev.min_cllr:.3f}) on train + dev"]
        if self.eval:
            sets.append(f"{self.eval.cllr:.3f} ({self.eval.min_cllr:.3f}) on eval")
        return (
            f"Error rates of its decisions, with {100 * LEVEL:g} % intervals; on train + dev they "
            "are of models and calibrations that did not know the speaker. Cllr (minCllr): "
            f"{', '.join(sets)}."
        )

    def rows(self) -> list[list[str]]:
        """Head, and for each threshold the errors on train + dev, cross-fitted, and on eval."""
        head = ["threshold", "LLR", "on", "miss %", "false alarm %", "speakers"]
        rows = []
        for name, level in self.thresholds.items():
            for label, costs in (("train + dev", self.dev), ("eval", self.eval)):
                if costs is not None:
                    rates = costs.miss[name], costs.false_alarm[name]
                    numbers = dict.fromkeys(str(rate.num_speakers) for rate in rates)
                    cells = [f"{_percent(r)}, {r.num_errors} of {r.num_trials}" for r in rates]
                    rows.append([name, f"{level:+.2f}", label, *cells, ", ".join(numbers)])
        return [head, *rows]

    def lines(self) -> list[str]:
        """The explanation and the rows as lines of text."""
        return [self.explanation, *aligned(self.rows()).splitlines()]

    def to_json(self) -> dict[str, Any]:
        """What model.json holds."""
        levels = {name: {"threshold": to_word(level)} for name, level in self.thresholds.items()}
        return {
            "thresholds": levels,
            "dev": asdict(self.dev),
            "eval": asdict(self.eval) if self.eval else None,
            "calibration_failures": self.failures,
            "level": LEVEL,
        }

    @classmethod
    def from_json(cls, values: Fields) -> Deployment:
        """Read what `to_json` gave.

        Raises
        ------
        SdError
            If a field is missing or of another kind.
        """
        levels = values.object("thresholds")
        names = list(levels.values)
        found = {name: levels.object(name).extended("threshold") for name in names}
        if "eer" not in names:
            raise SdError(levels.name, got=" ".join(names), need="eer among them")
        has_eval = values.any("eval") is not None
        of_eval = SetCosts.from_json(values.object("eval"), names) if has_eval else None
        return cls(found, SetCosts.from_json(values.object("dev"), names), of_eval)


def read_deployment(path: str | os.PathLike[str]) -> Deployment | None:
    """The record in a model.json; None if that is of an older version.

    Raises
    ------
    SdError
        If the file cannot be read, or a field is missing or of another kind.
    """
    hint = "Make the model again"
    record = read_json(str(path), "model", "a model.json", hint)
    try:
        values = Fields(record)
        if "deployment" not in values.values:
            return None
        return Deployment.from_json(values.object("deployment"))
    except SdError as error:
        raise error.within(path, hint) from None


def error_rate(is_error: np.ndarray, speakers: np.ndarray) -> Rate:
    """An error rate with an interval that allows for several trials of a speaker.

    Parameters
    ----------
    is_error : (num_trials,) bool array
    speakers : (num_trials,) array
        A number for the speaker of each trial.

    Notes
    -----
    The exact interval (Clopper and Pearson) of the effective number of trials: that number of
    independent trials would vary as much as these, whose errors cluster in speakers. All trials
    count if all or none are errors.

    References
    ----------
    E. L. Korn and B. I. Graubard, "Confidence intervals for proportions with small expected number
    of positive counts estimated from survey data", Survey Methodology, 1998.

    Examples
    --------
    >>> rate = error_rate(np.zeros(100, bool), np.arange(100))
    >>> rate.num_errors, rate.low, round(rate.high, 3)
    (0, 0.0, 0.036)
    """
    from scipy.special import betaincinv  # here, so that sd-detect starts at once

    num_trials, num_errors = len(is_error), int(is_error.sum())
    numbers = np.unique(speakers, return_inverse=True)[1]
    num_speakers, p = int(numbers.max()) + 1, num_errors / num_trials
    n = float(num_trials)
    if 0 < num_errors < num_trials and num_speakers > 1:
        excess = np.bincount(numbers, weights=is_error - p)
        variance = num_speakers / (num_speakers - 1) * (excess**2).sum() / num_trials**2
        of_independent = p * (1 - p) / (num_trials - 1)
        n = min(n, n * of_independent / variance) if variance else n
    tail, k = (1 - LEVEL) / 2, n * p
    low = float(betaincinv(k, n - k + 1, tail)) if num_errors else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if num_errors < num_trials else 1.0
    return Rate(num_errors, num_trials, num_speakers, low, high)


def _between(threshold: float, llrs: np.ndarray) -> float:
    """Halfway to the next lower LLR: no LLR changes sides, and none is at the threshold."""
    below = llrs[llrs < threshold]
    return float(threshold + below.max()) / 2 if len(below) else float(threshold)


def _percent(rate: Rate) -> str:
    """A rate and its interval in percent.

    Examples
    --------
    >>> _percent(Rate(3, 60, 7, 0.0104, 0.139))
    '5.0 (1.0-13.9)'
    """
    return f"{100 * rate.value:.1f} ({100 * rate.low:.1f}-{100 * rate.high:.1f})"
