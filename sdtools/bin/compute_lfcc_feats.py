"""sd-compute-lfcc-feats: sound -> linear frequency cepstral coefficients."""

from __future__ import annotations

from collections.abc import Sequence

from sdtools.cli.extraction import feature_command, run_feature_command

COMMAND = feature_command(
    "sd-compute-lfcc-feats",
    ("lfcc",),
    "sd-compute-lfcc-feats scp:data/eval/wav.scp ark,scp:feats/raw_lfcc.1.ark,feats/raw_lfcc.1.scp",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_feature_command(COMMAND, ("lfcc",), argv)


if __name__ == "__main__":
    raise SystemExit(main())
