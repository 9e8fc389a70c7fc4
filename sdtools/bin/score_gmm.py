"""sd-score-gmm: features and the models of both classes -> one LLR per utterance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.cli.files import check_is_static
from sdtools.errors import SdError
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.gmm.io import read_gmm
from sdtools.gmm.mixture import llr
from sdtools.options import check_settings
from sdtools.scoring.files import write_scores
from sdtools.tables.output import check_output
from sdtools.tables.table import Entry, open_table

COMMAND = Command(
    name="sd-score-gmm",
    summary="Writes 'utterance llr' lines: the mean over frames of\n"
    "ln p(x | genuine) - ln p(x | spoof), positive for genuine speech.",
    positionals=("<genuine-gmm>", "<spoof-gmm>", "<feats-rspecifier>", "<scores-out>"),
    example="sd-score-gmm exp/cf_sd6/genuine.gmm exp/cf_sd6/spoof.gmm "
    "scp:data/eval/feats.scp exp/cf_sd6/scores/eval.txt",
    options=(PostOptions, InputOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Score each entry of the table."""
    genuine_path, spoof_path, rspecifier, scores_out = context.positionals
    options = context[PostOptions]
    check_output(scores_out)
    check_is_static(rspecifier, options)
    genuine, spoof = read_gmm(genuine_path), read_gmm(spoof_path)
    for path in (genuine_path, spoof_path):
        check_settings(path, options)
    dims = [gmm.means.shape[1] for gmm in (genuine, spoof)]
    if dims[0] != dims[1]:
        who, got = f"{genuine_path}, {spoof_path}", f"{dims[0]}, {dims[1]}"
        hint = "Give the models of one system"
        raise SdError(who, "dimensions", got=got, need="equal ones", hint=hint)
    llrs: dict[str, float] = {}

    def score(entry: Entry) -> float:
        feats = entry.load().astype(np.float32, copy=False)
        return llr(genuine, spoof, postprocess(feats, options))

    def keep(key: str, value: float) -> None:
        if key in llrs:
            hint = "Remove one of its lines"
            raise SdError("key", "this utterance occurs twice", hint=hint)
        llrs[key] = value

    with open_table(rspecifier, allow_pipes=context[InputOptions].allow_pipes) as table:
        status = context.for_each(table, score, keep, total=table.num_entries)
    write_scores(scores_out, llrs)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
