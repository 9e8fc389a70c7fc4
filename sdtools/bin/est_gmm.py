"""sd-est-gmm: a GMM and the statistics of all parts under it -> the GMM after the EM pass."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from sdtools.cli.command import Command, Context
from sdtools.errors import SdError
from sdtools.gmm.io import copy_settings, read_gmm, read_stats, write_gmm
from sdtools.gmm.statistics import GmmStats
from sdtools.gmm.training import UpdateOptions, split, update
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
    summary="Adds the AccumDiagGmm statistics of all parts of the data and updates the GMM: the M\n"
    "step of EM. Variances are floored and empty components re-seeded as in sd-train-gmm. The\n"
    "statistics may be Kaldi's (gmm-global-acc-stats).",
    positionals=("<gmm>", "<acc>...", "<gmm-out>"),
    example="sd-est-gmm exp/3.gmm exp/3.1.acc exp/3.2.acc exp/4.gmm",
    options=(EstOptions,),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read, add, update, write."""
    gmm_in, *accs, gmm_out = context.positionals
    options = context[EstOptions]
    places = [os.path.realpath(path) for path in accs]
    if len(set(places)) < len(places):
        twice = next(path for path, place in zip(accs, places) if places.count(place) > 1)
        raise SdError(twice, "these statistics are given twice", hint="Name each part once")
    gmm = read_gmm(gmm_in)
    if os.path.isfile(f"{gmm_in}.conf"):  # Kaldi's models have none
        check_settings(gmm_in, UpdateOptions(options.variance_floor))
    total = GmmStats.zeros(gmm)
    for path in accs:
        stats = read_stats(path)
        if stats.first.shape != gmm.means.shape:
            need = f"{gmm.means.shape} as in {gmm_in}"
            hint = "Accumulate with this model"
            what = "components and dimension"
            raise SdError(path, what, got=stats.first.shape, need=need, hint=hint)
        total += stats
    updated, reseeded = update(total, options.variance_floor)
    for line in reseeded:
        context.log.info(line)
    if options.split:
        updated = split(updated)
    copy_settings(gmm_in, gmm_out)
    write_gmm(gmm_out, updated, text=not options.binary, double=True)
    what = f"{len(updated.weights)} components"
    context.log.info(f"{what} from {total.num_frames} frames in {len(accs)} parts")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
