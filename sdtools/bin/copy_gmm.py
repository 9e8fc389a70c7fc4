"""sd-copy-gmm: a GMM from one form to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sdtools.cli.command import Command, Context
from sdtools.gmm.io import copy_settings, read_gmm, write_gmm


@dataclass(frozen=True)
class CopyOptions:
    """Settings of the command itself."""

    binary: bool = field(
        default=True,
        metadata={"help": "Kaldi's binary form; false: its text form. An .npz is neither"},
    )


COMMAND = Command(
    name="sd-copy-gmm",
    summary="Copies a diagonal-covariance GMM: Kaldi's DiagGmm, binary or text, or NumPy's .npz\n"
    "(weights, means, variances) for names that end in .npz. Kaldi's forms are written in\n"
    "float32, as its own tools do. The .conf beside the model is copied, too.",
    positionals=("<gmm-in>", "<gmm-out>"),
    example="sd-copy-gmm --binary=false exp/cf_sd6/genuine.gmm exp/genuine.txt",
    options=(CopyOptions,),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read and write."""
    gmm_in, gmm_out = context.positionals
    gmm = read_gmm(gmm_in)
    copy_settings(gmm_in, gmm_out)
    write_gmm(gmm_out, gmm, text=not context[CopyOptions].binary)
    context.log.info(f"{len(gmm.weights)} components of dimension {gmm.means.shape[1]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
