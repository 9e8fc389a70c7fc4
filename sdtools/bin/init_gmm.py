"""sd-init-gmm: features -> the GMM from which EM in several jobs starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.cli.files import check_is_static
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.gmm.io import write_gmm
from sdtools.gmm.statistics import GmmStats, global_stats
from sdtools.gmm.training import (
    GmmOptions,
    em_schedule,
    split,
    too_few_frames,
    update,
    warn_of_equal_models,
)
from sdtools.options import save_settings
from sdtools.tables.output import check_output, makes_file, open_output
from sdtools.tables.table import Entry, open_table


@dataclass(frozen=True)
class InitOptions:
    """Settings of the command itself."""

    write_schedule: str = field(
        default="",
        metadata={
            "file": "out",
            "help": "file for the list of EM passes, one per line: components, number of the pass,"
            " number of passes, subsample, true to split after it",
        },
    )
    binary: bool = field(
        default=True, metadata={"help": "Kaldi's binary form; false: its text form"}
    )


COMMAND = Command(
    name="sd-init-gmm",
    summary="Writes the model with which sd-train-gmm starts its first EM pass: the Gaussian of\n"
    "all frames of a table after deltas and normalisation, split in two, or whole with\n"
    "--num-components=1. The settings, also those of the EM passes, are written to\n"
    "<gmm-out>.conf.",
    positionals=("<feats-rspecifier>", "<gmm-out>"),
    example="sd-init-gmm scp:data/train/genuine.scp exp/0.gmm",
    options=(GmmOptions, PostOptions, InitOptions, InputOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Sum over the table, write the schedule, the settings and the model."""
    rspecifier, gmm_out = context.positionals
    options, own, post_options = context[GmmOptions], context[InitOptions], context[PostOptions]
    check_output(gmm_out)
    check_is_static(rspecifier, post_options)
    warn_of_equal_models(options, post_options)
    total: list[GmmStats] = []

    def stats_of(entry: Entry) -> GmmStats:
        feats = postprocess(entry.load().astype(np.float32, copy=False), post_options)
        return global_stats(feats, total[0].first.shape[1] if total else None)

    def add(key: str, stats: GmmStats) -> None:
        total[:] = [total[0] + stats if total else stats]

    with open_table(rspecifier, allow_pipes=context[InputOptions].allow_pipes) as table:
        status = context.for_each(table, stats_of, add, total=table.num_entries)
    num_frames = total[0].num_frames
    if num_frames < options.num_components:
        raise too_few_frames(rspecifier, num_frames, options.num_components)
    gmm = update(total[0], options.variance_floor).gmm
    if options.num_components > 1:
        gmm = split(gmm)
    if own.write_schedule:
        with open_output(own.write_schedule) as file:
            for *numbers, is_split_after in em_schedule(options):
                file.write(f"{' '.join(map(str, numbers))} {is_split_after}\n".lower().encode())
    if makes_file(gmm_out):
        save_settings(f"{gmm_out}.conf", options, post_options)
    write_gmm(gmm_out, gmm, text=not own.binary, double=True)
    context.log.info(f"{num_frames} frames of dimension {gmm.means.shape[1]}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
