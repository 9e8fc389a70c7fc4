"""sd-copy-gmm: a GMM from one form to another."""

from __future__ import annotations

from dataclasses import dataclass, field

from sdtools.cli.command import Command, Context
from sdtools.gmm import io as gmm_io


@dataclass(frozen=True)
class CopyOptions:
    """Settings of the command itself."""

    binary: bool = field(
        default=True,
        metadata={"help": "Kaldi's binary form; false: its text form. An .npz is neither"},
    )


COMMAND = Command(
    name="sd-copy-gmm",
    summary="Copies a diagonal-covariance GMM: Kaldi's DiagGmm, binary or text, or NumPy's .npz (weights, means, variances) where a name\n"
    "ends so. Kaldi's forms get float32, as its own tools write them; the .conf beside the model goes with it.",
    positionals=("<gmm-in>", "<gmm-out>"),
    example="sd-copy-gmm --binary=false exp/cf_sd6/genuine.gmm exp/genuine.txt",
    options=(CopyOptions,),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Read and write."""
    gmm_in, gmm_out = context.positionals
    gmm = gmm_io.read_gmm(gmm_in)
    gmm_io.copy_settings(gmm_in, gmm_out)
    gmm_io.write_gmm(gmm_out, gmm, text=not context[CopyOptions].binary)
    context.log.info(f"{len(gmm.weights)} components of dimension {gmm.means.shape[1]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
