"""sd-apply-fusion: a fusion and the scores of its systems -> one calibrated LLR an utterance."""

from __future__ import annotations

from sdtools.cli.command import Command, Context
from sdtools.errors import UsageError
from sdtools.scoring import files as scores
from sdtools.scoring.fusion import apply_fusion

COMMAND = Command(
    name="sd-apply-fusion",
    summary="Writes the fused LLR of every utterance. The score files stand in the order of training.",
    positionals=("<fusion>", "<scores>...", "<scores-out>"),
    example="sd-apply-fusion exp/fusion/fusion.json exp/cf_sd6/scores/eval.txt exp/cm_sd6/scores/eval.txt exp/fusion/scores/eval.txt",
    options=(scores.FusionJoinOptions,),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, apply, write."""
    fusion_path, *paths, scores_out = context.positionals
    fusion, systems = scores.read_fusion(fusion_path)
    if len(paths) != len(systems):
        raise UsageError(
            f"{fusion_path}: score files: got {len(paths)}, need {len(systems)}, in this order: {' '.join(systems)}"
        )
    missing = context[scores.FusionJoinOptions].missing
    if missing == "zero" and fusion.neutral is None:
        raise ValueError(
            f"{fusion_path}: fusion: got one trained on complete scores, need --missing=zero in training, too. Train it again"
        )
    joined = scores.join_scores(paths, missing=missing)
    llrs = apply_fusion(fusion, joined.scores)
    scores.write_scores(scores_out, dict(zip(joined.utts, llrs)))
    for weight, path, system in zip(fusion.weights, paths, systems):
        context.log.info(f"weight {weight:.4g}: {path}, in training {system}")
    num_done = len(joined.utts)
    context.log.info(
        f"done {num_done} of {num_done + joined.num_dropped}, {joined.num_dropped} skipped"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
