"""Figures: what is drawn, without colours; those of the documentation are what its script draws."""

import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from test_metrics import synthetic_set

from sdtools.features.filterbank import FilterBankOptions, band_shapes, design
from sdtools.report import plots
from sdtools.scoring.metrics import MetricOptions, act_dcf, min_dcf, sorted_eer
from sdtools.scoring.roc import convex_hull, sort_scores

ROOT = Path(__file__).parents[3]


def test_curves_are_normalised_responses_with_the_widths_of_the_table():
    bank = design(FilterBankOptions(), 16000)
    (axes,) = plots.response_figure(bank, [55], [0, 3, 6]).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "frequency (Hz)",
        "magnitude relative to the peak (dB)",
    )
    assert (
        axes.get_title()
        == "Filter 55, centre 3344 Hz, bandwidth 1430 Hz, by order of differentiation"
    )
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "order 0",
        "order 3",
        "order 6",
    ]
    for order in (0, 3, 6):
        (curve,) = [line for line in axes.lines if line.get_gid() == f"order-{order}"]
        freqs_hz, levels_db = curve.get_data()
        assert levels_db.max() == 0
        for drop_db, width_hz in (
            (3, band_shapes(bank, order).width_3db_hz[54]),
            (20, band_shapes(bank, order).width_20db_hz[54]),
        ):
            assert np.ptp(freqs_hz[levels_db >= -drop_db]) == pytest.approx(width_hz, abs=1)


def test_orders_differ_by_line_and_nothing_is_coloured():
    figure = plots.response_figure(
        design(FilterBankOptions(num_filters=9), 16000), range(1, 10), range(7)
    )
    lines = [line for line in figure.axes[0].lines if line.get_gid()]
    assert len(lines) == 9 * 7 and len({str(line._unscaled_dash_pattern) for line in lines}) == 7
    assert {line.get_color() for line in lines} == {"black"}
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        f"order {k}" for k in range(7)
    ]


def curves(svg):
    """Height of each curve of an SVG at 400 places inside the axes, in points."""
    places = np.linspace(50, 485, 400)
    heights = {}
    for order, path in re.findall(r'<g id="(order-\d)">\s*<path d="([^"]+)"', svg):
        x, y = np.array(re.findall(r"[-\d.]+", path), float).reshape(-1, 2).T
        heights[order] = np.interp(places, x, np.minimum(y, 268))  # below is outside the axes
    return heights


@pytest.mark.parametrize("scale", ["12", "1"])
def test_figures_of_the_documentation_are_what_the_script_draws(made_figures, scale):
    name = f"filter_55_scale_{scale}.svg"
    stored, made = (
        curves((folder / name).read_text()) for folder in (ROOT / "docs" / "figures", made_figures)
    )
    assert stored.keys() == made.keys() == {"order-0", "order-3", "order-6"}
    for order in made:
        np.testing.assert_allclose(stored[order], made[order], atol=2)
        assert np.ptp(made[order]) > 150
    assert f"figures/{name}" in (ROOT / "docs" / "differentiation.md").read_text()


@pytest.fixture(scope="module")
def made_figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        [ROOT / "docs" / "make_figures.sh", folder],
        env={**os.environ, "PATH": path},
        check=True,
        capture_output=True,
    )
    return folder


# ---- the page of an experiment


@pytest.fixture(scope="module")
def scores():
    columns, is_genuine = synthetic_set()
    return sort_scores(columns[is_genuine, 0], columns[~is_genuine, 0])


def normal_quantile(p):
    return np.array([NormalDist().inv_cdf(x) for x in np.clip(p, 1e-5, 1 - 1e-5)])


def test_det_curve_goes_through_the_error_rates(scores):
    """Each corner is a pair of error rates of a threshold; dot and cross are EER and minDCF."""
    options = MetricOptions()
    (axes,) = plots.det_figure({"one": scores}, options).axes
    assert axes.get_legend().get_texts()[0].get_text() == "one"
    curve, hull, dot, cross = axes.lines[1:]
    x, y = curve.get_data()
    thresholds = [*np.unique(np.concatenate(scores)), np.inf]
    p_miss = np.array([(scores.genuine < t).mean() for t in thresholds])
    p_false_alarm = np.array([(scores.spoof >= t).mean() for t in thresholds])
    corners = set(zip(normal_quantile(p_false_alarm), normal_quantile(p_miss)))
    assert set(zip(x, y)) <= corners and len(x) > 0.7 * len(corners)
    assert NormalDist().cdf(dot.get_xdata()[0]) == pytest.approx(sorted_eer(scores).value, abs=1e-9)
    p = options.effective_prior
    cost = p * NormalDist().cdf(cross.get_ydata()[0]) + (1 - p) * NormalDist().cdf(
        cross.get_xdata()[0]
    )
    assert cost / min(p, 1 - p) == pytest.approx(min_dcf(convex_hull(scores), options), abs=1e-4)
    assert len(hull.get_xdata()) == len(convex_hull(scores).thresholds)


def test_histogram_counts_all_trials(scores):
    (axes,) = plots.histogram_figure(scores, sorted_eer(scores).threshold, MetricOptions()).axes
    for bars in axes.containers:
        assert sum(bar.get_height() for bar in bars) == pytest.approx(100)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert {"genuine (200)", "replayed (300)", "Bayes' threshold, -0.64"} <= set(labels)


def test_tippett_curves_are_shares_above(scores):
    (axes,) = plots.tippett_figure(scores).axes
    for curve, values in zip(axes.lines, scores):
        x, y = curve.get_data()
        np.testing.assert_allclose(y, [100 * (values > v).mean() for v in x], atol=1e-9)


def test_bayes_error_at_even_odds_and_its_least(scores):
    (axes,) = plots.bayes_error_figure(scores).axes
    even = MetricOptions(p_spoof=0.5, c_miss=1, c_fa=1)
    actual, least = (line.get_ydata() for line in axes.lines[:2])
    middle = len(actual) // 2
    assert (actual[middle], least[middle]) == pytest.approx(
        (act_dcf(scores, even), min_dcf(convex_hull(scores), even))
    )
    assert (actual >= least - 1e-12).all() and (least <= 1).all()


def test_errors_by_order_have_their_bars():
    rows = {
        "cf": [(0, 0.2, 0.1, 0.4), (2, 0.1, 0.05, 0.2)],
        "cm": [(0, 0.3, 0.2, 0.35), (2, 0.1, 0.1, 0.1)],
    }
    (axes,) = plots.order_figure(rows).axes
    for container, points in zip(axes.containers, rows.values()):
        curve, _, (bars,) = container
        np.testing.assert_allclose(curve.get_ydata(), [100 * point[1] for point in points])
        np.testing.assert_allclose(
            [segment[:, 1] for segment in bars.get_segments()],
            [[100 * p[2], 100 * p[3]] for p in points],
        )
    assert list(axes.get_xticks()) == [0, 2] and axes.get_ylim()[0] == 0
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["cf", "cm"]


def test_heat_map_shows_every_figure():
    eers = np.array([[0.1, 0.25, 0.5], [0.02, 0, 0.3]])
    axes, bar = plots.heat_figure(["E1", "E2"], ["a", "b", "c"], eers, "env").axes
    assert [text.get_text() for text in axes.texts] == ["10", "25", "50", "2", "0", "30"]
    np.testing.assert_array_equal(axes.images[0].get_array(), 100 * eers)
    assert (axes.get_ylabel(), bar.get_ylabel()) == ("env", "EER (%)")


def test_plots_bring_no_black_or_white_of_their_own(scores):
    """They would vanish on a dark page, or glare; a heat map has them on its own colours."""
    options = MetricOptions()
    figures = [
        plots.det_figure({"one": scores}, options),
        plots.histogram_figure(scores, 0.5, options),
        plots.tippett_figure(scores),
        plots.bayes_error_figure(scores),
        plots.order_figure({"cf": [(0, 0.2, 0.1, 0.4), (2, 0.1, 0.05, 0.2)]}),
    ]
    for figure in figures:
        svg = plots.page_svg(figure, "x", "title", "description")
        assert not re.search("#000000|#ffffff|#cccccc|white|black", svg)
        texts = re.findall(r"<text[^>]*>", svg)
        assert texts and all("fill: currentColor" in text for text in texts)


def test_an_element_of_a_page_has_its_colours_and_words(scores):
    svg = plots.page_svg(plots.tippett_figure(scores), "t", "A <title>", "What & why")
    assert svg.startswith("<svg") and svg.rstrip().endswith("</svg>") and "<?xml" not in svg
    assert "currentColor" in svg and "var(--grid)" in svg and plots.INK not in svg
    assert (
        '<title id="t-title">A &lt;title&gt;</title><desc id="t-desc">What &amp; why</desc>' in svg
    )
    assert svg == plots.page_svg(plots.tippett_figure(scores), "t", "A <title>", "What & why")
