"""The compiled loops of `subbands`: Eq. 1, 2, 6 and 7 in one pass over the samples."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.core import event

NUM_ROWS = 16
"""Samples filtered at once, a multiple of 4. Their sub-bands stay in the first-level cache."""

UNROLL = 8
"""Folded samples added to a spectrum at once: each line is read and written less often."""


class Transform(NamedTuple):
    """From rectified bands to CF and CM."""

    weights: np.ndarray  # (ceil(length / 2),) first half of the window
    bases: np.ndarray  # (num_parts, num_freqs, num_folded) cosines, then sines, of each fold
    freqs_hz: np.ndarray  # (num_parts / 2, num_freqs)
    mean_hz: np.float32
    sum_hz: np.float32
    floor: np.float32  # sum |W| of digital silence is at most this


class Block(NamedTuple):
    """Frames to compute, and the samples that they need."""

    padded: np.ndarray  # two samples of the past, then new ones
    filled: int  # samples that went through the filters before
    start: int  # first frame
    shift: int
    length: int


# Only the two functions that Python calls are cached, and each has one signature. If a cached
# function has several, processes that start at once may store one under the name of another.
@njit(cache=True, nogil=True)
def extract(
    block: Block,
    filters: np.ndarray,
    orders: np.ndarray,
    transform: Transform,
    outputs: np.ndarray,
    ring: np.ndarray,
    cf: np.ndarray,
    cm: np.ndarray,
) -> None:
    """CF and CM of a block of frames.

    Filters the samples that each frame needs into a ring of rows, then takes their spectra.
    """
    num_orders, num_rows, width = ring.shape
    num_frames, num_bands = cf.shape[1:]
    flat = ring.reshape(num_orders, num_rows * width)
    levels = np.zeros((2, NUM_ROWS * width))
    folded, spectra = _buffers(transform.bases, num_bands)
    position = 0
    for frame in range(num_frames):
        first = (block.start + frame) * block.shift
        while block.filled + position < first + block.length:
            _filter(block.padded[position : position + NUM_ROWS + 2], filters, outputs)
            place = (block.filled + position) % num_rows * width
            _differentiate_and_rectify(outputs, levels, orders, num_bands, flat, place)
            position += NUM_ROWS
        for index in range(num_orders):
            _transform(ring[index], first, block.length, transform, folded, spectra)
            _centroids(spectra, transform, cf[index, frame], cm[index, frame])


@njit(cache=True, nogil=True)
def extract_triangular(
    dct: np.ndarray,
    triangles: np.ndarray,
    spans: np.ndarray,
    cosines: np.ndarray,
    orders: np.ndarray,
    transform: Transform,
    cf: np.ndarray,
    cm: np.ndarray,
) -> None:
    """CF and CM of frames, one at a time: its rectified bands stay in the cache."""
    num_orders, num_frames, num_bands = cf.shape
    length = dct.shape[1]
    num_rows = (length + NUM_ROWS - 1) // NUM_ROWS * NUM_ROWS
    width = (num_bands + orders.max() + 7) // 8 * 8  # whole cache lines
    bands = np.zeros((num_bands, num_rows))
    outputs = np.zeros((NUM_ROWS + 2, width))
    levels = np.zeros((2, NUM_ROWS * width))
    magnitudes = np.zeros((num_orders, num_rows, width), np.float32)
    flat = magnitudes.reshape(num_orders, num_rows * width)
    folded, spectra = _buffers(transform.bases, num_bands)
    for frame in range(num_frames):
        _synthesize(dct[frame], triangles, spans, cosines, bands)
        for first in range(0, num_rows, NUM_ROWS):
            for i in range(width):
                band = bands[min(i, num_bands - 1)]
                for t in range(NUM_ROWS):
                    outputs[t + 2, i] = band[first + t]
            _differentiate_and_rectify(outputs, levels, orders, num_bands, flat, first * width)
        for index in range(num_orders):
            _transform(magnitudes[index], 0, length, transform, folded, spectra)
            _centroids(spectra, transform, cf[index, frame], cm[index, frame])


class _Announcer(event.Listener):
    """Logs that a loop is being compiled; a loop from numba's cache is not."""

    def on_start(self, event: Any) -> None:
        if event.data["dispatcher"] in (extract, extract_triangular):
            logging.getLogger("sdtools").warning(
                "compiling the sub-band features for this processor; this happens once and may "
                "take a minute"
            )

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Announcer())


@njit(nogil=True)
def _filter(samples: np.ndarray, filters: np.ndarray, outputs: np.ndarray) -> None:
    """NUM_ROWS more samples through every filter of Eq. 1.

    The first two rows of `outputs` are the memory of the filters.
    """
    gain, a1, a2 = filters[0], filters[1], filters[2]
    num_bands, width = filters.shape[1], outputs.shape[1]
    outputs[0], outputs[1] = outputs[NUM_ROWS], outputs[NUM_ROWS + 1]
    for t in range(0, NUM_ROWS, 4):  # four at a time, so that a band's memory stays in registers
        x0, x1, x2 = samples[t], samples[t + 1], samples[t + 2]
        x3, x4, x5 = samples[t + 3], samples[t + 4], samples[t + 5]
        before, last = outputs[t], outputs[t + 1]
        out0, out1, out2, out3 = outputs[t + 2], outputs[t + 3], outputs[t + 4], outputs[t + 5]
        for i in range(num_bands):  # in the order of scipy's lfilter, which gives the same bits
            g = gain[i]
            y0 = (-g * x0 - a2[i] * before[i]) - a1[i] * last[i] + g * x2
            y1 = (-g * x1 - a2[i] * last[i]) - a1[i] * y0 + g * x3
            y2 = (-g * x2 - a2[i] * y0) - a1[i] * y1 + g * x4
            y3 = (-g * x3 - a2[i] * y1) - a1[i] * y2 + g * x5
            out0[i], out1[i], out2[i], out3[i] = y0, y1, y2, y3
    for t in range(2, NUM_ROWS + 2):
        for i in range(num_bands, width):
            outputs[t, i] = outputs[t, num_bands - 1]


@njit(nogil=True)
def _synthesize(
    dct: np.ndarray,
    triangles: np.ndarray,
    spans: np.ndarray,
    cosines: np.ndarray,
    bands: np.ndarray,
) -> None:
    """Inverse DCT of every band of a frame."""
    length, half = len(dct), cosines.shape[1]
    parts = np.empty((2, half))
    for i in range(len(bands)):
        parts[:] = 0
        for k in range(spans[i, 0], spans[i, 1]):
            part, factor, cosine = parts[k % 2], triangles[i, k] * dct[k], cosines[k]
            for n in range(half):
                part[n] += factor * cosine[n]
        for n in range(half):
            bands[i, n] = parts[0, n] + parts[1, n]
            bands[i, length - 1 - n] = parts[0, n] - parts[1, n]


@njit(nogil=True)
def _differentiate_and_rectify(
    outputs: np.ndarray,
    levels: np.ndarray,
    orders: np.ndarray,
    num_bands: int,
    ring: np.ndarray,
    position: int,
) -> None:
    """Eq. 2 over rows laid end to end, then |.| of each order into the ring at `position`.

    Takes two orders at a step where possible.
    """
    width = outputs.shape[1]
    source = outputs[2:].reshape(NUM_ROWS * width)
    order, num_steps = 0, 0
    for index in range(len(orders)):
        while order < orders[index]:
            target = levels[num_steps % 2]
            num_steps += 1
            if order + 2 <= orders[index]:
                for i in range(len(source) - 2):
                    target[i] = (source[i + 2] - source[i + 1]) - (source[i + 1] - source[i])
                order += 2
            else:
                for i in range(len(source) - 1):
                    target[i] = source[i + 1] - source[i]
                order += 1
            source = target
        magnitudes = ring[index][position : position + len(source)]
        for i in range(len(source)):
            magnitudes[i] = abs(source[i])
        if order > 0:
            for i in range(num_bands - 1, len(source), width):
                magnitudes[i] = magnitudes[i - 1]


@njit(nogil=True)
def _buffers(bases: np.ndarray, num_bands: int) -> tuple[np.ndarray, np.ndarray]:
    """Space for the folded samples of a frame, with rows of zeros beyond the fold, and spectra."""
    num_parts, num_freqs, num_folded = bases.shape
    folded = np.zeros((num_parts, num_folded, num_bands), np.float32)
    return folded, np.empty((num_parts, num_freqs, num_bands), np.float32)


@njit(nogil=True, fastmath={"contract", "nsz"})
def _transform(
    ring: np.ndarray,
    first: int,
    length: int,
    transform: Transform,
    folded: np.ndarray,
    spectra: np.ndarray,
) -> None:
    """Cosine and sine sums of a frame of rectified bands: bases @ folded for each part.

    The product is too small for BLAS to be fast.
    """
    bases = transform.bases
    if len(bases) == 4:
        _fold_twice(ring, first, length, transform.weights, folded)
    else:
        _fold(ring, first, length, transform.weights, folded)
    num_bands = folded.shape[2]
    spectra[:] = 0
    for part in range(len(bases)):
        for n in range(0, folded.shape[1], UNROLL):
            x = folded[part, n : n + UNROLL]
            x0, x1, x2, x3, x4, x5, x6, x7 = x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
            for k in range(bases.shape[1]):
                c, out = bases[part, k, n : n + UNROLL], spectra[part, k]
                c0, c1, c2, c3, c4, c5, c6, c7 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
                for i in range(num_bands):
                    out[i] += (c0 * x0[i] + c1 * x1[i] + c2 * x2[i] + c3 * x3[i]) + (
                        c4 * x4[i] + c5 * x5[i] + c6 * x6[i] + c7 * x7[i]
                    )


@njit(nogil=True)
def _fold(
    ring: np.ndarray, first: int, length: int, weights: np.ndarray, folded: np.ndarray
) -> None:
    """Weighted sums and differences of samples that lie symmetrically about the frame's centre."""
    for n in range(len(weights)):
        left, right = ring[(first + n) % len(ring)], ring[(first + length - 1 - n) % len(ring)]
        even, odd = folded[0, n], folded[1, n]
        for i in range(len(even)):
            even[i] = weights[n] * (left[i] + right[i])
            odd[i] = weights[n] * (left[i] - right[i])


@njit(nogil=True)
def _fold_twice(
    ring: np.ndarray, first: int, length: int, weights: np.ndarray, folded: np.ndarray
) -> None:
    """`_fold`, then the same about the middle of the halves.

    Gives even and odd bins for cosines, then even and odd bins for sines.
    """
    for n in range(length // 4):
        mirror = length // 2 - 1 - n
        outer, inner = weights[n], weights[mirror]
        a, d = ring[(first + n) % len(ring)], ring[(first + length - 1 - n) % len(ring)]
        b, c = ring[(first + mirror) % len(ring)], ring[(first + length - 1 - mirror) % len(ring)]
        even_cosine, odd_cosine, even_sine, odd_sine = (
            folded[0, n],
            folded[1, n],
            folded[2, n],
            folded[3, n],
        )
        for i in range(len(even_cosine)):
            outer_sum, inner_sum = outer * (a[i] + d[i]), inner * (b[i] + c[i])
            outer_difference, inner_difference = outer * (a[i] - d[i]), inner * (b[i] - c[i])
            even_cosine[i], odd_cosine[i] = outer_sum + inner_sum, outer_sum - inner_sum
            even_sine[i] = outer_difference - inner_difference
            odd_sine[i] = outer_difference + inner_difference


@njit(nogil=True, fastmath=True)
def _centroids(spectra: np.ndarray, transform: Transform, cf: np.ndarray, cm: np.ndarray) -> None:
    """Eq. 6 and 7 from the spectra of a frame."""
    num_bands, freqs_hz = len(cf), transform.freqs_hz
    total, moment = np.zeros(num_bands, np.float32), np.zeros(num_bands, np.float32)
    for part in range(freqs_hz.shape[0]):
        for k in range(freqs_hz.shape[1]):
            real, imaginary = spectra[part, k], spectra[part + freqs_hz.shape[0], k]
            freq_hz = freqs_hz[part, k]
            for i in range(num_bands):
                magnitude = np.sqrt(real[i] * real[i] + imaginary[i] * imaginary[i])
                total[i] += magnitude
                moment[i] += freq_hz * magnitude
    for i in range(num_bands):
        cf[i] = moment[i] / total[i] if total[i] > transform.floor else transform.mean_hz
        cm[i] = moment[i] / transform.sum_hz
