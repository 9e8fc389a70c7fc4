"""sd-compute-cqcc-feats: sound -> constant-Q cepstral coefficients and log energy."""

from __future__ import annotations

from sdtools.cli import extraction
from sdtools.cli.command import Command, Context
from sdtools.features.cqcc import CqccExtractor, CqccOptions

COMMAND = Command(
    name="sd-compute-cqcc-feats",
    summary="Writes constant-Q cepstral coefficients 0..19 and the log energy, without deltas (baseline B1 of the paper): 21 dimensions,\n"
    "63 with deltas and accelerations. A frame every --frame-shift-ms from the first sample on; near the ends of a recording\n"
    "the transform sees its other end. The settings are written to <archive>.conf.",
    positionals=("<wav-rspecifier>", "<wspecifier>"),
    example="sd-compute-cqcc-feats scp:data/eval/wav.scp ark,scp:feats/raw_cqcc.1.ark,feats/raw_cqcc.1.scp",
    options=(CqccOptions, *extraction.OPTIONS),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Parse, open, loop by key, count, return."""
    rspecifier, wspecifier = context.positionals
    cqcc = context[CqccOptions]
    extractor = CqccExtractor(cqcc, sample_rate_hz=context[extraction.AudioOptions].sample_rate_hz)
    return extraction.run(
        context,
        rspecifier,
        {"cqcc": wspecifier},
        extractor,
        lambda _: (cqcc,),
    )


if __name__ == "__main__":
    raise SystemExit(main())
