"""sd-eval-scores: scores and labels -> a table of EER with interval, Cllr, minCllr, minDCF and actDCF, and of the EER by condition."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from sdtools.cli.command import Command, Context, Log, aligned
from sdtools.errors import UsageError
from sdtools.scoring import evaluation as summary
from sdtools.scoring import files as scores
from sdtools.scoring.evaluation import record
from sdtools.scoring.intervals import LEVEL, by_class, eer_interval
from sdtools.scoring.metrics import MetricOptions, breakdown, evaluate, sort_scores


@dataclass(frozen=True)
class EvalOptions:
    """Settings of the command itself."""

    json: str | None = field(
        default=None, metadata={"help": "also write the figures here, with all digits"}
    )
    thresholds: str | None = field(
        default=None,
        metadata={
            "help": "also write the thresholds of the EER, of Bayes and of --false-alarm-rate here: for one file of dev scores"
        },
    )
    false_alarm_rate: float = field(
        default=0.01, metadata={"help": "share of spoofs that --thresholds may let pass"}
    )
    bootstrap: int = field(
        default=1000,
        metadata={
            "help": "replicates behind the 95 % interval of the first EER: by speaker if utt2spk is beside <utt2label>; 0: none"
        },
    )
    by: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "also the EER of each condition: columns, as env,spk for utt2env, utt2spk beside <utt2label>"
        },
    )

    def __post_init__(self):
        if len(set(self.by)) < len(self.by):
            raise ValueError(f"--by: got {','.join(self.by)!r}, need each once")
        if self.bootstrap < 0:
            raise ValueError(f"--bootstrap: got {self.bootstrap}, need 0 or more")
        if not 0 <= self.false_alarm_rate <= 1:
            raise ValueError(f"--false-alarm-rate: got {self.false_alarm_rate}, need 0 to 1")


COMMAND = Command(
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


def body(context: Context) -> int:
    """Read, evaluate, print."""
    utt2label, *paths = context.positionals
    options, own = context[MetricOptions], context[EvalOptions]
    if own.thresholds and len(paths) != 1:
        raise UsageError(f"--thresholds: got {len(paths)} score files, need one")
    trials, is_genuine = scores.read_trials(utt2label, paths, context[scores.JoinOptions].missing)
    spoof_utts = [utt for utt, genuine in zip(trials.utts, is_genuine) if not genuine]
    columns = {column: scores.read_conditions(utt2label, column, spoof_utts) for column in own.by}
    groups = (
        by_class(scores.read_speakers(utt2label, trials.utts), is_genuine)
        if own.bootstrap
        else None
    )
    systems = []
    for path, llrs in zip(paths, trials.scores.T):
        genuine, spoof = llrs[is_genuine], llrs[~is_genuine]
        with _warnings_of(path, context.log):
            system = {
                "system": path,
                **record(evaluate(genuine, spoof, options)),
                "eer_interval": None,
                "by": {},
            }
        if own.bootstrap:
            system["eer_interval"] = eer_interval(
                (genuine, spoof), groups, options.eer[0], own.bootstrap
            )
        for column, conditions in columns.items():
            with _warnings_of(f"{path}: {column}", context.log):
                by = breakdown(genuine, spoof, conditions, options.eer)
            system["by"][column] = {condition: record(result) for condition, result in by.items()}
        systems.append(system)
    how = {
        "eer": options.eer[0],
        "level": LEVEL,
        "by": "speaker" if groups else "trial",
        "replicates": own.bootstrap,
    }
    figures = {
        "utt2label": utt2label,
        "num_dropped": trials.num_dropped,
        "options": asdict(options),
    }
    figures |= {"eer_interval": how if own.bootstrap else None, "systems": systems}
    if own.thresholds:
        sorted_scores = sort_scores(trials.scores[is_genuine, 0], trials.scores[~is_genuine, 0])
        scores.write_json(
            own.thresholds,
            summary.threshold_record(
                utt2label, paths[0], sorted_scores, options, own.false_alarm_rate
            ),
        )
    if own.json:
        scores.write_json(own.json, figures)
    print(aligned(summary.system_rows(figures, paths)))
    for column in columns:
        print(f"\n{aligned(summary.condition_rows(figures, column, scores.short_names(paths)))}")
    context.log.info(summary.verdict(figures, paths))
    return 0


@contextmanager
def _warnings_of(who: str, log: Log) -> Iterator[None]:
    """Log what is warned of, each once and with a name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        log.warning(f"{who}: {message}")


if __name__ == "__main__":
    raise SystemExit(main())
