"""sd-eval-scores: scores and labels -> a table of EER with interval, Cllr, minCllr, minDCF and actDCF, and of the EER by condition."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from sdtools import cli, scores
from sdtools.intervals import LEVEL, by_class, eer_interval
from sdtools.metrics import Condition, MetricOptions, Metrics, breakdown, evaluate
from sdtools.streams import open_output


@dataclass(frozen=True)
class EvalOptions:
    """Settings of the command itself."""

    json: str | None = field(default=None, metadata={"help": "also write the figures here, with all digits"})
    bootstrap: int = field(
        default=1000,
        metadata={"help": "replicates behind the 95 % interval of the first EER: by speaker if utt2spk is beside <utt2label>; 0: none"},
    )
    by: tuple[str, ...] = field(
        default=(), metadata={"help": "also the EER of each condition: columns, as env,spk for utt2env, utt2spk beside <utt2label>"}
    )

    def __post_init__(self):
        if len(set(self.by)) < len(self.by):
            raise ValueError(f"--by: got {','.join(self.by)!r}, need each once")
        if self.bootstrap < 0:
            raise ValueError(f"--bootstrap: got {self.bootstrap}, need 0 or more")


COMMAND = cli.Command(
    name="sd-eval-scores",
    summary="Prints a row of metrics for each score file. Scores are natural-log likelihood ratios, positive for genuine speech; EER,\n"
    "minCllr and minDCF look only at their order. Cllr, 0 to 1 for useful LLRs, exceeds minCllr by what calibration would gain.\n"
    "By condition: the spoof trials of a condition against all genuine trials.",
    positionals=("<utt2label>", "<scores>..."),
    example="sd-eval-scores data/eval/utt2label exp/cf_sd6/scores/eval.txt exp/cm_sd6/scores/eval.txt",
    options=(MetricOptions, scores.JoinOptions, EvalOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: cli.Context) -> int:
    """Read, evaluate, print."""
    utt2label, *paths = context.positionals
    options, own = context[MetricOptions], context[EvalOptions]
    trials, is_genuine = scores.read_trials(utt2label, paths, context[scores.JoinOptions].missing)
    spoof_utts = [utt for utt, genuine in zip(trials.utts, is_genuine) if not genuine]
    columns = {column: scores.read_conditions(utt2label, column, spoof_utts) for column in own.by}
    groups = by_class(scores.read_speakers(utt2label, trials.utts), is_genuine) if own.bootstrap else None
    results, breakdowns, intervals = [], [], []
    for path, llrs in zip(paths, trials.scores.T):
        genuine, spoof = llrs[is_genuine], llrs[~is_genuine]
        with _warnings_of(path, context.log):
            results.append(evaluate(genuine, spoof, options))
        intervals.append(eer_interval((genuine, spoof), groups, options.eer[0], own.bootstrap) if own.bootstrap else None)
        by = {}
        for column, conditions in columns.items():
            with _warnings_of(f"{path}: {column}", context.log):
                by[column] = breakdown(genuine, spoof, conditions, options.eer)
        breakdowns.append(by)
    if own.json:
        systems = []
        for path, metrics, interval, by in zip(paths, results, intervals, breakdowns):
            records = {column: {name: record(result) for name, result in conditions.items()} for column, conditions in by.items()}
            systems.append({"system": path, **record(metrics), "eer_interval": interval, "by": records})
        how = {"eer": options.eer[0], "level": LEVEL, "by": "speaker" if groups else "trial", "replicates": own.bootstrap}
        figures = {"utt2label": utt2label, "num_dropped": trials.num_dropped, "options": asdict(options)}
        figures |= {"eer_interval": how if own.bootstrap else None, "systems": systems}
        with open_output(own.json) as file:
            file.write((json.dumps(figures, indent=2, allow_nan=False) + "\n").encode())
    print(table(paths, results, intervals))
    for column in columns:
        print(f"\n{condition_table(column, paths, [by[column] for by in breakdowns])}")
    context.log.info(verdict(paths, results, intervals))
    return 0


@contextmanager
def _warnings_of(who: str, log: cli.Log) -> Iterator[None]:
    """Log what is warned of, each once and with a name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        log.warning(f"{who}: {message}")


def table(paths: Sequence[str], results: Sequence[Metrics], intervals: Sequence[tuple[float, float] | None]) -> str:
    """The metrics in aligned columns, one system a line, with the interval behind the EER that it is of."""
    first, *others = [f"EER % ({eer.method})" for eer in results[0].eer]
    interval_title = [] if intervals[0] is None else [f"{100 * LEVEL:g} % interval"]
    rows = [["system", "genuine", "spoof", first, *interval_title, *others, "Cllr", "minCllr", "minDCF", "actDCF"]]
    for path, m, interval in zip(paths, results, intervals):
        first, *others = [f"{100 * eer.value:.2f}" for eer in m.eer]
        bounds = [] if interval is None else [_range(interval)]
        figures = [f"{value:.4f}" for value in (m.cllr, m.min_cllr, m.min_dcf, m.act_dcf)]
        rows.append([path, str(m.num_genuine), str(m.num_spoof), first, *bounds, *others, *figures])
    return cli.aligned(rows)


def _range(interval: tuple[float, float]) -> str:
    """Bounds in percent."""
    return "-".join(f"{100 * bound:.2f}" for bound in interval)


def condition_table(column: str, paths: Sequence[str], systems: Sequence[dict[str, Condition]]) -> str:
    """EER in percent, by the first method, in aligned columns: one condition a line, one system a column."""
    rows = [[column, "spoof", *scores.short_names(paths)]]
    for name, first in systems[0].items():
        rows.append([name, str(first.num_spoof), *(f"{100 * by[name].eer[0].value:.2f}" for by in systems)])
    return cli.aligned(rows)


def record(result: Metrics | Condition) -> dict:
    """The figures as JSON holds them, EERs by method; an infinite one as the word inf."""
    eers = {eer.method: {"value": eer.value, "threshold": _word(eer.threshold)} for eer in result.eer}
    return {name: eers if name == "eer" else _word(value) for name, value in asdict(result).items()}


def _word(value: float) -> float | str:
    """An infinite number as a word, which JSON can hold."""
    return str(value) if value in (math.inf, -math.inf) else value


def verdict(paths: Sequence[str], results: Sequence[Metrics], intervals: Sequence[tuple[float, float] | None]) -> str:
    """What the table says, in a sentence: the best system, its interval, and whether its LLRs can be taken at their word."""
    path, best, interval = min(zip(paths, results, intervals), key=lambda row: row[1].eer[0].value)
    bounds = "" if interval is None else f" ({_range(interval)})"
    calibration = f"of its Cllr {best.cllr:.4f}, {best.cllr - best.min_cllr:.4f} is for want of calibration"
    advice = "; its LLRs mislead (Cllr above 1): calibrate them with sd-train-fusion" if best.cllr > 1 else ""
    return f"best EER: {path}, {100 * best.eer[0].value:.2f} %{bounds}; {calibration}{advice}"


if __name__ == "__main__":
    raise SystemExit(main())
