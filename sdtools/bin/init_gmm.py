"""sd-init-gmm: features -> the GMM from which EM in several jobs starts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sdtools.cli.command import Command, Context, InputOptions
from sdtools.features.postprocess import PostOptions, postprocess
from sdtools.gmm import io as gmm_io
from sdtools.gmm.mixture import GmmOptions, GmmStats, global_stats, split, update
from sdtools.options import save_settings
from sdtools.tables import table as tables
from sdtools.tables.output import check_output, makes_file


@dataclass(frozen=True)
class InitOptions:
    """Settings of the command itself."""

    binary: bool = field(
        default=True, metadata={"help": "Kaldi's binary form; false: its text form"}
    )


COMMAND = Command(
    name="sd-init-gmm",
    summary="Writes what sd-train-gmm has before its first EM pass: the Gaussian of all frames of a table after deltas and normalisation,\n"
    "split in two, or whole with --num-components=1. The settings, those of the passes to come too, are written to <gmm-out>.conf.",
    positionals=("<feats-rspecifier>", "<gmm-out>"),
    example="sd-init-gmm scp:data/train/genuine.scp exp/0.gmm",
    options=(GmmOptions, PostOptions, InitOptions, InputOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Parse, open, loop by key, count, return."""
    rspecifier, gmm_out = context.positionals
    options = context[GmmOptions]
    check_output(gmm_out)
    total: list[GmmStats] = []

    def stats_of(entry: tables.Entry) -> GmmStats:
        feats = postprocess(entry.load().astype(np.float32, copy=False), context[PostOptions])
        return global_stats(feats, total[0].first.shape[1] if total else None)

    def add(key: str, stats: GmmStats) -> None:
        total[:] = [total[0] + stats if total else stats]

    with tables.open_table(rspecifier, allow_pipes=context[InputOptions].allow_pipes) as table:
        status = context.for_each(table, stats_of, add, total=table.num_entries)
    if total[0].num_frames < options.num_components:
        raise ValueError(
            f"{rspecifier}: frames: got {total[0].num_frames}, need at least {options.num_components}, one per component; too little data. "
            "Lower --num-components or add utterances"
        )
    gmm = update(total[0], options.variance_floor, context.log.info)
    if options.num_components > 1:
        gmm = split(gmm)
    if makes_file(gmm_out):
        save_settings(f"{gmm_out}.conf", options, context[PostOptions])
    gmm_io.write_gmm(gmm_out, gmm, text=not context[InitOptions].binary, double=True)
    context.log.info(f"{total[0].num_frames} frames of dimension {gmm.means.shape[1]}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
