"""One self-contained page of an experiment: tables, plots as inline SVG, settings. Nothing is loaded from elsewhere."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import version

import numpy as np

from sdtools import __version__
from sdtools.features.filterbank import FilterBankOptions, design
from sdtools.report import plots
from sdtools.scoring import summary
from sdtools.scoring.evaluation import Evaluation, SystemEvaluation
from sdtools.scoring.metrics import MetricOptions
from sdtools.scoring.roc import SortedScores

NUM_CURVES = len(plots.COLOURS)
STYLE = """
:root{color-scheme:light dark;--ink:#1b1b1f;--paper:#fff;--soft:#5b5b66;--grid:#d5d5dc;--stripe:#f4f4f7;--accent:#0a5a9c}
@media(prefers-color-scheme:dark){:root{--ink:#e8e8ec;--paper:#16161a;--soft:#a5a5b0;--grid:#3b3b44;--stripe:#202026;--accent:#7cbcf0}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:72rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.25rem;margin-top:2.5rem;border-bottom:1px solid var(--grid)}h3{font-size:1rem}
p,li{max-width:46rem}.soft,figcaption{color:var(--soft);font-size:.875rem}
.lead{font-size:1.1rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.3rem .7rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid)}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--paper)}
tbody tr:nth-child(even) td{background:var(--stripe)}
th button{all:unset;cursor:pointer;color:var(--accent)}th button:focus-visible{outline:2px solid var(--accent)}
th[aria-sort=ascending] button::after{content:" \\25B2"}th[aria-sort=descending] button::after{content:" \\25BC"}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.5rem}
figure{margin:0;min-width:0;overflow-x:auto}svg{width:100%;height:auto}
.heat svg{min-width:30rem}
pre{overflow-x:auto;font-size:.8rem}summary{cursor:pointer;color:var(--accent)}
@media print{:root{--ink:#000;--paper:#fff;--stripe:#fff}body{max-width:none;font-size:10pt}figure,tr{break-inside:avoid}
.wide{overflow:visible}th button{color:inherit}}
"""
SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => row.cells[column].textContent;
    const compare = (a, b) => {
      const x = parseFloat(value(a)), y = parseFloat(value(b));
      return isNaN(x) || isNaN(y) ? value(a).localeCompare(value(b), "en", {numeric: true}) : x - y;
    };
    body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * compare(a, b)));
  }));
}
"""


def page(
    evaluation: Evaluation,
    names: Sequence[str],
    scores: Sequence[SortedScores],
    results: str | None,
    settings: Mapping[str, str],
) -> str:
    """The page as HTML.

    Parameters
    ----------
    evaluation
        What `sd-eval-scores --json` wrote.
    names : (num_systems,)
        Short and different.
    scores : (num_systems,)
        Of the trials that the figures are of.
    results
        The recipe's RESULTS.md: its tables come first. None if it has none.
    settings
        Text by name, such as a configuration file's.
    """
    systems, how, options = evaluation.systems, evaluation.interval, evaluation.options
    order = sorted(range(len(names)), key=lambda i: systems[i].eer.value)
    best = order[0]
    some = systems[best].metrics
    parts = [
        f'<p class="lead">{escape(summary.verdict(evaluation, names))}.</p>',
        f'<p class="soft">{some.num_genuine} genuine and {some.num_spoof} replayed trials ({escape(evaluation.utt2label)}).'
        " Scores are natural-log likelihood ratios, positive for genuine speech. EER: the rate at which as many genuine trials are"
        " rejected as replays accepted. Cllr: cost of the LLRs in bits, 0 perfect, 1 as good as none, minCllr what is left of it after"
        " the best calibration."
        + (
            f" Intervals: {100 * how.level:g} %, bootstrap by {how.by}, {how.replicates} replicates."
            if how
            else ""
        )
        + "</p>",
    ]
    if results:
        parts.append(f"<h2>The tables of the recipe</h2>{_markdown(results)}")
    parts += ["<h2>All systems</h2>", _table(summary.system_rows(evaluation, names), "sortable")]
    fusions = [i for i in order if summary.is_fusion(systems[i])]
    chosen = sorted(
        [*fusions, *(i for i in order if i not in fusions)][:NUM_CURVES], key=order.index
    )
    parts.append("<h2>Errors against each other</h2><div class=plots>")
    curves = {names[i]: scores[i] for i in chosen}
    parts.append(
        _figure(
            plots.det_figure(curves, options),
            "det",
            "Detection error trade-off",
            "Misses over false alarms as the threshold moves, on normal deviates, of "
            + ", ".join(curves),
            ("The best systems and the fusions" if len(names) > len(chosen) else "All systems")
            + f". Dot: EER. Cross: least detection cost at P(spoof) {options.p_spoof:g}, costs {options.c_miss:g} and {options.c_fa:g}."
            " Thin: convex hull.",
        )
    )
    if features := _by_order(systems, names):
        parts.append(
            _figure(
                plots.order_figure(features),
                "orders",
                "EER by order of differentiation",
                "; ".join(
                    f"{name}: "
                    + ", ".join(f"order {o} {summary.percent(value)} %" for o, value, *_ in rows)
                    for name, rows in features.items()
                ),
                "Bars: intervals." if how else "",
            )
        )
    parts.append("</div>")
    for i in dict.fromkeys([best, *fusions]):
        parts.append(_plots_of(systems[i], names[i], f"system-{i}", scores[i], options))
    for i, column in enumerate(systems[0].by):
        parts.append(_conditions(evaluation, column, f"by-{i}", names))
    parts.append(
        "<h2>A filter, differentiated</h2>"
        + _figure(
            plots.filter_figure(design(FilterBankOptions(), 16000)),
            "filter",
            "Filter 55 at orders 0, 3 and 6",
            "Magnitude responses in dB relative to their peaks; the higher the order, the narrower",
            "Figure 1 of the paper, with the default settings of the bank.",
        )
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "matplotlib"))
    parts.append(
        f"<h2>What made it</h2><p>sdtools {__version__}, Python {platform.python_version()}, {libraries}.</p>"
    )
    for text in dict.fromkeys(settings.values()):
        files = [name for name, other in settings.items() if other == text]
        parts.append(
            f"<details><summary>{escape(', '.join(files))}</summary><pre>{escape(text)}</pre></details>"
        )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>Replay-spoofing detection</title><style>{STYLE}</style></head><body>"
        f"<h1>Replay-spoofing detection</h1>{''.join(parts)}<script>{SCRIPT}</script></body></html>\n"
    )


def _table(rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Rows, the first of which is the head, as an HTML table; a `sortable` one has buttons in its head."""
    button = ("<button>", "</button>") if kind else ("", "")
    head = "".join(f'<th scope="col">{button[0]}{escape(cell)}{button[1]}</th>' for cell in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:]
    )
    return f'<div class=wide tabindex=0><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _markdown(text: str) -> str:
    """Paragraphs and pipe tables, which are all that a RESULTS.md has, as HTML; without the EERs by condition, which come further down."""
    parts = []
    for block in re.split(
        r"\n\s*\n", re.sub(r"^EER .* by .*\n\n(\|.*\n?)+", "", text.strip(), flags=re.MULTILINE)
    ):
        lines = block.splitlines()
        if len(lines) > 2 and all(line.startswith("|") for line in lines):
            rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            parts.append(_table([rows[0], *rows[2:]]))
        else:
            parts.append("<p>" + re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(block)) + "</p>")
    return "".join(parts)


def _figure(
    figure: plots.Figure, name: str, title: str, description: str, caption: str = ""
) -> str:
    """A plot with its title and caption."""
    svg = plots.page_svg(figure, name, title, description)
    return (
        f"<figure><h3>{escape(title)}</h3>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _by_order(
    systems: Sequence[SystemEvaluation], names: Sequence[str]
) -> dict[str, list[tuple[int, float, float, float]]]:
    """(order, EER, bounds) of the systems named <feature>_sd<order>, of features with more than one order."""
    features: dict[str, list] = {}
    for name, system in zip(names, systems):
        if found := re.fullmatch(r"(.+)_sd([0-9]+)", name):
            value = system.eer.value
            features.setdefault(found[1], []).append(
                (int(found[2]), value, *(system.interval or (value, value)))
            )
    return {name: sorted(rows) for name, rows in features.items() if len(rows) > 1}


def _plots_of(
    system: SystemEvaluation,
    name: str,
    identity: str,
    scores: SortedScores,
    options: MetricOptions,
) -> str:
    """What the scores of one system are worth as likelihood ratios; `identity` begins the names of its elements."""
    cllr, loss = system.metrics.cllr, system.calibration_loss
    parts = [
        _figure(
            plots.histogram_figure(scores, system.eer.threshold, options),
            f"{identity}-histogram",
            "Scores",
            "Histograms of the log-likelihood ratios of genuine and of replayed trials",
        ),
        _figure(
            plots.tippett_figure(scores),
            f"{identity}-tippett",
            "Tippett plot",
            "Share of the trials of each class whose log-likelihood ratio is above a value",
        ),
        _figure(
            plots.bayes_error_figure(scores),
            f"{identity}-bayes",
            "Normalised Bayes error",
            "Cost of Bayes decisions over the prior log odds, of the LLRs as they are and after the best calibration",
            f"Between the curves: what calibration would gain; Cllr {cllr:.3f}, of which {loss:.3f}.",
        ),
    ]
    return f"<h2>Scores of {escape(name)}</h2><div class=plots>{''.join(parts)}</div>"


def _conditions(evaluation: Evaluation, column: str, identity: str, names: Sequence[str]) -> str:
    """Heat map and table of the EER by condition."""
    conditions = list(evaluation.systems[0].by[column])
    eers = np.array(
        [[system.by[column][c].eer[0].value for system in evaluation.systems] for c in conditions]
    )
    heat = _figure(
        plots.heat_figure(conditions, names, eers, column),
        identity,
        f"EER by {column}",
        f"EER of each system by {column}; the table below has the figures",
        "Replayed trials of a condition against all genuine ones.",
    )
    return f"<h2>By {escape(column)}</h2><div class=heat>{heat}</div>{_table(summary.condition_rows(evaluation, column, names), 'sortable')}"
