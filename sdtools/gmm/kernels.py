"""The loops of the E step that numpy cannot do in one pass over memory."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

LEAST_SHARE = np.float32(2.0**-24)  # of the greatest posterior; less does not show in a float32 sum
MAX_ACTIVE_SHARE = 1 / 8  # of the posteriors; where more count, the whole product is faster
LOWEST_EXPONENT, ROUNDER = np.float32(-125), np.float32(1.5 * 2**23)
C0, C1, C2, C3, C4, C5 = map(  # minimax in relative error (1e-7) for 2^f, |f| <= 1/2
    np.float32,
    [
        1.0000000716546567,
        0.6931469670638652,
        0.2402211972393365,
        0.0555071327496021,
        0.009675541330697809,
        0.0013276471519985873,
    ],
)


def exponentiate(scores: np.ndarray, peak: np.ndarray, total: np.ndarray) -> None:
    """Replace scores (K, n) by 2^(scores - peak); to be compiled.

    `peak` (n,) gets the maxima of the columns, `total` (n,) the sums of the results.

    Notes
    -----
    2^x = 2^q 2^f: adding 1.5 * 2^23 rounds x to the integer q in the low bits, a polynomial gives
    2^f, and q is added to the exponent bits. x is held above -125, so that no denormal number,
    slow on many processors, ever appears.
    """
    num_rows, num_columns = scores.shape
    for i in range(num_columns):
        peak[i] = scores[0, i]
        total[i] = 0
    for k in range(1, num_rows):
        for i in range(num_columns):
            peak[i] = scores[k, i] if scores[k, i] > peak[i] else peak[i]
    for k in range(num_rows):
        for i in range(num_columns):
            x = scores[k, i] - peak[i]
            x = x if x > LOWEST_EXPONENT else LOWEST_EXPONENT
            rounded = x + ROUNDER
            f = x - (rounded - ROUNDER)
            power = ((((C5 * f + C4) * f + C3) * f + C2) * f + C1) * f + C0
            exponent = np.int32(np.float32(rounded).view(np.int32) << np.int32(23))
            value = np.int32(np.float32(power).view(np.int32) + exponent).view(np.float32)
            scores[k, i] = value
            total[i] += value


def add_active(
    posteriors: np.ndarray, terms: np.ndarray, row: np.ndarray, block: np.ndarray
) -> bool:
    """Add posteriors (K, n) @ terms (n, M) to `block` (K, M); to be compiled.

    Posteriors below `LEAST_SHARE` are left out; `row` (M,) is work space. Does nothing and returns
    False if more than `MAX_ACTIVE_SHARE` of them count.
    """
    num_components, num_frames = posteriors.shape
    num_active = 0
    for k in range(num_components):
        for i in range(num_frames):
            num_active += posteriors[k, i] >= LEAST_SHARE
    if num_active > MAX_ACTIVE_SHARE * posteriors.size:
        return False
    for k in range(num_components):
        row[:] = 0
        for i in range(num_frames):
            if posteriors[k, i] >= LEAST_SHARE:
                for m in range(len(row)):
                    row[m] += posteriors[k, i] * terms[i, m]
        for m in range(len(row)):
            block[k, m] += row[m]
    return True


def add_block(
    block: np.ndarray,
    centre: np.ndarray,
    rounders: np.ndarray,
    occupancy: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
) -> None:
    """Add float32 sums about the centre (K, 2D + 1) to the statistics; to be compiled.

    These are float64 and about 0. What is added is rounded so that their sums are exact.
    """
    num_components, dim = first.shape
    for k in range(num_components):
        count = (block[k, 2 * dim] + rounders[0, 0]) - rounders[0, 0]
        occupancy[k] += count
        for d in range(dim):
            shift = count * centre[d]
            first[k, d] += (block[k, d] + shift + rounders[1, d]) - rounders[1, d]
            second[k, d] += (
                block[k, dim + d] + centre[d] * (2 * block[k, d] + shift) + rounders[2, d]
            ) - rounders[2, d]


SIGNATURES = {
    exponentiate: "void(float32[:, ::1], float32[::1], float32[::1])",
    add_active: "boolean(float32[:, ::1], float32[:, ::1], float32[::1], float32[:, ::1])",
    add_block: "void(float32[:, ::1], float64[::1], float64[:, ::1], "
    "float64[::1], float64[:, ::1], float64[:, ::1])",
}


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first use: importing numba takes longer than printing a command's help."""
    import numba

    fastmath = {"contract", "nsz"}
    return numba.njit(SIGNATURES[function], nogil=True, cache=True, fastmath=fastmath)(function)
