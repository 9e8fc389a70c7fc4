"""sd-compute-tc-feats: sound -> cepstra of temporal centroid amplitude."""

from __future__ import annotations

from collections.abc import Sequence

from sdtools.cli.extraction import feature_command, run_feature_command

COMMAND = feature_command(
    "sd-compute-tc-feats",
    ("tc",),
    "sd-compute-tc-feats scp:data/eval/wav.scp ark,scp:feats/raw_tc.1.ark,feats/raw_tc.1.scp",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_feature_command(COMMAND, ("tc",), argv)


if __name__ == "__main__":
    raise SystemExit(main())
