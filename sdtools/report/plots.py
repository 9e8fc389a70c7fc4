"""Figures; the only module that knows matplotlib."""

from __future__ import annotations

import io
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from statistics import NormalDist

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from sdtools.features.filterbank import FilterBank, difference_response, fine_grid_hz
from sdtools.scoring.metrics import MetricOptions, act_dcf, min_dcf, sorted_eer
from sdtools.scoring.roc import SortedScores, convex_hull, roc

FLOOR_DB = -60.0
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
)  # Okabe and Ito's, readable on light and dark
INK, GRID = "#010203", "#040506"  # on a page: its own colours
PAGE_STYLE = {
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    ),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), "none"),
    "grid.color": GRID,
    "legend.frameon": False,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
}
DET_PERCENT = (0.1, 0.5, 1, 2, 5, 10, 20, 40)
LOGIT_PRIORS = np.linspace(-7, 7, 57)
LINES = (
    "-",
    "--",
    ":",
    "-.",
    (0, (8, 2)),
    (0, (1, 3)),
    (0, (6, 2, 1, 2, 1, 2)),
)  # told apart without colours


def response_figure(
    bank: FilterBank, filters: Sequence[int], orders: Sequence[int], ink: str = "black"
) -> Figure:
    """Figure 1 of the paper: magnitude responses over frequency, each relative to its peak, one kind of line an order.

    Parameters
    ----------
    bank : FilterBank
    filters
        Numbers from 1, as the paper counts.
    orders
        Differentiation orders.
    ink
        Colour of the curves.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot(
        xlim=(0, bank.sample_rate_hz / 2),
        ylim=(FLOOR_DB, 2),
        yticks=[0, -3, -10, -20, -30, -40, -50, -60],
        xlabel="frequency (Hz)",
        ylabel="magnitude relative to the peak (dB)",
    )
    for level_db in (-3, -20):
        axes.axhline(level_db, color="0.75", linewidth=0.7)
    freqs_hz = fine_grid_hz(bank)
    for order, line in zip(orders, itertools.cycle(LINES)):
        magnitudes = np.abs(difference_response(bank, order, freqs_hz)[:, np.array(filters) - 1])
        levels_db = 20 * np.log10(np.maximum(magnitudes / magnitudes.max(axis=0), 1e-4))
        for curve in axes.plot(freqs_hz, levels_db, color=ink, linestyle=line, linewidth=1.3):
            curve.set_gid(f"order-{order}")
        curve.set_label(f"order {order}")
    if len(filters) == 1:
        which = filters[0] - 1
        title = f"Filter {filters[0]}, centre {bank.centre_hz[which]:.0f} Hz, bandwidth {bank.bandwidth_hz[which]:.0f} Hz"
    else:
        title = f"{len(filters)} filters"
    axes.set_title(f"{title}, by order of differentiation")
    axes.legend()
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def filter_figure(bank: FilterBank) -> Figure:
    """Figure 1 of the paper for a page, which has the title."""
    figure = response_figure(bank, [55], [0, 3, 6], INK)
    figure.set_size_inches(4.8, 3.6)
    figure.axes[0].set_title("")
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def det_figure(systems: Mapping[str, SortedScores], options: MetricOptions) -> Figure:
    """Detection error trade-off of some systems, on probit axes: steps, convex hull (thin), EER (dot) and minDCF (cross)."""
    figure, axes = _page_figure(
        "false alarms: replays accepted (%)", "misses: genuine speech rejected (%)", (4.8, 4.8)
    )

    def probit(p):
        return np.array(
            [NormalDist().inv_cdf(x) for x in np.clip(p, 1e-5, 1 - 1e-5).ravel().tolist()]
        )

    ticks = probit(np.array(DET_PERCENT) / 100)
    limits = ticks[0], ticks[-1]
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [f"{p:g}" for p in DET_PERCENT])
    axes.plot(limits, limits, color=GRID, linewidth=0.8)

    def places(points):
        return [probit(p) for p in (points.p_false_alarm, points.p_miss)]

    for (name, scores), colour in zip(systems.items(), COLOURS):
        points = roc(scores, np.append(np.unique(np.concatenate(scores)), np.inf))
        x, y = places(points)
        moved = np.ones(len(x), bool)
        moved[1:] = np.diff(np.round(x, 2)).astype(bool) | np.diff(np.round(y, 2)).astype(bool)
        axes.plot(
            x[moved],
            y[moved],
            drawstyle="steps-post",
            color=colour,
            linewidth=1.4,
            label=_plain(name),
        )
        hull = convex_hull(scores)
        axes.plot(*places(hull), color=colour, linewidth=0.6)
        equal = probit(np.array([sorted_eer(scores).value]))
        axes.plot(equal, equal, "o", color=colour, markersize=4)
        prior = options.effective_prior
        best = hull[[np.argmin(prior * hull.p_miss + (1 - prior) * hull.p_false_alarm)]]
        axes.plot(*places(best), "x", color=colour, markersize=5)
    axes.legend(loc="lower left", fontsize=8)
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def histogram_figure(scores: SortedScores, threshold: float, options: MetricOptions) -> Figure:
    """Densities of the LLRs of both classes, with the threshold of the EER and Bayes' threshold."""
    figure, axes = _page_figure("log-likelihood ratio (natural log)", "share of the class (%)")
    finite = [values[np.isfinite(values)] for values in scores]
    both = np.concatenate(finite)
    bins = np.linspace(both.min(), both.max(), 41) if len(both) else 10
    for values, all_values, label, colour in zip(finite, scores, ("genuine", "replayed"), COLOURS):
        weights = np.full(len(values), 100 / len(all_values))
        axes.hist(
            values,
            bins,
            weights=weights,
            color=colour,
            alpha=0.55,
            label=f"{label} ({len(all_values)})",
        )
    for where, label, line in (
        (threshold, "threshold of the EER", "--"),
        (options.bayes_threshold, "Bayes' threshold", ":"),
    ):
        if math.isfinite(where):
            axes.axvline(
                where, color=INK, linestyle=line, linewidth=1.2, label=f"{label}, {where:.2f}"
            )
    axes.legend(fontsize=8)
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def tippett_figure(scores: SortedScores) -> Figure:
    """Share of the trials of each class whose LLR is above a value."""
    figure, axes = _page_figure("log-likelihood ratio (natural log)", "trials above it (%)")
    for values, label, colour in zip(scores, ("genuine", "replayed"), COLOURS):
        x = np.quantile(values, np.linspace(0, 1, min(len(values), 500)), method="inverted_cdf")
        above = 100 * (1 - np.searchsorted(values, x, side="right") / len(values))
        axes.plot(x, above, drawstyle="steps-post", color=colour, label=label)
    axes.axvline(0, color=GRID, linewidth=0.8)
    axes.legend(fontsize=8)
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def bayes_error_figure(scores: SortedScores) -> Figure:
    """Normalised Bayes error over the prior log odds of genuine speech: of the LLRs as they are, best calibrated (PAV), without LLRs."""
    figure, axes = _page_figure(
        "prior log odds of genuine speech (natural log)", "normalised Bayes error"
    )
    hull = convex_hull(scores)
    actual, least = [], []
    for log_odds in LOGIT_PRIORS:
        options = MetricOptions(p_spoof=1 / (1 + math.exp(log_odds)), c_miss=1, c_fa=1)
        actual.append(act_dcf(scores, options))
        least.append(min_dcf(hull, options))
    axes.plot(LOGIT_PRIORS, actual, color=COLOURS[1], label="these LLRs")
    axes.plot(LOGIT_PRIORS, least, color=COLOURS[0], linestyle="--", label="best calibrated (PAV)")
    axes.axhline(1, color=INK, linestyle=":", linewidth=1, label="without LLRs")
    axes.set(xlim=(LOGIT_PRIORS[0], LOGIT_PRIORS[-1]), ylim=(0, min(2.0, 1.1 * max(1, *actual))))
    axes.legend(fontsize=8)
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def order_figure(features: Mapping[str, Sequence[tuple[int, float, float, float]]]) -> Figure:
    """EER over the order of differentiation, a line a feature: (order, EER, lower, upper bound of the interval) as fractions."""
    figure, axes = _page_figure("order of spatial differentiation", "EER (%)")
    for i, ((name, rows), colour) in enumerate(zip(features.items(), COLOURS)):
        order, value, low, high = np.array(rows).T * np.array([[1], [100], [100], [100]])
        shifted = order + 0.12 * (
            i - (len(features) - 1) / 2
        )  # so that bars do not hide each other
        axes.errorbar(
            shifted,
            value,
            [value - low, high - value],
            color=colour,
            marker="o",
            markersize=4,
            capsize=3,
            label=_plain(name),
        )
    axes.set(xticks=sorted({row[0] for rows in features.values() for row in rows}), ylim=(0, None))
    axes.legend(fontsize=8)
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def heat_figure(
    conditions: Sequence[str], systems: Sequence[str], eers: np.ndarray, what: str
) -> Figure:
    """EER (num_conditions, num_systems), fractions, as a coloured table."""
    size = (max(4.0, 2 + 0.55 * len(systems)), 1.6 + 0.3 * len(conditions))
    figure, axes = _page_figure("system", what, size)
    axes.grid(False)
    shown = axes.imshow(
        100 * eers, cmap="viridis", vmin=0, vmax=50, aspect="auto", interpolation="nearest"
    )
    for (i, j), value in np.ndenumerate(100 * eers):
        axes.text(
            j,
            i,
            f"{value:.0f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if value < 30 else "black",
        )
    axes.set_xticks(
        range(len(systems)), list(map(_plain, systems)), rotation=60, ha="right", fontsize=7
    )
    axes.set_yticks(range(len(conditions)), list(map(_plain, conditions)), fontsize=7)
    bar = figure.colorbar(shown, label="EER (%)")
    bar.outline.set_edgecolor(INK)
    return figure


def _plain(name: str) -> str:
    """A name as matplotlib takes it: no mathematics."""
    return name.replace("$", r"\$")


def _page_figure(
    xlabel: str, ylabel: str, size: tuple[float, float] = (4.8, 3.4)
) -> tuple[Figure, matplotlib.axes.Axes]:
    """An empty figure with a grid."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
    axes.grid(True)
    return figure, axes


def page_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an SVG element in the colours of the page, with a title and a description for who cannot see it."""
    with matplotlib.rc_context(PAGE_STYLE):  # ticks are made only now
        text = image(figure, "svg", hashsalt=name).decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = text.replace(INK, "currentColor").replace(GRID, "var(--grid)")
    names = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    head, body = text.split(">", 1)
    used = set(re.findall(r"#([^\")]+)", body))
    body = re.sub(
        r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", body
    )  # figures share the others
    head = re.sub(r' (width|height|xmlns(:xlink)?|version)="[^"]*"', "", head)
    width = round(110 * figure.get_size_inches()[0])
    return f'{head} style="max-width:{width}px" role="img" aria-labelledby="{name}-title {name}-desc">{names}{body}'


def image(figure: Figure, kind: str, hashsalt: str = "sdtools") -> bytes:
    """The figure as a file of kind `svg` or `png`; the same bytes each time. Figures of one page need a hashsalt each."""
    settings = {"svg.hashsalt": hashsalt, "svg.fonttype": "none"}
    out = io.BytesIO()
    with matplotlib.rc_context(settings):
        figure.savefig(
            out,
            format=kind,
            dpi=150,
            metadata={"Date": None, "Creator": None} if kind == "svg" else {"Software": None},
        )
    return out.getvalue()
