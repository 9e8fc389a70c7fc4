"""Figures; the only module that imports matplotlib."""

from __future__ import annotations

import io
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from statistics import NormalDist
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sdtools.features.filterbank import FilterBank, difference_response, fine_grid_hz
from sdtools.scoring.metrics import MetricOptions, act_dcf, min_dcf, sorted_eer
from sdtools.scoring.roc import Roc, SortedScores, convex_hull, roc

FLOOR_DB = -60.0
# Okabe and Ito's colours, readable on light and dark.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
# Line styles that differ without colours.
LINES = ("-", "--", ":", "-.", (0, (8, 2)), (0, (1, 3)), (0, (6, 2, 1, 2, 1, 2)))
INK, GRID = "#010203", "#040506"  # `page_svg` replaces them by the colours of the page
INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
PAGE_STYLE: Any = {  # keys of rcParams
    **dict.fromkeys(INKED, INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), "none"),
    "grid.color": GRID,
    "legend.frameon": False,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
}
CLASSES = ("genuine", "replayed")
LLR_LABEL = "log-likelihood ratio (natural log)"
DET_PERCENT = (0.1, 0.5, 1, 2, 5, 10, 20, 40)
LOGIT_PRIORS = np.linspace(-7, 7, 57)


def response_figure(
    bank: FilterBank, filters: Sequence[int], orders: Sequence[int], ink: str = "black"
) -> Figure:
    """Figure 1 of the paper: magnitude responses over frequency, each relative to its peak.

    Parameters
    ----------
    bank
        Filter bank.
    filters
        Numbers of filters, from 1 as in the paper.
    orders
        Orders of differentiation; each has its own line style.
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
    title = f"{len(filters)} filters"
    if len(filters) == 1:
        which = filters[0] - 1
        centre_hz, bandwidth_hz = bank.centre_hz[which], bank.bandwidth_hz[which]
        title = f"Filter {filters[0]}, centre {centre_hz:.0f} Hz, bandwidth {bandwidth_hz:.0f} Hz"
    axes.set_title(f"{title}, by order of differentiation")
    axes.legend()
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def filter_figure(bank: FilterBank) -> Figure:
    """Figure 1 of the paper for the page, which shows the title itself."""
    figure = response_figure(bank, [55], [0, 3, 6], INK)
    figure.set_size_inches(4.8, 3.6)
    figure.axes[0].set_title("")
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def det_figure(systems: Mapping[str, SortedScores], options: MetricOptions) -> Figure:
    """Detection error trade-off of some systems, on probit axes."""
    figure, axes = _page_figure(
        "false alarms: replays accepted (%)", "misses: genuine speech rejected (%)", (4.8, 4.8)
    )
    ticks = _probit(np.array(DET_PERCENT) / 100)
    limits = ticks[0], ticks[-1]
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [f"{p:g}" for p in DET_PERCENT])
    axes.plot(limits, limits, color=GRID, linewidth=0.8)
    for (name, scores), colour in zip(systems.items(), COLOURS):
        _plot_det(axes, name, scores, colour, options)
    axes.legend(loc="lower left", fontsize=8)
    return figure


def _plot_det(
    axes: Axes, name: str, scores: SortedScores, colour: str, options: MetricOptions
) -> None:
    """Plot the steps of a system, its convex hull (thin), EER (dot) and minDCF (cross)."""
    x, y = _det_points(roc(scores, np.append(np.unique(np.concatenate(scores)), np.inf)))
    moved = np.ones(len(x), bool)  # points too close to see apart are left out
    moved[1:] = np.diff(np.round(x, 2)).astype(bool) | np.diff(np.round(y, 2)).astype(bool)
    style: Any = {"drawstyle": "steps-post", "color": colour, "linewidth": 1.4}
    axes.plot(x[moved], y[moved], label=_plain(name), **style)
    hull = convex_hull(scores)
    axes.plot(*_det_points(hull), color=colour, linewidth=0.6)
    equal = _probit(np.array([sorted_eer(scores).value]))
    axes.plot(equal, equal, "o", color=colour, markersize=4)
    prior = options.effective_prior
    best = hull[np.array([np.argmin(prior * hull.p_miss + (1 - prior) * hull.p_false_alarm)])]
    axes.plot(*_det_points(best), "x", color=colour, markersize=5)


def _det_points(points: Roc) -> tuple[np.ndarray, np.ndarray]:
    """False alarm and miss rates as places on the axes."""
    return _probit(points.p_false_alarm), _probit(points.p_miss)


def _probit(rates: np.ndarray) -> np.ndarray:
    """Normal deviates of rates."""
    inverse = NormalDist().inv_cdf
    return np.array([inverse(p) for p in np.clip(rates, 1e-5, 1 - 1e-5).tolist()])


@matplotlib.rc_context(PAGE_STYLE)
def histogram_figure(scores: SortedScores, threshold: float, options: MetricOptions) -> Figure:
    """Histograms of the LLRs of both classes, with the thresholds of EER and Bayes."""
    figure, axes = _page_figure(LLR_LABEL, "share of the class (%)")
    finite = [values[np.isfinite(values)] for values in scores]
    both = np.concatenate(finite)
    bins: Any = np.linspace(both.min(), both.max(), 41) if len(both) else 10
    for values, of_class, name, colour in zip(finite, scores, CLASSES, COLOURS):
        weights = np.full(len(values), 100 / len(of_class))
        label = f"{name} ({len(of_class)})"
        axes.hist(values, bins, weights=weights, color=colour, alpha=0.55, label=label)
    for where, name, line in (
        (threshold, "threshold of the EER", "--"),
        (options.bayes_threshold, "Bayes' threshold", ":"),
    ):
        if math.isfinite(where):
            label = f"{name}, {where:.2f}"
            axes.axvline(where, color=INK, linestyle=line, linewidth=1.2, label=label)
    axes.legend(fontsize=8)
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def tippett_figure(scores: SortedScores) -> Figure:
    """Share of the trials of each class whose LLR is above a value."""
    figure, axes = _page_figure(LLR_LABEL, "trials above it (%)")
    for values, label, colour in zip(scores, CLASSES, COLOURS):
        x = np.quantile(values, np.linspace(0, 1, min(len(values), 500)), method="inverted_cdf")
        above = 100 * (1 - np.searchsorted(values, x, side="right") / len(values))
        axes.plot(x, above, drawstyle="steps-post", color=colour, label=label)
    axes.axvline(0, color=GRID, linewidth=0.8)
    axes.legend(fontsize=8)
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def bayes_error_figure(scores: SortedScores) -> Figure:
    """Normalised Bayes error over the prior log odds of genuine speech.

    Of the LLRs as they are, of the best calibrated ones (PAV), and without LLRs.
    """
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
    """EER over the order of differentiation, one line for each feature.

    Parameters
    ----------
    features
        By name: order, EER, and the bounds of its interval, within 0..1.
    """
    figure, axes = _page_figure("order of spatial differentiation", "EER (%)")
    for i, ((name, rows), colour) in enumerate(zip(features.items(), COLOURS)):
        order, value, low, high = np.array(rows).T * np.array([[1], [100], [100], [100]])
        shift = 0.12 * (i - (len(features) - 1) / 2)  # so that bars do not hide each other
        bars = [value - low, high - value]
        style: Any = {"color": colour, "marker": "o", "markersize": 4, "capsize": 3}
        axes.errorbar(order + shift, value, bars, label=_plain(name), **style)
    axes.set(xticks=sorted({row[0] for rows in features.values() for row in rows}), ylim=(0, None))
    axes.legend(fontsize=8)
    return figure


@matplotlib.rc_context(PAGE_STYLE)
def heat_figure(
    conditions: Sequence[str], systems: Sequence[str], eers: np.ndarray, what: str
) -> Figure:
    """EERs (num_conditions, num_systems), within 0..1, as a coloured table."""
    size = (max(4.0, 2 + 0.55 * len(systems)), 1.6 + 0.3 * len(conditions))
    figure, axes = _page_figure("system", what, size)
    axes.grid(False)
    style: Any = {"cmap": "viridis", "vmin": 0, "vmax": 50}
    shown = axes.imshow(100 * eers, aspect="auto", interpolation="nearest", **style)
    centred: Any = {"ha": "center", "va": "center", "fontsize": 7}
    for (i, j), value in np.ndenumerate(100 * eers):
        axes.text(j, i, f"{value:.0f}", color="white" if value < 30 else "black", **centred)
    names = list(map(_plain, systems))
    axes.set_xticks(range(len(systems)), names, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(conditions)), list(map(_plain, conditions)), fontsize=7)
    bar = figure.colorbar(shown, label="EER (%)")
    bar.outline.set_edgecolor(INK)
    return figure


def _plain(name: str) -> str:
    """A name in which matplotlib finds no mathematics."""
    return name.replace("$", r"\$")


def _page_figure(
    xlabel: str, ylabel: str, size: tuple[float, float] = (4.8, 3.4)
) -> tuple[Figure, Axes]:
    """An empty figure with a grid."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
    axes.grid(True)
    return figure, axes


def page_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an SVG element in the colours of the page.

    Parameters
    ----------
    name
        Begins the ids of its title and description; each figure of a page needs another one.
    title, description
        For readers who cannot see the figure.
    """
    with matplotlib.rc_context(PAGE_STYLE):  # ticks are made only now
        text = image(figure, "svg", hashsalt=name).decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = text.replace(INK, "currentColor").replace(GRID, "var(--grid)")
    head, body = text.split(">", 1)
    used = set(re.findall(r"#([^\")]+)", body))
    # Ids that nothing refers to would be the same in several figures.
    body = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", body)
    head = re.sub(r' (width|height|xmlns(:xlink)?|version)="[^"]*"', "", head)
    width = round(110 * figure.get_size_inches()[0])
    style = f'style="max-width:{width}px" role="img" aria-labelledby="{name}-title {name}-desc"'
    title = f'<title id="{name}-title">{escape(title)}</title>'
    description = f'<desc id="{name}-desc">{escape(description)}</desc>'
    return f"{head} {style}>{title}{description}{body}"


def image(figure: Figure, kind: str, hashsalt: str = "sdtools") -> bytes:
    """The figure as a file, with the same bytes each time.

    Parameters
    ----------
    kind
        `svg` or `png`.
    hashsalt
        Makes the ids inside an SVG differ from those of other figures.
    """
    settings: Any = {"svg.hashsalt": hashsalt, "svg.fonttype": "none"}
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    out = io.BytesIO()
    with matplotlib.rc_context(settings):
        figure.savefig(out, format=kind, dpi=150, metadata=metadata)
    return out.getvalue()
