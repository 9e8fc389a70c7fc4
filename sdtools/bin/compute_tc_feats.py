"""sd-compute-tc-feats: sound -> cepstra of temporal centroid amplitude, by frequency domain linear prediction."""

from __future__ import annotations

from sdtools.cli import extraction
from sdtools.cli.command import Command, Context
from sdtools.features.fdlp import FdlpExtractor, FdlpOptions
from sdtools.features.triangular import TriangularOptions

COMMAND = Command(
    name="sd-compute-tc-feats",
    summary="Writes cepstra of the temporal centroid amplitude of sub-band envelopes, without deltas (baseline B2 of the paper,\n"
    "reconstructed from its description). The settings are written to <archive>.conf.",
    positionals=("<wav-rspecifier>", "<wspecifier>"),
    example="sd-compute-tc-feats scp:data/eval/wav.scp ark,scp:feats/raw_tc.1.ark,feats/raw_tc.1.scp",
    options=(TriangularOptions, FdlpOptions, *extraction.OPTIONS),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Parse, open, loop by key, count, return."""
    rspecifier, wspecifier = context.positionals
    bands, fdlp = context[TriangularOptions], context[FdlpOptions]
    extractor = FdlpExtractor(
        bands, fdlp, sample_rate_hz=context[extraction.AudioOptions].sample_rate_hz
    )
    return extraction.run(
        context,
        rspecifier,
        {"tc": wspecifier},
        extractor,
        lambda _: (bands, fdlp),
    )


if __name__ == "__main__":
    raise SystemExit(main())
