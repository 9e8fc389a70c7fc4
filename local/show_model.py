#!/usr/bin/env python3
"""Print what the decisions of a model directory cost: error rates at each of its thresholds.

Example: local/show_model.py exp/fusion/model
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from script import Script

from sdtools.errors import warn
from sdtools.scoring.deployment import read_deployment


def show(args: Namespace) -> None:
    """Read and print; warnings come last."""
    deployment = read_deployment(args.model / "model.json")
    if deployment is None:
        warn(args.model, "a model of an older version has no error rates", hint="Run stage 5 again")
        return
    print(f"\nModel {args.model}, for sd-detect\n")
    print("\n".join(deployment.lines()))
    for text in deployment.warnings:
        print(f"WARNING: {args.model}: {text}.", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    script = Script(__file__, __doc__)
    script.add_argument("model", type=Path)
    script.run(show, argv)


if __name__ == "__main__":
    main()
