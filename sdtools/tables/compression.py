"""Kaldi's compressed matrices, values to codes and back; codes and values are Kaldi's to the last bit.

``CM2`` and ``CM3`` hold 16 and 8 bits a value, equal steps of one extent. ``CM`` holds 8 bits a value, which are steps on three straight
lines between the minimum, the quartiles and the maximum of its column; these four are 16-bit steps of one extent.
"""

import numpy as np

METHODS = {  # by Kaldi's number, 1 being 2 or 3: tag, and start and extent where they do not come from the values
    2: (b"CM ", None),
    3: (b"CM2", None),
    4: (b"CM2", (-32768.0, 65535.0)),
    5: (b"CM3", None),
    6: (b"CM3", (0.0, 255.0)),
    7: (b"CM3", (0.0, 1.0)),
}
MAX_AUTO_ROWS = 8  # up to which method 1 takes 16 bits
NUM_CORNERS = 4
FIRST_CODES = np.array([0, 64, 192])  # of the three lines of a column
NUM_STEPS = np.array([64, 128, 63])
LINES = np.repeat(
    [0, 1, 2], NUM_STEPS + np.array([1, 0, 0])
)  # of every code, and its place on the line
STEPS = (np.arange(256) - FIRST_CODES[LINES]).astype(np.float32)
SHARES = 1.0 / NUM_STEPS[LINES]
BLOCK = 1 << 16  # values expanded at once
U1, U2 = np.dtype("u1"), np.dtype("<u2")


def layout(tag, num_rows, num_cols):
    """Types and shapes of the arrays that hold a matrix."""
    if tag == b"CM ":
        return [(U2, (num_cols, NUM_CORNERS)), (U1, (num_cols, num_rows))]
    return [(U2 if tag == b"CM2" else U1, (num_rows, num_cols))]


def expand(start, extent, arrays):
    """Return the matrix, float32, that arrays as in ``layout`` hold."""
    if len(arrays) == 1:
        (steps,) = arrays
        return np.float32(start) + steps * np.float32(
            float(extent) * (1.0 / np.iinfo(steps.dtype).max)
        )
    percentiles, codes = arrays
    num_cols, num_rows = codes.shape
    matrix = np.empty((num_rows, num_cols), np.float32)
    size = max(1, BLOCK // num_rows)
    for first in range(0, num_cols, size):
        corners = _corners(percentiles[first : first + size], start, extent)
        for row in range(0, num_rows, BLOCK):
            block = codes[first : first + size, row : row + BLOCK]
            lines = LINES[block]
            rise = np.take_along_axis(np.diff(corners), lines, axis=1) * STEPS[block]
            matrix[row : row + BLOCK, first : first + size] = (
                np.take_along_axis(corners, lines, axis=1) + rise * SHARES[block]
            ).T
    return matrix


def compress(matrix, method):
    """Return tag, start and extent of the values, and the arrays of ``layout``.

    Parameters
    ----------
    matrix : ndarray, shape (num_rows, num_cols), float32
        Finite, not empty. What lies outside of the extent of methods 4, 6 and 7 is set to its nearest end.
    method : int
        Kaldi's number, 1 to 7.
    """
    if method == 1:
        method = 2 if len(matrix) > MAX_AUTO_ROWS else 3
    tag, bounds = METHODS[method]
    if bounds is None:
        least, greatest = matrix.flat[matrix.argmin()], matrix.max()  # of 0 and -0, the first
        if least == greatest:
            greatest = np.float32(float(least) + (1.0 + abs(float(least))))
        bounds = least, greatest - least
    start, extent = map(np.float32, bounds)
    if tag != b"CM ":
        return tag, start, extent, [_steps(matrix, start, extent, layout(tag, 1, 1)[0][0])]
    percentiles = _percentiles(matrix, start, extent)
    return tag, start, extent, [percentiles, _codes(matrix.T, _corners(percentiles, start, extent))]


def _steps(values, start, extent, dtype):
    """Numbers of the steps nearest to values."""
    share = np.clip((values - start) / extent, np.float32(0), np.float32(1))
    return ((share * np.float32(np.iinfo(dtype).max)).astype(np.float64) + 0.499).astype(dtype)


def _percentiles(matrix, start, extent):
    """Steps of minimum, quartiles and maximum of every column, each at least one above the one before."""
    num_rows = len(matrix)
    ranks = (
        [0, num_rows // 4, 3 * (num_rows // 4), num_rows - 1]
        if num_rows > NUM_CORNERS
        else range(num_rows)
    )
    steps = _steps(np.sort(matrix, axis=0)[ranks], start, extent, U2)
    percentiles = np.zeros((matrix.shape[1], NUM_CORNERS), U2)
    percentiles[:, : len(ranks)] = steps.T
    least, caps = 0, (65532, 65533, 65534, 65535)
    for corner, cap in zip(percentiles.T, caps):
        corner[:] = np.clip(corner, least, cap)
        least = corner + U2.type(1)
    return percentiles


def _corners(percentiles, start, extent):
    """Values of percentiles, float32."""
    return np.float32(start) + np.float32(extent) * np.float32(1 / 65535) * percentiles


def _codes(columns, corners):
    """Codes of the values nearest to those of the columns."""
    lines = (columns >= corners[:, 1:2]).astype(np.intp) + (columns >= corners[:, 2:3])
    lower, upper = (np.take_along_axis(corners, lines + i, axis=1) for i in (0, 1))
    with np.errstate(all="ignore"):  # corners may meet: then any code stands for the value
        share = (columns - lower) / (upper - lower)
        steps = ((share * NUM_STEPS[lines].astype(np.float32)).astype(np.float64) + 0.5).astype(
            np.int64
        )
    return (FIRST_CODES[lines] + np.clip(steps, 0, NUM_STEPS[lines])).astype(U1)
