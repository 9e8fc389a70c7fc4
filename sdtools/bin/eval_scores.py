"""sd-eval-scores: labels and score files -> a table of EER with interval, Cllr and DCFs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np

from sdtools.cli.command import Command, Context
from sdtools.cli.process import warnings_to
from sdtools.errors import UsageError, as_sd_error
from sdtools.scoring.evaluation import (
    Evaluation,
    IntervalSettings,
    SystemEvaluation,
    threshold_record,
    write_evaluation,
)
from sdtools.scoring.experiment import short_names
from sdtools.scoring.intervals import LEVEL, Groups, eer_interval, speaker_groups
from sdtools.scoring.json_files import write_json
from sdtools.scoring.metrics import MetricOptions, breakdown, evaluate
from sdtools.scoring.roc import sort_scores
from sdtools.scoring.summary import aligned, condition_rows, system_rows, verdict
from sdtools.scoring.trials import JoinOptions, Trials, read_conditions, read_speakers, read_trials


@dataclass(frozen=True)
class EvalOptions:
    """Settings of the command itself."""

    json: str | None = field(
        default=None,
        metadata={"file": "out", "help": "also write the results here, with all digits"},
    )
    thresholds: str | None = field(
        default=None,
        metadata={
            "file": "out",
            "help": "also write thresholds here: of the EER, of Bayes and of --false-alarm-rate; "
            "for one file of dev scores",
        },
    )
    false_alarm_rate: float = field(
        default=0.01, metadata={"help": "share of spoofs that --thresholds may accept"}
    )
    bootstrap: int = field(
        default=1000,
        metadata={
            "help": "replicates for the 95 % interval of the first EER, by speaker if utt2spk is "
            "beside <utt2label>; 0: no interval"
        },
    )
    by: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "also the EER of each condition: columns such as env,spk for utt2env and "
            "utt2spk beside <utt2label>"
        },
    )

    def __post_init__(self) -> None:
        if len(set(self.by)) < len(self.by):
            raise UsageError("--by", got=repr(",".join(self.by)), need="each once")
        if self.bootstrap < 0:
            raise UsageError("--bootstrap", got=self.bootstrap, need="0 or more")
        if not 0 <= self.false_alarm_rate <= 1:
            raise UsageError("--false-alarm-rate", got=self.false_alarm_rate, need="0 to 1")


COMMAND = Command(
    name="sd-eval-scores",
    summary="Prints a row of metrics for each score file. Scores are natural-log likelihood\n"
    "ratios, positive for genuine speech; EER, minCllr and minDCF only depend on their order.\n"
    "Cllr is 0 to 1 for useful LLRs; Cllr - minCllr is calibration loss. --by compares the spoof\n"
    "trials of each condition with all genuine trials.",
    positionals=("<utt2label>", "<scores>..."),
    example="sd-eval-scores data/eval/utt2label exp/cf_sd6/scores/eval.txt "
    "exp/cm_sd6/scores/eval.txt",
    options=(MetricOptions, JoinOptions, EvalOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, evaluate, print."""
    utt2label, *paths = context.positionals
    options, own = context[MetricOptions], context[EvalOptions]
    if own.thresholds and len(paths) != 1:
        raise UsageError("--thresholds", "score files", got=len(paths), need="one")
    trials = read_trials(utt2label, paths, context[JoinOptions].missing)
    spoof_utts = [utt for utt, genuine in zip(trials.utts, trials.is_genuine) if not genuine]
    columns = {column: read_conditions(utt2label, column, spoof_utts) for column in own.by}
    groups = interval = None
    if own.bootstrap:
        groups = speaker_groups(read_speakers(utt2label, trials.utts), trials.is_genuine)
        by = "speaker" if groups else "trial"
        interval = IntervalSettings(options.eer[0], LEVEL, by, own.bootstrap)
    systems = tuple(
        evaluate_system(context, path, scores, columns, groups)
        for path, scores in zip(paths, trials.by_class())
    )
    evaluation = Evaluation(utt2label, trials.num_dropped, options, interval, systems)
    if own.thresholds:
        write_thresholds(context, own.thresholds, trials)
    if own.json:
        write_evaluation(own.json, evaluation)
    print(aligned(system_rows(evaluation, paths)))
    for column in columns:
        print(f"\n{aligned(condition_rows(evaluation, column, short_names(paths)))}")
    context.log.info(verdict(evaluation, paths))
    return 0


def evaluate_system(
    context: Context,
    path: str,
    scores: tuple[np.ndarray, np.ndarray],
    columns: dict[str, dict[str, np.ndarray]],
    groups: Groups | None,
) -> SystemEvaluation:
    """Metrics, interval and EERs by condition of one system; warnings name its file."""
    options, num_replicates = context[MetricOptions], context[EvalOptions].bootstrap
    with _warnings_of(context, path):
        metrics = evaluate(*scores, options)
    interval = None
    if num_replicates:
        interval = eer_interval(*scores, groups, options.eer[0], num_replicates)
    by = {}
    for column, conditions in columns.items():
        with _warnings_of(context, f"{path}: {column}"):
            by[column] = breakdown(*scores, conditions, options.eer)
    return SystemEvaluation(path, metrics, interval, by)


def _warnings_of(context: Context, place: str) -> AbstractContextManager[None]:
    """Log warnings with their place."""
    return warnings_to(lambda warning: context.log.warning(as_sd_error(warning).within(place)))


def write_thresholds(context: Context, out: str, trials: Trials) -> None:
    """Write the thresholds of the only system."""
    utt2label, path = context.positionals
    (scores,) = trials.by_class()
    options, rate = context[MetricOptions], context[EvalOptions].false_alarm_rate
    write_json(out, threshold_record(utt2label, path, sort_scores(*scores), options, rate))


if __name__ == "__main__":
    raise SystemExit(main())
