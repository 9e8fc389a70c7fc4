"""sd-train-fusion: scores of one or more systems and labels -> weights and offset that make them one calibrated LLR."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sdtools.cli.command import Command, Context
from sdtools.errors import UsageError
from sdtools.scoring import files as scores
from sdtools.scoring.fusion import (
    FusionOptions,
    assign_folds,
    cross_validate,
    train_fusion,
    train_pav,
)


@dataclass(frozen=True)
class TrainOptions:
    """Files of the command itself."""

    pav: bool = field(
        default=False,
        metadata={
            "help": "any rising map instead of a line, of one system's scores; needs many trials"
        },
    )
    trial_weights: str | None = field(
        default=None,
        metadata={"help": "'utterance weight' lines: what each trial counts within its class"},
    )
    held_out: str | None = field(
        default=None,
        metadata={
            "help": "without a dev set: write here LLRs by cross-validation, no speaker in training and test; the fusion is of all"
        },
    )
    num_folds: int = field(default=5, metadata={"help": "of the cross-validation"})

    def __post_init__(self):
        if self.num_folds < 2:
            raise ValueError(f"--num-folds: got {self.num_folds}, need 2 or more")
        if self.pav and (self.trial_weights or self.held_out):
            raise ValueError("--pav: got it with --trial-weights or --held-out, need it alone")


COMMAND = Command(
    name="sd-train-fusion",
    summary="Trains the fusion of several systems' scores, or the calibration of one's, by prior-weighted logistic regression.\n"
    "The output of the fusion is a natural-log likelihood ratio.",
    positionals=("<utt2label>", "<scores>...", "<fusion-out>"),
    example="sd-train-fusion data/dev/utt2label exp/cf_sd6/scores/dev.txt exp/cm_sd6/scores/dev.txt exp/fusion/fusion.json",
    options=(FusionOptions, scores.FusionJoinOptions, TrainOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, train, write."""
    utt2label, *paths, fusion_out = context.positionals
    options, own = context[FusionOptions], context[TrainOptions]
    missing = context[scores.FusionJoinOptions].missing
    if own.pav and (options != FusionOptions() or missing == "zero"):
        raise UsageError(
            "--pav: got it with options of the other calibration, need it without. Leave them out"
        )
    trials, is_genuine = scores.read_trials(utt2label, paths, missing)
    trial_weights = (
        scores.read_trial_weights(own.trial_weights, trials.utts) if own.trial_weights else None
    )
    if own.pav:
        fusion = train_pav(trials.scores, is_genuine)
    else:
        fusion = train_fusion(
            trials.scores, is_genuine, options, trial_weights, allow_missing=missing == "zero"
        )
    if own.held_out:
        speakers = scores.read_speakers(utt2label, trials.utts)
        if speakers is None:
            context.log.warning("folds are by trial, and held-out LLRs flatter")
            speakers = np.arange(len(trials.utts))
        folds = assign_folds(is_genuine, speakers, own.num_folds)
        scores.write_scores(
            own.held_out,
            dict(
                zip(
                    trials.utts,
                    cross_validate(trials.scores, is_genuine, folds, options, trial_weights),
                )
            ),
        )
        sizes = " ".join(map(str, np.bincount(folds)))
        fusion = replace(fusion, num_folds=own.num_folds)
        context.log.info(
            f"{own.held_out}: LLRs by {own.num_folds}-fold cross-validation ({sizes} trials), not by {fusion_out}"
        )
    scores.write_fusion(fusion_out, fusion, paths)
    terms = " ".join(f"{weight:+.4g} * {path}" for weight, path in zip(fusion.weights, paths))
    form = (
        f"a rising map with {fusion.knots.shape[1]} knots of {paths[0]}"
        if own.pav
        else f"{terms} {fusion.offset:+.4g}"
    )
    context.log.info(
        f"llr = {form}; objective {fusion.objective:.4f}, where 1 is as good as no scores"
    )
    num_done = len(trials.utts)
    context.log.info(
        f"done {num_done} of {num_done + trials.num_dropped}, {trials.num_dropped} skipped"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
