#!/usr/bin/env python3
"""Print Tables 1 and 2 in the paper's form from the figures of sd-eval-scores, and write them with the command that made them.

Example: local/paper_tables.py --orders 0,2,4,6 --command ./run.sh exp/results.json exp/RESULTS.md
"""

import argparse
import json
import sys
from pathlib import Path

from sdtools.streams import open_output

FEATURES = {"cf": "CF + Δ + ΔΔ", "cm": "CM + Δ + ΔΔ"}


def percent(fraction):
    """Two decimals, as in the paper."""
    return f"{100 * fraction:.2f}"


def markdown(rows):
    """A table whose columns are aligned, so that it reads well in a terminal too."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def tables(systems, orders, method):
    """Both tables; `systems` maps a name such as cf_sd6 to its figures."""
    first = [["Feature", *(f"{order} SD" for order in orders)]]
    for feature, title in FEATURES.items():
        first.append([title, *(percent(systems[f"{feature}_sd{order}"]["eer"]) for order in orders)])
    top = orders[-1]
    names = {
        f"S1: CF + Δ + ΔΔ ({top} SD)": f"cf_sd{top}",
        f"S2: CM + Δ + ΔΔ ({top} SD)": f"cm_sd{top}",
        "S1 + S2 (feature level)": f"cfcm_sd{top}",
        "S1 + S2 (score level)": "fusion",
    }
    second = [["System", "EER %"]]
    second += [[title, percent(systems[name]["eer"])] for title, name in names.items()]
    some, fused = systems[f"cf_sd{top}"], systems["fusion"]
    return (
        f"Table 1: EER (%, {method}) on eval, {some['num_genuine']} genuine and {some['num_spoof']} replayed trials, by number of spatial "
        f"differentiations (SD)\n\n{markdown(first)}\n\nTable 2: EER (%, {method}) before and after fusion\n\n{markdown(second)}\n\n"
        f"Score level: logistic regression trained on dev, Cllr {fused['cllr']:.3f} on eval (minCllr {fused['min_cllr']:.3f})."
    )


def main():
    """Read, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", default="0,2,4,6", help="columns of Table 1; Table 2 takes the last (default %(default)s)")
    parser.add_argument("--command", default="./run.sh", help="what the first line of the file says made it (default %(default)s)")
    parser.add_argument("results", help="from sd-eval-scores --json")
    parser.add_argument("out", help="Markdown file")
    args = parser.parse_args()
    figures = json.loads(Path(args.results).read_text())
    systems = {Path(system["system"]).parts[-3]: system for system in figures["systems"]}
    names = [f"{feature}_sd{order}" for feature in FEATURES for order in args.orders.split(",")]
    missing = [name for name in [*names, f"cfcm_sd{args.orders.split(',')[-1]}", "fusion"] if name not in systems]
    if missing:
        sys.exit(f"{Path(__file__).name}: {args.results}: got no {', '.join(missing)}, need them for the tables. Run the stages before")
    text = tables(systems, args.orders.split(","), figures["options"]["eer"])
    print(f"\n{text}\n")
    with open_output(args.out) as file:
        file.write(f"Made by `{args.command}`\n\n{text}\n".encode())


if __name__ == "__main__":
    main()
