"""Kaldi's compressed matrices: values to codes and back, equal to Kaldi's to the last bit.

kaldiio reads and writes the header and knows the methods. The arithmetic is done here, because
kaldiio's differs from Kaldi's: values outside of the extent wrap around, last bits differ in both
directions, and matrices of fewer than four rows get other corners.

`CM2` and `CM3` hold 16 and 8 bits per value: equal steps of one extent. `CM` holds 8 bits per
value: steps on three straight lines between the minimum, the quartiles and the maximum of its
column; these four corners are 16-bit steps of one extent.
"""

from __future__ import annotations

import numpy as np
from kaldiio.compression_header import (
    GlobalHeader,
    kOneByteUnsignedInteger,
    kOneByteZeroOne,
    kTwoByteSignedInteger,
)
from kaldiio.matio import read_token

from sdtools.tables.input import Input

FIXED_EXTENT = (kTwoByteSignedInteger, kOneByteUnsignedInteger, kOneByteZeroOne)
NUM_CORNERS = 4
FIRST_CODES = np.array([0, 64, 192])  # of the three lines of a column
NUM_STEPS = np.array([64, 128, 63])
LINES = np.repeat([0, 1, 2], NUM_STEPS + np.array([1, 0, 0]))  # the line of every code
STEPS = (np.arange(256) - FIRST_CODES[LINES]).astype(np.float32)  # its place on the line
SHARES = 1.0 / NUM_STEPS[LINES]
BLOCK = 1 << 16  # values expanded at once
U1, U2 = np.dtype("u1"), np.dtype("<u2")


def layout(header: GlobalHeader) -> list[tuple[np.dtype, tuple[int, int]]]:
    """Types and shapes of the arrays behind a header."""
    if header.type == "CM":
        return [(U2, (header.cols, NUM_CORNERS)), (U1, (header.cols, header.rows))]
    return [(U2 if header.type == "CM2" else U1, (header.rows, header.cols))]


def read_codes(source: Input) -> tuple[GlobalHeader, list[np.ndarray]]:
    r"""Return the header and the arrays of a compressed matrix, from its `\0B` on."""
    source.read(2)
    header = GlobalHeader.read(source, read_token(source))
    codes = []
    for dtype, shape in layout(header):
        data = source.read(dtype.itemsize * shape[0] * shape[1])
        codes.append(np.frombuffer(data, dtype).reshape(shape))
    return header, codes


def expand(header: GlobalHeader, codes: list[np.ndarray]) -> np.ndarray:
    """Return the matrix, float32, of a header and the arrays of `layout`.

    kaldiio rounds in other places, and takes 29 times the memory of the codes of `CM`.
    """
    if len(codes) == 1:
        step = np.float32(float(header.range) * (1.0 / header.c))
        return np.float32(header.min_value) + codes[0] * step
    percentiles, codes_by_col = codes
    matrix = np.empty((header.rows, header.cols), np.float32)
    size = max(1, BLOCK // header.rows)
    for first in range(0, header.cols, size):
        corners = _corners(percentiles[first : first + size], header)
        for row in range(0, header.rows, BLOCK):
            block = codes_by_col[first : first + size, row : row + BLOCK]
            lines = LINES[block]
            rise = np.take_along_axis(np.diff(corners), lines, axis=1) * STEPS[block]
            values = np.take_along_axis(corners, lines, axis=1) + rise * SHARES[block]
            matrix[row : row + BLOCK, first : first + size] = values.T
    return matrix


def compress(matrix: np.ndarray, method: int) -> tuple[GlobalHeader, list[np.ndarray]]:
    """Return the header of a matrix and the arrays of `layout`.

    Parameters
    ----------
    matrix
        Shape (num_rows, num_cols), float32, finite, not empty. Values outside of the extent of
        methods 4, 6 and 7 become its nearest end.
    method
        Kaldi's number, 1 to 7.
    """
    header = GlobalHeader.compute(matrix, method)
    if method not in FIXED_EXTENT:
        least = matrix.flat[matrix.argmin()]  # of 0 and -0 the first; kaldiio takes any
        if header.min_value == matrix.max():  # kaldiio rounds the greatest value twice
            header.range = np.float32(float(least) + (1.0 + abs(float(least)))) - least
        header.min_value = least
    if header.type != "CM":
        return header, [_steps(matrix, header, layout(header)[0][0])]
    percentiles = _percentiles(matrix, header)
    return header, [percentiles, _codes(matrix.T, _corners(percentiles, header))]


def _steps(values: np.ndarray, header: GlobalHeader, dtype: np.dtype) -> np.ndarray:
    """Numbers of the steps nearest to values.

    kaldiio lets values outside of the extent wrap around, and adds 0.499 in single precision.
    """
    shares = (values - np.float32(header.min_value)) / np.float32(header.range)
    shares = np.clip(shares, np.float32(0), np.float32(1))
    return ((shares * np.float32(header.c)).astype(np.float64) + 0.499).astype(dtype)


def _percentiles(matrix: np.ndarray, header: GlobalHeader) -> np.ndarray:
    """Steps of minimum, quartiles and maximum of every column, rising by at least one.

    kaldiio writes them by way of their values, which changes steps where the extent is small.
    """
    num_rows = len(matrix)
    ranks = [0, num_rows // 4, 3 * (num_rows // 4), num_rows - 1]
    if num_rows <= NUM_CORNERS:
        ranks = list(range(num_rows))
    steps = _steps(np.sort(matrix, axis=0)[ranks], header, U2)
    percentiles = np.zeros((matrix.shape[1], NUM_CORNERS), U2)
    percentiles[:, : len(ranks)] = steps.T
    least, caps = 0, (65532, 65533, 65534, 65535)
    for corner, cap in zip(percentiles.T, caps):
        corner[:] = np.clip(corner, least, cap)
        least = corner + U2.type(1)
    return percentiles


def _corners(percentiles: np.ndarray, header: GlobalHeader) -> np.ndarray:
    """Values of percentiles, float32."""
    step = np.float32(header.range) * np.float32(1 / 65535)
    return np.float32(header.min_value) + step * percentiles


def _codes(columns: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Codes of the values nearest to those of the columns."""
    lines = (columns >= corners[:, 1:2]).astype(np.intp) + (columns >= corners[:, 2:3])
    lower, upper = (np.take_along_axis(corners, lines + i, axis=1) for i in (0, 1))
    with np.errstate(all="ignore"):  # corners may meet: then any code stands for the value
        shares = (columns - lower) / (upper - lower) * NUM_STEPS[lines].astype(np.float32)
        steps = (shares.astype(np.float64) + 0.5).astype(np.int64)
    return (FIRST_CODES[lines] + np.clip(steps, 0, NUM_STEPS[lines])).astype(U1)
