"""sd-acc-gmm: a GMM and features -> the statistics of one EM pass over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.cli.files import check_is_static
from sdtools.errors import UsageError
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.gmm.io import read_gmm, write_stats
from sdtools.gmm.statistics import GmmStats, accumulate
from sdtools.options import check_settings
from sdtools.tables.output import check_output, open_output
from sdtools.tables.table import Entry, open_table


@dataclass(frozen=True)
class AccOptions:
    """Settings of the command itself."""

    subsample: int = field(default=1, metadata={"help": "use every n-th frame of an utterance"})
    write_log_likelihood: str = field(
        default="",
        metadata={
            "file": "out",
            "help": "file for the sum of ln p(x) over the frames and their number",
        },
    )
    binary: bool = field(
        default=True, metadata={"help": "Kaldi's binary form; false: its text form"}
    )

    def __post_init__(self) -> None:
        if self.subsample < 1:
            raise UsageError("--subsample", got=self.subsample, need="1 or more")


COMMAND = Command(
    name="sd-acc-gmm",
    summary="Accumulates Kaldi's AccumDiagGmm over a table, or a part of it, after deltas and\n"
    "normalisation: the E step of EM. sd-est-gmm, or Kaldi's gmm-global-est, adds those of all\n"
    "parts; the model does not depend on their number.",
    positionals=("<gmm>", "<feats-rspecifier>", "<acc-out>"),
    example="sd-acc-gmm exp/3.gmm scp:data/train/genuine.scp exp/3.1.acc",
    options=(PostOptions, AccOptions, InputOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Sum over the table, write the sums."""
    gmm_in, rspecifier, acc_out = context.positionals
    options, post_options = context[AccOptions], context[PostOptions]
    check_output(acc_out)
    check_is_static(rspecifier, post_options)
    gmm = read_gmm(gmm_in)
    check_settings(gmm_in, post_options)
    stats = GmmStats.zeros(gmm)

    def add(entry: Entry) -> None:
        feats = postprocess(entry.load().astype(np.float32, copy=False), post_options)
        accumulate(gmm, feats[:: options.subsample], stats)

    with open_table(rspecifier, allow_pipes=context[InputOptions].allow_pipes) as table:
        status = context.for_each(table, add, lambda key, _: None, total=table.num_entries)
    if options.write_log_likelihood:
        with open_output(options.write_log_likelihood) as file:
            file.write(f"{stats.log_likelihood!r} {stats.num_frames}\n".encode())
    write_stats(acc_out, stats, text=not options.binary)
    mean = stats.log_likelihood / stats.num_frames
    head = f"{len(gmm.weights)} components"
    context.log.info(f"{head}: {mean:.6f} per frame of {stats.num_frames}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
