"""sd-apply-fusion: a fusion and the scores of its systems -> one calibrated LLR per utterance."""

from __future__ import annotations

from collections.abc import Sequence

from sdtools.cli.command import Command, Context
from sdtools.errors import SdError, UsageError
from sdtools.scoring.files import write_scores
from sdtools.scoring.fusion import apply_fusion
from sdtools.scoring.fusion_file import read_fusion
from sdtools.scoring.trials import FusionJoinOptions, join_scores

COMMAND = Command(
    name="sd-apply-fusion",
    summary="Writes the fused LLR of every utterance. Give score files in the order of training.",
    positionals=("<fusion>", "<scores>...", "<scores-out>"),
    example="sd-apply-fusion exp/fusion/fusion.json exp/cf_sd6/scores/eval.txt "
    "exp/cm_sd6/scores/eval.txt exp/fusion/scores/eval.txt",
    options=(FusionJoinOptions,),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, apply, write."""
    fusion_path, *paths, scores_out = context.positionals
    fusion, systems = read_fusion(fusion_path)
    if len(paths) != len(systems):
        need = f"{len(systems)}, in this order: {' '.join(systems)}"
        raise UsageError(fusion_path, "score files", got=len(paths), need=need)
    missing = context[FusionJoinOptions].missing
    if missing == "zero" and fusion.neutral is None:
        hint = "Train it again with --missing=zero"
        raise SdError(fusion_path, "it was trained without missing scores", hint=hint)
    joined = join_scores(paths, missing=missing)
    write_scores(scores_out, dict(zip(joined.utts, apply_fusion(fusion, joined.scores))))
    for weight, path, system in zip(fusion.weights, paths, systems):
        context.log.info(f"weight {weight:.4g}: {path}, in training {system}")
    num_done, num_dropped = len(joined.utts), joined.num_dropped
    context.log.info(f"done {num_done} of {num_done + num_dropped}, {num_dropped} skipped")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
