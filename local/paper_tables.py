#!/usr/bin/env python3
"""Print Tables 1 and 2 of the paper for an evaluation, and write them with its command.

Rows and columns are the systems that were evaluated. With --paper the paper's EERs stand beside
ours, and tables of the EER by condition follow.

Example: local/paper_tables.py --command ./run.sh exp/results.json exp/RESULTS.md
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence

from plan_systems import FUSIONS
from script import Script

from sdtools.features.front_ends import rows_by_name
from sdtools.scoring.evaluation import Evaluation, SystemEvaluation, read_evaluation
from sdtools.scoring.experiment import system_names
from sdtools.scoring.metrics import Condition, Metrics
from sdtools.scoring.summary import percent
from sdtools.tables.output import open_output

ROWS = rows_by_name()
FEATURES = {row.name: row.label for row in ROWS.values() if 1 in row.tables}


def rows_of_table_2(top: int) -> dict[str, tuple[str, str]]:
    """Title and short name of each system in Table 2, where `top` is the highest order."""
    alone, by_order = {}, {}
    for row in ROWS.values():
        title = f"{row.code}: {row.label}" if row.code else row.label
        if 2 in row.tables and row.is_by_order:
            suffix = f" ({top} SD)" if row.code else ""
            by_order[f"{row.name}_sd{top}"] = title + suffix, row.code or row.label
        elif 2 in row.tables:
            alone[row.name] = title, row.code or row.label
    for name, fusion in FUSIONS.items():
        rows = by_order if ROWS[fusion.members[0]].is_by_order else alone
        rows[name] = fusion.title, fusion.code
    return {**alone, **by_order}


def paper_eers() -> dict[str, float]:
    """The paper's EERs in percent on eval of ASVspoof 2017 Version 2.0, by system."""
    eers = {name: fusion.paper_eer for name, fusion in FUSIONS.items()}
    for row in ROWS.values():
        for order, value in row.paper_eers.items():
            eers[row.name if order is None else f"{row.name}_sd{order}"] = value
    return eers


PAPER_TRIALS = (1298, 12008)  # genuine and replayed
CONDITIONS = {
    "env": "environment",
    "playback": "playback device",
    "recorder": "recording device",
    "phrase": "phrase",
    "spk": "speaker",
}
Systems = Mapping[str, SystemEvaluation]
Rows = list[list[str]]


def markdown(rows: Rows) -> str:
    """A table whose columns are aligned, so that it is also readable in a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def eers(result: Metrics | Condition, name: str, paper: Mapping[str, float]) -> list[str]:
    """EERs of a system by each method, then the paper's."""
    ours = [percent(eer.value) for eer in result.eer]
    return ours + [f"{paper[name]:.2f}" if name in paper else "-"] * bool(paper)


def table_1(
    systems: Systems, orders: Iterable[int], methods: Sequence[str], paper: Mapping[str, float]
) -> Rows:
    """A row for each feature, or one for each kind of EER if there are several; `-` if absent."""
    kinds = [*methods, *["the paper"] * bool(paper)]
    rows = [["Feature", *["EER %"] * (len(kinds) > 1), *(f"{order} SD" for order in orders)]]
    for feature, title in FEATURES.items():
        names = [f"{feature}_sd{order}" for order in orders]
        if any(name in systems for name in names):
            columns = [
                eers(systems[name].metrics, name, paper) if name in systems else ["-"] * len(kinds)
                for name in names
            ]
            rows += [
                [title, *[kind] * (len(kinds) > 1), *row] for kind, row in zip(kinds, zip(*columns))
            ]
    return rows


def table_2(systems: Systems, top: int, methods: Sequence[str], paper: Mapping[str, float]) -> Rows:
    """A row for each system, a column for each kind of EER."""
    head = ["EER %"] if len(methods) == 1 else [f"EER % ({method})" for method in methods]
    rows = [["System", *head, *["the paper"] * bool(paper)]]
    for name, (title, _) in rows_of_table_2(top).items():
        if name in systems:
            rows.append([title, *eers(systems[name].metrics, name, paper)])
    return rows


def table_by(systems: Systems, top: int, column: str) -> Rows:
    """A row for each condition, a column for each system of Table 2."""
    known = rows_of_table_2(top)
    columns = {
        code: systems[name].by[column] for name, (_, code) in known.items() if name in systems
    }
    rows = [[CONDITIONS.get(column, column), "replayed", *columns]]
    for condition, some in next(iter(columns.values())).items():
        values = [percent(conditions[condition].eer[0].value) for conditions in columns.values()]
        rows.append([condition, str(some.num_spoof), *values])
    return rows


def report(evaluation: Evaluation, with_paper: bool) -> str:
    """All tables as text."""
    names = system_names([system.path for system in evaluation.systems])
    systems = dict(zip(names, evaluation.systems))
    methods = evaluation.options.eer
    by_order = "|".join(row.name for row in ROWS.values() if row.is_by_order)
    found = (re.fullmatch(rf"(?:{by_order})_sd(\d+)", name) for name in systems)
    orders = sorted({int(match[1]) for match in found if match})
    top = orders[-1] if orders else 0
    paper = {  # the paper's score-level fusion is of order 6
        name: eer
        for name, eer in paper_eers().items()
        if with_paper and (name != "fusion" or top == 6)
    }
    some = next(iter(systems.values()))
    counts = some.metrics.num_genuine, some.metrics.num_spoof
    how = methods[0] if len(methods) == 1 else f"by {' and '.join(methods)}"
    parts = []
    is_in_table_2 = len(orders) == 1 and f"cmtri_sd{top}" not in systems
    if not is_in_table_2 and len(rows := table_1(systems, orders, methods, paper)) > 1:
        trials = f"{counts[0]} genuine and {counts[1]} replayed trials"
        parts += [
            f"Table 1: EER (%, {how}) on eval, {trials}, by number of spatial differentiations "
            "(SD)",
            markdown(rows),
        ]
    if len(rows := table_2(systems, top, methods, paper)) > 1:
        parts += [f"Table 2: EER (%, {how}) before and after fusion", markdown(rows)]
        for column in some.by if with_paper else ():
            title = (
                f"EER (%, {methods[0]}) by {CONDITIONS.get(column, column)}: its replayed trials "
                "against all genuine ones"
            )
            parts += [title, markdown(table_by(systems, top, column))]
    if with_paper and counts != PAPER_TRIALS:
        num_genuine, num_spoof = PAPER_TRIALS
        parts.append(
            f"The paper's figures are those of the whole of eval, {num_genuine} genuine and "
            f"{num_spoof} replayed trials."
        )
    for name, fusion in FUSIONS.items():
        if name in systems:
            m = systems[name].metrics
            costs = f"Cllr {m.cllr:.3f} on eval (minCllr {m.min_cllr:.3f})"
            parts.append(f"{fusion.code}: logistic regression trained on dev, {costs}.")
    return "\n\n".join(parts)


def make_tables(args: Namespace) -> None:
    """Read, print, write."""
    evaluation = read_evaluation(args.results)
    names = system_names([system.path for system in evaluation.systems])
    by_order = "|".join(row.name for row in ROWS.values() if row.is_by_order)
    known = [*ROWS, *FUSIONS]
    if others := [n for n in names if not (n in known or re.fullmatch(rf"({by_order})_sd\d+", n))]:
        SCRIPT.note(f"warning: {args.results}: the tables have no row for {' '.join(others)}")
    text = report(evaluation, args.paper)
    print(f"\n{text}\n")
    with open_output(args.out) as file:
        file.write(f"Made by `{args.command}`\n\n{text}\n".encode())


def command_line() -> Script:
    """The options."""
    script = Script(__file__, __doc__)
    script.add_argument(
        "--paper",
        action="store_true",
        help="show the paper's EERs beside ours, and EERs by condition; for the paper's corpus",
    )
    script.add_argument(
        "--command",
        default="./run.sh",
        help="the command for the first line of the file (default %(default)s)",
    )
    script.add_argument("results", help="from sd-eval-scores --json")
    script.add_argument("out", help="Markdown file")
    return script


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    SCRIPT.run(make_tables, argv)


SCRIPT = command_line()

if __name__ == "__main__":
    main()
