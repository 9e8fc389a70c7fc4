"""sd-train-fusion: labels and the scores of some systems -> the fusion that gives one LLR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sdtools.cli.command import Command, Context
from sdtools.errors import UsageError
from sdtools.scoring.files import read_weights, write_scores
from sdtools.scoring.folds import assign_folds, cross_validate
from sdtools.scoring.fusion import Fusion, FusionOptions, train_fusion
from sdtools.scoring.fusion_file import write_fusion
from sdtools.scoring.pav import train_pav
from sdtools.scoring.trials import FusionJoinOptions, Trials, read_speakers, read_trials


@dataclass(frozen=True)
class TrainOptions:
    """Settings of the command itself."""

    pav: bool = field(
        default=False,
        metadata={"help": "any rising map instead of a line, for one system; needs many trials"},
    )
    trial_weights: str | None = field(
        default=None,
        metadata={
            "file": "in",
            "help": "file of 'utterance weight' lines: weight of each trial in its class",
        },
    )
    held_out: str | None = field(
        default=None,
        metadata={
            "file": "out",
            "help": "write LLRs by cross-validation here, if there is no dev set; no speaker is in "
            "both training and test; the fusion is trained on all",
        },
    )
    num_folds: int = field(default=5, metadata={"help": "number of folds of the cross-validation"})

    def __post_init__(self) -> None:
        if self.num_folds < 2:
            raise UsageError("--num-folds", got=self.num_folds, need="2 or more")
        if self.pav and (self.trial_weights or self.held_out):
            raise UsageError("--pav", "it cannot be used with --trial-weights or --held-out")


COMMAND = Command(
    name="sd-train-fusion",
    summary="Trains the fusion of the scores of several systems, or the calibration of one, by\n"
    "prior-weighted logistic regression. The fusion gives a natural-log likelihood ratio.",
    positionals=("<utt2label>", "<scores>...", "<fusion-out>"),
    example="sd-train-fusion data/dev/utt2label exp/cf_sd6/scores/dev.txt exp/cm_sd6/scores/dev.txt"
    " exp/fusion/fusion.json",
    options=(FusionOptions, FusionJoinOptions, TrainOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, train, write."""
    utt2label, *paths, fusion_out = context.positionals
    options, own = context[FusionOptions], context[TrainOptions]
    missing = context[FusionJoinOptions].missing
    if own.pav and (options != FusionOptions() or missing == "zero"):
        raise UsageError("--pav", "it cannot be used with options of the linear fusion")
    if own.pav and len(paths) > 1:
        hint = "Fuse the systems first"
        raise UsageError("--pav", "score files", got=len(paths), need="one", hint=hint)
    trials = read_trials(utt2label, paths, missing)
    trials.check_finite(paths)
    weights = read_weights(own.trial_weights, trials.utts) if own.trial_weights else None
    if own.pav:
        fusion = train_pav(trials.scores, trials.is_genuine)
    else:
        allow_missing = missing == "zero"
        fusion = train_fusion(trials.scores, trials.is_genuine, options, weights, allow_missing)
    if own.held_out:
        sizes = write_held_out(context, utt2label, own.held_out, trials, weights)
        fusion = replace(fusion, num_folds=own.num_folds)
        context.log.info(
            f"{own.held_out}: LLRs by {own.num_folds}-fold cross-validation ({sizes} trials), "
            f"not by {fusion_out}"
        )
    write_fusion(fusion_out, fusion, paths)
    objective = f"objective {fusion.objective:.4f} (1: no better than no scores)"
    context.log.info(f"llr = {formula(fusion, paths)}; {objective}")
    num_done, num_dropped = len(trials.utts), trials.num_dropped
    context.log.info(f"done {num_done} of {num_done + num_dropped}, {num_dropped} skipped")
    return 0


def write_held_out(
    context: Context, utt2label: str, out: str, trials: Trials, weights: np.ndarray | None
) -> str:
    """Write LLRs by cross-validation; returns the sizes of the folds."""
    speakers = read_speakers(utt2label, trials.utts)
    if speakers is None:
        context.log.warning("folds are by trial, so the held-out LLRs are too good")
        speakers = np.arange(len(trials.utts))
    folds = assign_folds(trials.is_genuine, speakers, context[TrainOptions].num_folds)
    options = context[FusionOptions]
    llrs = cross_validate(trials.scores, trials.is_genuine, folds, options, weights)
    write_scores(out, dict(zip(trials.utts, llrs)))
    return " ".join(map(str, np.bincount(folds)))


def formula(fusion: Fusion, paths: Sequence[str]) -> str:
    """How the fusion computes an LLR."""
    if fusion.knots is not None:
        return f"a rising map with {fusion.knots.shape[1]} knots of {paths[0]}"
    terms = " ".join(f"{weight:+.4g} * {path}" for weight, path in zip(fusion.weights, paths))
    return f"{terms} {fusion.offset:+.4g}"


if __name__ == "__main__":
    raise SystemExit(main())
