"""sd-acc-gmm: a GMM and features -> the statistics of one EM pass over them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.gmm import io as gmm_io
from sdtools.gmm.mixture import GmmStats, accumulate
from sdtools.options import check_settings
from sdtools.tables import table as tables
from sdtools.tables.output import check_output


@dataclass(frozen=True)
class AccOptions:
    """Settings of the command itself."""

    subsample: int = field(default=1, metadata={"help": "use every n-th frame of an utterance"})
    binary: bool = field(
        default=True, metadata={"help": "Kaldi's binary form; false: its text form"}
    )

    def __post_init__(self):
        if self.subsample < 1:
            raise ValueError(
                f"AccOptions: subsample: got {self.subsample}, need at least 1. Set a positive number"
            )


COMMAND = Command(
    name="sd-acc-gmm",
    summary="Accumulates Kaldi's AccumDiagGmm over a table, or a part of it, after deltas and normalisation: the E step of EM.\n"
    "sd-est-gmm, or Kaldi's gmm-global-est, adds those of all parts; the model does not depend on their number.",
    positionals=("<gmm>", "<feats-rspecifier>", "<acc-out>"),
    example="sd-acc-gmm exp/3.gmm scp:data/train/genuine.scp exp/3.1.acc",
    options=(PostOptions, AccOptions, InputOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Parse, open, loop by key, count, return."""
    gmm_in, rspecifier, acc_out = context.positionals
    options, post_options = context[AccOptions], context[PostOptions]
    check_output(acc_out)
    gmm = gmm_io.read_gmm(gmm_in)
    check_settings(gmm_in, post_options)
    stats = GmmStats.zeros(gmm)

    def add(entry: tables.Entry) -> None:
        feats = postprocess(entry.load().astype(np.float32, copy=False), post_options)
        accumulate(gmm, feats[:: options.subsample], stats)

    with tables.open_table(rspecifier, allow_pipes=context[InputOptions].allow_pipes) as table:
        status = context.for_each(table, add, lambda key, _: None, total=table.num_entries)
    gmm_io.write_stats(acc_out, stats, text=not options.binary)
    context.log.info(
        f"{len(gmm.weights)} components: {stats.log_likelihood / stats.num_frames:.6f} per frame of {stats.num_frames}"
    )
    return status


if __name__ == "__main__":
    raise SystemExit(main())
