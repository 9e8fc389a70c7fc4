"""Figures; the only module that knows matplotlib."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from sdtools.filterbank import FilterBank, difference_response, fine_grid_hz

FLOOR_DB = -60.0
LINES = ("-", "--", ":", "-.", (0, (8, 2)), (0, (1, 3)), (0, (6, 2, 1, 2, 1, 2)))  # told apart without colours


def response_figure(bank: FilterBank, filters: Sequence[int], orders: Sequence[int]) -> Figure:
    """Figure 1 of the paper: magnitude responses over frequency, each relative to its peak, one kind of line an order.

    Parameters
    ----------
    bank : FilterBank
    filters
        Numbers from 1, as the paper counts.
    orders
        Differentiation orders.
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
        for curve in axes.plot(freqs_hz, levels_db, color="black", linestyle=line, linewidth=1.3):
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


def image(figure: Figure, kind: str) -> bytes:
    """The figure as a file of kind `svg` or `png`; the same bytes each time."""
    settings = {"svg.hashsalt": "sdtools", "svg.fonttype": "none"}
    out = io.BytesIO()
    with matplotlib.rc_context(settings):
        figure.savefig(out, format=kind, dpi=150, metadata={"Date": None, "Creator": None} if kind == "svg" else {"Software": None})
    return out.getvalue()
