"""sd-compute-cqcc-feats: sound -> constant-Q cepstral coefficients and log energy."""

from __future__ import annotations

from collections.abc import Sequence

from sdtools.cli.extraction import feature_command, run_feature_command

COMMAND = feature_command(
    "sd-compute-cqcc-feats",
    ("cqcc",),
    "sd-compute-cqcc-feats scp:data/eval/wav.scp ark,scp:feats/raw_cqcc.1.ark,feats/raw_cqcc.1.scp",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_feature_command(COMMAND, ("cqcc",), argv)


if __name__ == "__main__":
    raise SystemExit(main())
