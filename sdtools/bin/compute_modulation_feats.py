"""sd-compute-modulation-feats: sound -> cepstra of the modulation spectrum."""

from __future__ import annotations

from collections.abc import Sequence

from sdtools.cli.extraction import feature_command, run_feature_command

COMMAND = feature_command(
    "sd-compute-modulation-feats",
    ("modulation",),
    "sd-compute-modulation-feats scp:data/eval/wav.scp "
    "'ark,scp:feats/raw_{feature}.1.ark,feats/raw_{feature}.1.scp'",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_feature_command(COMMAND, ("modulation",), argv)


if __name__ == "__main__":
    raise SystemExit(main())
