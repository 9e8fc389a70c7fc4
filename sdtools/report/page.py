"""One page of an experiment: tables, plots as inline SVG, settings. It loads nothing else."""

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
from sdtools.scoring.deployment import Deployment
from sdtools.scoring.evaluation import Evaluation, SystemEvaluation
from sdtools.scoring.metrics import MetricOptions
from sdtools.scoring.roc import SortedScores
from sdtools.scoring.summary import condition_rows, is_fusion, percent, system_rows, verdict

NUM_CURVES = len(plots.COLOURS)
STYLE = """
:root{color-scheme:light dark;--ink:#1b1b1f;--paper:#fff;--soft:#5b5b66;--grid:#d5d5dc;
--stripe:#f4f4f7;--accent:#0a5a9c;--alarm:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e8e8ec;--paper:#16161a;--soft:#a5a5b0;
--grid:#3b3b44;--stripe:#202026;--accent:#7cbcf0;--alarm:#ff8a80}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:72rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;line-height:1.2}
h2{font-size:1.25rem;margin-top:2.5rem;border-bottom:1px solid var(--grid)}
h3{font-size:1rem}
p,li{max-width:46rem}.soft,figcaption{color:var(--soft);font-size:.875rem}
.lead{font-size:1.1rem}
.banner{border:2px solid var(--alarm);padding:.5rem .8rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.3rem .7rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid)}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--paper)}
tbody tr:nth-child(even) td{background:var(--stripe)}
th button{all:unset;cursor:pointer;color:var(--accent)}
th button:focus-visible{outline:2px solid var(--accent)}
th[aria-sort=ascending] button::after{content:" \\25B2"}
th[aria-sort=descending] button::after{content:" \\25BC"}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.5rem}
figure{margin:0;min-width:0;overflow-x:auto}svg{width:100%;height:auto}
.heat svg{min-width:30rem}
pre{overflow-x:auto;font-size:.8rem}summary{cursor:pointer;color:var(--accent)}
@media print{:root{--ink:#000;--paper:#fff;--stripe:#fff}
body{max-width:none;font-size:10pt}figure,tr{break-inside:avoid}
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
      if (!isNaN(x) && !isNaN(y)) return x - y;
      return value(a).localeCompare(value(b), "en", {numeric: true});
    };
    body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * compare(a, b)));
  }));
}
"""


def page(
    evaluation: Evaluation,
    names: Sequence[str],
    scores: Sequence[SortedScores],
    models: Mapping[str, Deployment],
    results: str | None,
    settings: Mapping[str, str],
) -> str:
    """The page as HTML.

    Parameters
    ----------
    evaluation
        What sd-eval-scores --json wrote.
    names : (num_systems,)
        Short and different.
    scores : (num_systems,)
        Of the trials of the evaluation.
    models
        What the decisions of model directories cost, by path.
    results
        The recipe's RESULTS.md, whose tables come first; None if there is none.
    settings
        Text by name, for example of a configuration file.
    """
    systems, options = evaluation.systems, evaluation.options
    order = sorted(range(len(names)), key=lambda i: systems[i].eer.value)
    fusions = [i for i in order if is_fusion(systems[i])]
    curves = [*fusions, *(i for i in order if i not in fusions)][:NUM_CURVES]
    parts = [_lead(evaluation, names, order[0]), *(_costs(*model) for model in models.items())]
    if results:
        parts.append(f"<h2>The tables of the recipe</h2>{_markdown(results)}")
    parts += ["<h2>All systems</h2>", _table(system_rows(evaluation, names), "sortable")]
    shown = {names[i]: scores[i] for i in sorted(curves, key=order.index)}
    parts.append(_trade_offs(evaluation, names, shown))
    for i in dict.fromkeys([order[0], *fusions]):
        parts.append(_plots_of(systems[i], names[i], f"system-{i}", scores[i], options))
    for i, column in enumerate(systems[0].by):
        parts.append(_conditions(evaluation, column, f"by-{i}", names))
    parts += [_filter(), _origin(settings)]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>Replay-spoofing detection</title><style>{STYLE}</style></head><body>"
        f"<h1>Replay-spoofing detection</h1>{''.join(parts)}"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _lead(evaluation: Evaluation, names: Sequence[str], best: int) -> str:
    """The verdict, and what its figures are."""
    trials, how = evaluation.systems[best].metrics, evaluation.interval
    text = (
        f"{trials.num_genuine} genuine and {trials.num_spoof} replayed trials"
        f" ({escape(evaluation.utt2label)}). Scores are log-likelihood ratios (LLR, natural log),"
        " positive for genuine speech. EER: the error rate at the threshold where the same"
        " fraction of genuine trials is rejected as of replays accepted. Cllr: cost of the LLRs in"
        " bits; 0 is perfect, and 1 is no better than no scores. minCllr: the Cllr after the best"
        " calibration."
    )
    if how:
        level = f"{100 * how.level:g} %"
        text += f" Intervals: {level}, bootstrap by {how.by}, {how.replicates} replicates."
    lead = escape(verdict(evaluation, names))
    return f'<p class="lead">{lead}.</p><p class="soft">{text}</p>'


def _costs(path: str, deployment: Deployment) -> str:
    """What the decisions of a model cost, under a banner if its calibration is in doubt."""
    banners = "".join(
        f'<p class="banner" role="alert"><strong>Warning:</strong> {escape(text)}.</p>'
        for text in deployment.warnings
    )
    return (
        f"<h2>Decisions of {escape(path)}</h2>{banners}{_table(deployment.rows())}"
        f'<p class="soft">{escape(deployment.explanation)}</p>'
    )


def _trade_offs(
    evaluation: Evaluation, names: Sequence[str], curves: Mapping[str, SortedScores]
) -> str:
    """Plots of misses over false alarms, and of EERs over the orders."""
    options = evaluation.options
    which = "The best systems and the fusions" if len(names) > len(curves) else "All systems"
    figures = _figure(
        plots.det_figure(curves, options),
        "det",
        "Detection error trade-off",
        "Misses over false alarms as the threshold moves, on normal deviates, of "
        + ", ".join(curves),
        f"{which}. Dot: EER. Cross: lowest detection cost at P(spoof) {options.p_spoof:g}, costs"
        f" {options.c_miss:g} and {options.c_fa:g}. Thin line: convex hull.",
    )
    if features := _by_order(evaluation.systems, names):
        texts = (
            f"{name}: " + ", ".join(f"order {o} {percent(eer)} %" for o, eer, *_ in rows)
            for name, rows in features.items()
        )
        figures += _figure(
            plots.order_figure(features),
            "orders",
            "EER by order of differentiation",
            "; ".join(texts),
            "Bars: intervals." if evaluation.interval else "",
        )
    return f"<h2>Error trade-offs</h2><div class=plots>{figures}</div>"


def _by_order(
    systems: Sequence[SystemEvaluation], names: Sequence[str]
) -> dict[str, list[tuple[int, float, float, float]]]:
    """Order, EER and bounds of the systems <feature>_sd<order>, if a feature has several."""
    features: dict[str, list[tuple[int, float, float, float]]] = {}
    for name, system in zip(names, systems):
        if found := re.fullmatch(r"(.+)_sd([0-9]+)", name):
            eer = system.eer.value
            low, high = system.interval or (eer, eer)
            features.setdefault(found[1], []).append((int(found[2]), eer, low, high))
    return {name: sorted(rows) for name, rows in features.items() if len(rows) > 1}


def _plots_of(
    system: SystemEvaluation,
    name: str,
    identity: str,
    scores: SortedScores,
    options: MetricOptions,
) -> str:
    """Plots of the scores of one system; `identity` begins the ids of its elements."""
    histogram = _figure(
        plots.histogram_figure(scores, system.eer.threshold, options),
        f"{identity}-histogram",
        "Scores",
        "Histograms of the log-likelihood ratios of genuine and of replayed trials",
    )
    tippett = _figure(
        plots.tippett_figure(scores),
        f"{identity}-tippett",
        "Tippett plot",
        "Share of the trials of each class whose log-likelihood ratio is above a value",
    )
    bayes_error = _figure(
        plots.bayes_error_figure(scores),
        f"{identity}-bayes",
        "Normalised Bayes error",
        "Cost of Bayes decisions over the prior log odds, of the LLRs as they are and after the"
        " best calibration",
        f"The gap between the curves is calibration loss: {system.calibration_loss:.3f} of a Cllr"
        f" of {system.metrics.cllr:.3f}.",
    )
    figures = histogram + tippett + bayes_error
    return f"<h2>Scores of {escape(name)}</h2><div class=plots>{figures}</div>"


def _conditions(evaluation: Evaluation, column: str, identity: str, names: Sequence[str]) -> str:
    """Heat map and table of the EER by condition."""
    systems = [system.by[column] for system in evaluation.systems]
    conditions = list(systems[0])
    eers = np.array([[by[name].eer[0].value for by in systems] for name in conditions])
    heat = _figure(
        plots.heat_figure(conditions, names, eers, column),
        identity,
        f"EER by {column}",
        f"EER of each system by {column}; the table below has the figures",
        "Replayed trials of a condition against all genuine trials.",
    )
    table = _table(condition_rows(evaluation, column, names), "sortable")
    return f"<h2>By {escape(column)}</h2><div class=heat>{heat}</div>{table}"


def _filter() -> str:
    """Figure 1 of the paper."""
    figure = _figure(
        plots.filter_figure(design(FilterBankOptions(), 16000)),
        "filter",
        "Filter 55 at orders 0, 3 and 6",
        "Magnitude responses in dB relative to their peaks; the higher the order, the narrower",
        "Figure 1 of the paper, with the default settings of the filter bank.",
    )
    return f"<h2>A filter by order of differentiation</h2>{figure}"


def _origin(settings: Mapping[str, str]) -> str:
    """Versions, and each text of the settings once with the names of its files."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "matplotlib"))
    python = platform.python_version()
    parts = [
        f"<h2>Versions and settings</h2><p>sdtools {__version__}, Python {python}, {libraries}.</p>"
    ]
    for text in dict.fromkeys(settings.values()):
        files = escape(", ".join(name for name, other in settings.items() if other == text))
        parts.append(f"<details><summary>{files}</summary><pre>{escape(text)}</pre></details>")
    return "".join(parts)


def _table(rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Head and rows as an HTML table; a `sortable` one has buttons in its head."""
    start, end = ("<button>", "</button>") if kind else ("", "")
    head = "".join(f'<th scope="col">{start}{escape(cell)}{end}</th>' for cell in rows[0])
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows[1:])
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div class=wide tabindex=0><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _markdown(text: str) -> str:
    """A RESULTS.md, which has only paragraphs and tables, as HTML.

    Its tables of EERs by condition are left out, because the page has its own.
    """
    text = re.sub(r"^EER .* by .*\n\n(\|.*\n?)+", "", text.strip(), flags=re.MULTILINE)
    parts = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        if len(lines) > 2 and all(line.startswith("|") for line in lines):
            rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            parts.append(_table([rows[0], *rows[2:]]))
        else:
            paragraph = re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(block))
            parts.append(f"<p>{paragraph}</p>")
    return "".join(parts)


def _figure(
    figure: plots.Figure, name: str, title: str, description: str, caption: str = ""
) -> str:
    """A plot with its title and caption."""
    svg = plots.page_svg(figure, name, title, description)
    caption = f"<figcaption>{escape(caption)}</figcaption>"
    return f"<figure><h3>{escape(title)}</h3>{svg}{caption}</figure>"
