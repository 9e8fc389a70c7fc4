#!/usr/bin/env python3
"""Print what a recipe's --systems and --orders stand for, for the stages to read.

With --systems, one line for each pass over the audio, system and fusion:
  pass <features> <orders>        for local/make_feats.sh
  gmm <system>                    a system with GMMs of its own
  fusion <name> <system>...       a fusion and its members
  deploy <name> <system>...       a system or fusion that becomes a model of sd-detect, and the
                                  systems whose scores it takes; --deploy chooses others
With --features, how local/make_feats.sh computes them:
  config <file in conf/>
  flags <flags of sd-compute-feats>
  system <system>                 one line for each output

Example: local/plan_systems.py --systems cf,fusion --orders 0,6
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from script import Script

from sdtools.errors import SdError
from sdtools.features.front_ends import Row, rows_by_name


@dataclass(frozen=True)
class Fusion:
    """A row that fuses others; of those by order it takes the highest order.

    Parameters
    ----------
    title
        In Table 2.
    code
        Short name.
    members
        Names of rows.
    paper_eer
        The paper's EER in percent.
    """

    title: str
    code: str
    members: tuple[str, ...]
    paper_eer: float


FUSIONS = {
    "b3": Fusion("B3: MCF-CC + MSE-CC + STCC", "B3", ("mcf", "mse", "stcc"), 6.54),
    "fusion": Fusion("S1 + S2 (score level)", "Score level", ("cf", "cm"), 8.80),
}


def find_rows(names: str) -> list[Row]:
    """The rows of a comma-separated list, each once."""
    rows = rows_by_name()
    found = list(dict.fromkeys(name for name in names.split(",") if name))
    if unknown := [name for name in found if name not in rows]:
        need = f"some of {','.join(rows)}"
        raise SdError("--features", got=repr(unknown[0]), need=need)
    return [rows[name] for name in found]


def systems_of(row: Row, orders: Sequence[int]) -> list[str]:
    """The systems of a row."""
    return [f"{row.name}_sd{order}" for order in orders] if row.is_by_order else [row.name]


def choose(names: str) -> list[str]:
    """The rows and fusions that --systems names, in the order of the tables."""
    known = [*rows_by_name(), *FUSIONS]
    chosen = known if names == "all" else [name for name in names.split(",") if name]
    if unknown := [name for name in chosen if name not in known]:
        need = f"all, or some of {','.join(known)}"
        raise SdError("--systems", got=repr(unknown[0]), need=need)
    if not chosen:
        raise SdError("--systems", got="none", need="all or some")
    return [name for name in known if name in chosen]


def plan(names: str, orders: Sequence[int]) -> list[str]:
    """The lines for --systems."""
    rows, chosen, top = rows_by_name(), choose(names), orders[-1:]
    if not orders:
        raise SdError("--orders", got="none", need="numbers such as 0,2,4,6")
    fusions = [name for name in chosen if name in FUSIONS]
    orders_of = {}  # a row that is in Table 2 only, or only fused, takes the highest order
    for name in rows:
        if name in chosen:
            orders_of[name] = orders if 1 in rows[name].tables else top
        elif any(name in FUSIONS[fusion].members for fusion in fusions):
            orders_of[name] = top
    passes: dict[tuple[str, str], list[str]] = {}
    lines = []
    for name, some in orders_of.items():
        lines += [f"gmm {system}" for system in systems_of(rows[name], some)]
        words = ",".join(map(str, some)) if rows[name].is_by_order else ""
        passes.setdefault((rows[name].config, words), []).append(name)
    lines += [f"pass {','.join(names)} {words}" for (_, words), names in passes.items()]
    for fusion in fusions:
        members = [systems_of(rows[name], top)[0] for name in FUSIONS[fusion].members]
        lines.append(f"fusion {fusion} {' '.join(members)}")
    return lines


def deployed(lines: Sequence[str], orders: Sequence[int], names: str) -> list[str]:
    """What becomes a model of sd-detect, with the systems whose scores it takes.

    By default the last fusion, or without fusions each system of the highest order.
    """
    words = [line.split() for line in lines]
    known = {name: [name] for what, name, *_ in words if what == "gmm"}
    fusions = {name: members for what, name, *members in words if what == "fusion"}
    chosen = [name for name in names.split(",") if name]
    if not names:
        lower = tuple(f"_sd{order}" for order in orders[:-1])
        chosen = list(fusions)[-1:] or [name for name in known if not name.endswith(lower)]
    known |= fusions
    if names != "none" and (unknown := [name for name in chosen if name not in known]):
        need = f"none, or some of {','.join(known)}"
        raise SdError("--deploy", got=repr(unknown[0]), need=need)
    return [f"deploy {name} {' '.join(known[name])}" for name in chosen if name in known]


def plan_pass(features: str, orders: Sequence[int]) -> list[str]:
    """The lines for --features."""
    rows = find_rows(features)
    if len({row.config for row in rows}) != 1:
        raise SdError("--features", got=features, need="features of one front end")
    flags = [f"--features={','.join(row.feature for row in rows)}"] if rows[0].feature else []
    if rows[0].is_by_order:
        if not orders:
            raise SdError("--orders", got="none", need="numbers such as 0,2,4,6")
        flags.append(f"--orders={','.join(map(str, orders))}")
    systems = [system for row in rows for system in systems_of(row, orders)]
    return [
        f"config {rows[0].config}",
        " ".join(["flags", *flags]),
        *(f"system {system}" for system in systems),
    ]


def print_plan(args: Namespace) -> None:
    """Print the lines of the plan."""
    if not re.fullmatch(r"((0|[1-9][0-9]{0,3})(,|$))*", args.orders):
        raise SdError("--orders", got=repr(args.orders), need="numbers such as 0,2,4,6")
    orders = sorted({int(word) for word in args.orders.split(",") if word})
    if args.features:
        lines = plan_pass(args.features, orders)
    else:
        lines = plan(args.systems, orders)
        lines += deployed(lines, orders, args.deploy)
    print("\n".join(lines))


def command_line() -> Script:
    """The options."""
    script = Script(__file__, __doc__)
    what = script.add_mutually_exclusive_group(required=True)
    what.add_argument("--systems", help="all, or rows of the tables, such as cf,cm,fusion")
    what.add_argument("--features", help="rows of one front end, such as cf,cm")
    script.add_argument(
        "--deploy", default="", help="systems and fusions that become models of sd-detect, or none"
    )
    script.add_argument("--orders", default="0,2,4,6", help="of differentiation (%(default)s)")
    return script


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    SCRIPT.run(print_plan, argv)


SCRIPT = command_line()

if __name__ == "__main__":
    main()
