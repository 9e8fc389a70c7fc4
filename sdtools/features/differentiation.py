"""Spatial differentiation, Eq. 2: differences of neighbouring bands."""

from __future__ import annotations

import numpy as np

from sdtools.errors import SdError


def differentiate(bands: np.ndarray, order: int) -> np.ndarray:
    """`order`-fold spatial derivative of sub-band signals, with as many bands as before.

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
    SdError
        If `order` is negative.

    Notes
    -----
    Eq. 2, y_i <- y_(i+1) - y_i, leaves one band fewer each time. As in the paper's section 4.2, a
    band of zeros takes its place after every differentiation but the last, and the highest band
    is repeated after the last.

    Examples
    --------
    >>> import numpy as np
    >>> differentiate(np.array([1, 4, 9, 25]), 2).tolist()
    [2.0, 11.0, -16.0, -16.0]
    """
    if order < 0:
        raise SdError("differentiate", "order", got=order, need="0 or more")
    out = np.array(bands, dtype=np.float64)
    for step in range(order):
        out[..., :-1] = out[..., 1:] - out[..., :-1]
        out[..., -1] = 0 if step < order - 1 else out[..., -2]
    return out
