"""sd-est-gmm: a GMM and the statistics of all parts under it -> the GMM after the EM pass."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from sdtools.cli.command import Command, Context
from sdtools.gmm import io as gmm_io
from sdtools.gmm.mixture import GmmStats, UpdateOptions, split, update
from sdtools.options import check_settings


@dataclass(frozen=True)
class EstOptions(UpdateOptions):
    """Settings of the command itself."""

    split: bool = field(
        default=False,
        metadata={"help": "then double the components, each split along its widest dimension"},
    )
    binary: bool = field(
        default=True, metadata={"help": "Kaldi's binary form; false: its text form"}
    )


COMMAND = Command(
    name="sd-est-gmm",
    summary="Adds the AccumDiagGmm statistics of all parts of the data and updates the GMM: the M step of EM.\n"
    "Variances are floored and empty components re-seeded as in sd-train-gmm. The statistics may be Kaldi's (gmm-global-acc-stats).",
    positionals=("<gmm>", "<acc>...", "<gmm-out>"),
    example="sd-est-gmm exp/3.gmm exp/3.1.acc exp/3.2.acc exp/4.gmm",
    options=(EstOptions,),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, add, update, write."""
    gmm_in, *accs, gmm_out = context.positionals
    options = context[EstOptions]
    places = [os.path.realpath(path) for path in accs]
    if len(set(places)) < len(places):
        twice = next(path for path, place in zip(accs, places) if places.count(place) > 1)
        raise ValueError(
            f"{twice}: statistics: got them twice, need each part once. Name the parts one by one"
        )
    gmm = gmm_io.read_gmm(gmm_in)
    if os.path.isfile(f"{gmm_in}.conf"):  # Kaldi's models have none
        check_settings(gmm_in, UpdateOptions(options.variance_floor))
    total = GmmStats.zeros(gmm)
    for path in accs:
        stats = gmm_io.read_stats(path)
        if stats.first.shape != gmm.means.shape:
            raise ValueError(
                f"{path}: components and dimension: got {stats.first.shape}, need {gmm.means.shape} as in {gmm_in}; statistics of another "
                "model. Accumulate with this one"
            )
        total += stats
    updated = update(total, options.variance_floor, context.log.info)
    if options.split:
        updated = split(updated)
    gmm_io.copy_settings(gmm_in, gmm_out)
    gmm_io.write_gmm(gmm_out, updated, text=not options.binary, double=True)
    context.log.info(
        f"{len(updated.weights)} components from {total.num_frames} frames in {len(accs)} parts"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
