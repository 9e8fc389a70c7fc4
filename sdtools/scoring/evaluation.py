"""The evaluation of some systems as a typed record, and as the JSON that sd-eval-scores writes.

sd-report and the tables of the recipes read it back. Reading is strict, because a results.json may
come from anywhere: every value is checked, and names that would run a command are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sdtools import __version__
from sdtools.errors import SdError
from sdtools.scoring.json_files import Fields, read_json, to_word, write_json
from sdtools.scoring.metrics import Condition, Eer, MetricOptions, Metrics, thresholds
from sdtools.scoring.roc import SortedScores, roc

NEED, HINT = "the output of sd-eval-scores --json", "Evaluate again"
Conditions = Mapping[str, Mapping[str, Condition]]  # by column and condition


@dataclass(frozen=True)
class IntervalSettings:
    """How the intervals of the first EER were made.

    Parameters
    ----------
    eer
        Its method.
    level
        Within 0..1.
    by
        What was resampled: `speaker` or `trial`.
    replicates
        Number of bootstrap replicates.
    """

    eer: str
    level: float
    by: str
    replicates: int


@dataclass(frozen=True)
class SystemEvaluation:
    """The evaluation of one system; `path` is its score file."""

    path: str
    metrics: Metrics
    interval: tuple[float, float] | None
    by: Conditions

    @property
    def eer(self) -> Eer:
        """The EER by the first method."""
        return self.metrics.eer[0]

    @property
    def calibration_loss(self) -> float:
        """The part of Cllr that calibration would remove."""
        return self.metrics.cllr - self.metrics.min_cllr

    def to_json(self) -> dict[str, Any]:
        """What JSON holds."""
        by = {
            column: {name: _result_to_json(result) for name, result in conditions.items()}
            for column, conditions in self.by.items()
        }
        interval = list(self.interval) if self.interval else None
        figures = _result_to_json(self.metrics)
        return {"system": self.path, **figures, "eer_interval": interval, "by": by}

    @classmethod
    def from_json(cls, values: Fields, methods: tuple[str, ...]) -> SystemEvaluation:
        """Read what `to_json` gave; `methods` are those of the EERs."""
        metrics = Metrics(
            values.integer("num_genuine"),
            values.integer("num_spoof"),
            _eers_from_json(values, methods),
            cllr=values.extended("cllr"),
            min_cllr=values.number("min_cllr"),
            min_dcf=values.extended("min_dcf"),
            act_dcf=values.extended("act_dcf"),
        )
        interval = None
        if values.any("eer_interval") is not None:
            bounds = values.numbers("eer_interval")
            if len(bounds) != 2:
                raise SdError(values.place("eer_interval"), got=f"{len(bounds)} numbers", need=2)
            interval = bounds[0], bounds[1]
        columns = values.object("by")
        by = {column: _conditions_from_json(columns, column, methods) for column in columns.values}
        return cls(values.text("system"), metrics, interval, by)


@dataclass(frozen=True)
class Evaluation:
    """What sd-eval-scores found.

    Parameters
    ----------
    utt2label
        File of the labels.
    num_dropped
        Number of labelled utterances that were left out, because they lack a score.
    options
    interval
        How the intervals were made; None if there are none.
    systems
        All with the same conditions.
    """

    utt2label: str
    num_dropped: int
    options: MetricOptions
    interval: IntervalSettings | None
    systems: tuple[SystemEvaluation, ...]

    def to_json(self) -> dict[str, Any]:
        """What results.json holds."""
        return {
            "utt2label": self.utt2label,
            "num_dropped": self.num_dropped,
            "options": {**asdict(self.options), "eer": list(self.options.eer)},
            "eer_interval": asdict(self.interval) if self.interval else None,
            "systems": [system.to_json() for system in self.systems],
        }

    @classmethod
    def from_json(cls, record: Any) -> Evaluation:
        """Read what `to_json` gave.

        Raises
        ------
        SdError
            If a field is missing or of another kind, or systems have different conditions.
        """
        values = Fields(record)
        options = _options_from_json(values.object("options"))
        interval = None
        if values.any("eer_interval") is not None:
            how = values.object("eer_interval")
            level, by, num = how.number("level"), how.text("by"), how.integer("replicates")
            interval = IntervalSettings(how.text("eer"), level, by, num)
        systems = tuple(
            SystemEvaluation.from_json(system, options.eer) for system in values.objects("systems")
        )
        if not systems:
            raise SdError("systems", got="none", need="one or more")
        columns = {column: set(names) for column, names in systems[0].by.items()}
        for system in systems:
            if {column: set(names) for column, names in system.by.items()} != columns:
                raise SdError("systems", "they have different conditions")
            if bool(system.interval) != bool(interval):
                raise SdError("systems", "only some of them have an interval")
        utt2label, num_dropped = values.text("utt2label"), values.integer("num_dropped")
        return cls(utt2label, num_dropped, options, interval, systems)


def write_evaluation(path: str, evaluation: Evaluation) -> None:
    """Write results.json."""
    write_json(path, evaluation.to_json())


def read_evaluation(path: str) -> Evaluation:
    """Read results.json.

    Raises
    ------
    SdError
        If it is not an evaluation, or if an input is a command: reading results runs none.
    """
    record = read_json(path, "evaluation", NEED, HINT)
    try:
        evaluation = Evaluation.from_json(record)
    except SdError as error:
        raise error.within(f"{path}: evaluation", HINT) from None
    for name in (evaluation.utt2label, *(system.path for system in evaluation.systems)):
        if name.endswith("|") or name == "-":
            need, hint = "a file, because reading results runs no command", "Evaluate files"
            raise SdError(path, "input", got=repr(name), need=need, hint=hint)
    return evaluation


def threshold_record(
    utt2label: str,
    path: str,
    scores: SortedScores,
    options: MetricOptions,
    false_alarm_rate: float,
) -> dict[str, Any]:
    """Thresholds with their error rates on these scores, and where they come from, for JSON."""
    found = thresholds(scores, options, false_alarm_rate)
    points = roc(scores, [*found.values()])
    rates = zip(points.p_miss.tolist(), points.p_false_alarm.tolist())
    return {
        "sdtools": __version__,
        "utt2label": utt2label,
        "scores": path,
        "num_genuine": points.num_genuine,
        "num_spoof": points.num_spoof,
        "eer": options.eer[0],
        "p_spoof": options.p_spoof,
        "c_miss": options.c_miss,
        "c_fa": options.c_fa,
        "false_alarm_rate": false_alarm_rate,
        "thresholds": {
            name: {"threshold": to_word(threshold), "p_miss": miss, "p_false_alarm": false_alarm}
            for (name, threshold), (miss, false_alarm) in zip(found.items(), rates)
        },
    }


def _result_to_json(result: Metrics | Condition) -> dict[str, Any]:
    """The figures of a result, EERs by method."""
    eers = {e.method: {"value": e.value, "threshold": to_word(e.threshold)} for e in result.eer}
    figures = {name: to_word(value) for name, value in asdict(result).items()}
    return {**figures, "eer": eers}


def _eers_from_json(values: Fields, methods: tuple[str, ...]) -> tuple[Eer, ...]:
    by_method = values.object("eer")
    eers = [(method, by_method.object(method)) for method in methods]
    return tuple(Eer(e.number("value"), e.extended("threshold"), method) for method, e in eers)


def _conditions_from_json(
    columns: Fields, column: str, methods: tuple[str, ...]
) -> dict[str, Condition]:
    conditions = columns.object(column)
    results = {name: conditions.object(name) for name in conditions.values}
    return {
        name: Condition(
            result.integer("num_genuine"),
            result.integer("num_spoof"),
            _eers_from_json(result, methods),
        )
        for name, result in results.items()
    }


def _options_from_json(values: Fields) -> MetricOptions:
    costs = (values.number(name) for name in ("p_spoof", "c_miss", "c_fa"))
    return MetricOptions(tuple(values.texts("eer")), *costs)
