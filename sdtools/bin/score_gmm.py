"""sd-score-gmm: features and the models of both classes -> one log-likelihood ratio an utterance."""

from __future__ import annotations

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.gmm import io as gmm_io
from sdtools.gmm.mixture import llr
from sdtools.options import check_settings
from sdtools.scoring.files import write_scores
from sdtools.tables import table as tables
from sdtools.tables.output import check_output

COMMAND = Command(
    name="sd-score-gmm",
    summary="Writes 'utterance llr' lines: the mean over frames of ln p(x | genuine) - ln p(x | spoof), positive for genuine speech.",
    positionals=("<genuine-gmm>", "<spoof-gmm>", "<feats-rspecifier>", "<scores-out>"),
    example="sd-score-gmm exp/cf_sd6/genuine.gmm exp/cf_sd6/spoof.gmm scp:data/eval/feats.scp exp/cf_sd6/scores/eval.txt",
    options=(PostOptions, InputOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Parse, open, loop by key, count, return."""
    genuine_path, spoof_path, rspecifier, scores_out = context.positionals
    options = context[PostOptions]
    check_output(scores_out)
    genuine, spoof = gmm_io.read_gmm(genuine_path), gmm_io.read_gmm(spoof_path)
    for path in (genuine_path, spoof_path):
        check_settings(path, options)
    dims = [gmm.means.shape[1] for gmm in (genuine, spoof)]
    if dims[0] != dims[1]:
        raise ValueError(
            f"{genuine_path}, {spoof_path}: dimensions: got {dims[0]}, {dims[1]}, need equal ones. Give the models of one system"
        )
    llrs: dict[str, float] = {}

    def score(entry: tables.Entry) -> float:
        return llr(
            genuine, spoof, postprocess(entry.load().astype(np.float32, copy=False), options)
        )

    with tables.open_table(rspecifier, allow_pipes=context[InputOptions].allow_pipes) as table:
        status = context.for_each(table, score, llrs.__setitem__, total=table.num_entries)
    write_scores(scores_out, llrs)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
