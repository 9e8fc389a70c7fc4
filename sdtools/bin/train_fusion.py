"""sd-train-fusion: scores of one or more systems and labels -> weights and offset that make them one calibrated LLR."""

from __future__ import annotations

from sdtools import cli, scores
from sdtools.fusion import FusionOptions, train_fusion

COMMAND = cli.Command(
    name="sd-train-fusion",
    summary="Trains the fusion of several systems' scores, or the calibration of one's, by prior-weighted logistic regression.\n"
    "The output of the fusion is a natural-log likelihood ratio.",
    positionals=("<utt2label>", "<scores>...", "<fusion-out>"),
    example="sd-train-fusion data/dev/utt2label exp/cf_sd6/scores/dev.txt exp/cm_sd6/scores/dev.txt exp/fusion/fusion.json",
    options=(FusionOptions, scores.JoinOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: cli.Context) -> int:
    """Read, train, write."""
    utt2label, *paths, fusion_out = context.positionals
    trials, is_genuine = scores.read_trials(utt2label, paths, context[scores.JoinOptions].missing)
    fusion = train_fusion(trials.scores, is_genuine, context[FusionOptions])
    scores.write_fusion(fusion_out, fusion, paths)
    terms = " ".join(f"{weight:+.4g} * {path}" for weight, path in zip(fusion.weights, paths))
    context.log.info(f"llr = {terms} {fusion.offset:+.4g}; objective {fusion.objective:.4f}, where 1 is as good as no scores")
    num_done = len(trials.utts)
    context.log.info(f"done {num_done} of {num_done + trials.num_dropped}, {trials.num_dropped} skipped")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
