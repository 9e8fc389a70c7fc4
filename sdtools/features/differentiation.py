"""Spatial differentiation: differences of neighbouring bands (Eq. 2)."""

from __future__ import annotations

import numpy as np


def differentiate(bands: np.ndarray, order: int) -> np.ndarray:
    """`order`-fold spatial derivative of sub-band signals, as many bands as given.

    Parameters
    ----------
    bands : (..., N) array
        Band i along the last axis, lowest frequency first.
    order : int
        k >= 0; 0 returns a copy.

    Returns
    -------
    (..., N) float64

    Raises
    ------
    ValueError
        If `order` is negative.

    Notes
    -----
    Eq. 2, y_i <- y_(i+1) - y_i, leaves one band fewer each time. As in the paper's section 4.2 a band of zeros takes its place
    after every differentiation but the last, and after the last the highest band stands twice
    (`test_differentiation.py::test_padding_on_integers`).
    """
    if order < 0:
        raise ValueError(f"differentiate: order: got {order}, need 0 or more")
    out = np.array(bands, dtype=np.float64)
    for step in range(order):
        out[..., :-1] = out[..., 1:] - out[..., :-1]
        out[..., -1] = 0 if step < order - 1 else out[..., -2]
    return out
