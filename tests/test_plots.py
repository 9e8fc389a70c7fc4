"""Figures: what is drawn, without colours; those of the documentation are what its script draws."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sdtools import plots
from sdtools.filterbank import FilterBankOptions, band_shapes, design

ROOT = Path(__file__).parent.parent


def test_curves_are_normalised_responses_with_the_widths_of_the_table():
    bank = design(FilterBankOptions(), 16000)
    (axes,) = plots.response_figure(bank, [55], [0, 3, 6]).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("frequency (Hz)", "magnitude relative to the peak (dB)")
    assert axes.get_title() == "Filter 55, centre 3344 Hz, bandwidth 1430 Hz, by order of differentiation"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["order 0", "order 3", "order 6"]
    for order in (0, 3, 6):
        (curve,) = [line for line in axes.lines if line.get_gid() == f"order-{order}"]
        freqs_hz, levels_db = curve.get_data()
        assert levels_db.max() == 0
        for drop_db, width_hz in ((3, band_shapes(bank, order).width_3db_hz[54]), (20, band_shapes(bank, order).width_20db_hz[54])):
            assert np.ptp(freqs_hz[levels_db >= -drop_db]) == pytest.approx(width_hz, abs=1)


def test_orders_differ_by_line_and_nothing_is_coloured():
    figure = plots.response_figure(design(FilterBankOptions(num_filters=9), 16000), range(1, 10), range(7))
    lines = [line for line in figure.axes[0].lines if line.get_gid()]
    assert len(lines) == 9 * 7 and len({str(line._unscaled_dash_pattern) for line in lines}) == 7
    assert {line.get_color() for line in lines} == {"black"}
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [f"order {k}" for k in range(7)]


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
    stored, made = (curves((folder / name).read_text()) for folder in (ROOT / "docs" / "figures", made_figures))
    assert stored.keys() == made.keys() == {"order-0", "order-3", "order-6"}
    for order in made:
        np.testing.assert_allclose(stored[order], made[order], atol=2)
        assert np.ptp(made[order]) > 150
    assert f"figures/{name}" in (ROOT / "docs" / "differentiation.md").read_text()


@pytest.fixture(scope="module")
def made_figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run([ROOT / "docs" / "make_figures.sh", folder], env={**os.environ, "PATH": path}, check=True, capture_output=True)
    return folder
