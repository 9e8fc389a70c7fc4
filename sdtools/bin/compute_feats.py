"""sd-compute-feats: sound -> features of any front end, CF and CM by default."""

from __future__ import annotations

from collections.abc import Sequence

from sdtools.cli.extraction import feature_command, run_feature_command
from sdtools.features.front_ends import FRONT_ENDS

COMMAND = feature_command(
    "sd-compute-feats",
    tuple(FRONT_ENDS),
    "sd-compute-feats --orders=0,6 scp:data/eval/wav.scp "
    "'ark,scp:feats/raw_{system}.1.ark,feats/raw_{system}.1.scp'",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_feature_command(COMMAND, tuple(FRONT_ENDS), argv)


if __name__ == "__main__":
    raise SystemExit(main())
