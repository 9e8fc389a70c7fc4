"""The fast path from samples to CF and CM: filter, differentiate and rectify in one compiled pass, spectra by matrix products.

`filterbank`, `differentiation` and `envelope` say the same plainly; `tests/test_subbands.py` holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from sdtools import envelope
from sdtools.envelope import EnvelopeOptions
from sdtools.filterbank import FilterBankOptions, design

NUM_ROWS = 16
"""Samples filtered at once, a multiple of 4: their sub-bands stay in the first-level cache for all differences."""
FRAMES_PER_BLOCK = 2
"""Frames whose folded sub-bands go through one matrix product: they stay in the second-level cache."""


class SubbandExtractor:
    """Static features of every asked order and kind from one pass over a recording.

    Parameters
    ----------
    bank_options, envelope_options
        Settings of the filter bank (Eq. 1) and of the envelope spectrum (Eq. 6, 7).
    sample_rate_hz
        Rate of the recordings.
    orders
        Differentiation orders k.
    features
        "cf" and "cm".

    Raises
    ------
    ValueError
        If settings and sample rate do not fit, or more cepstra are asked for than there are bands.

    Notes
    -----
    Zero padding between differentiations (section 4.2) is the same as repeating the highest filter output above the bank: its
    differences are the zeros. So one flat run of differences over rows with `max(orders)` repeated bands gives every order.
    A symmetric window about the frame's centre lets cosine sums take x(n) + x(L-1-n) and sine sums x(n) - x(L-1-n): half the
    products. Filtering and differences are float64, because they cancel, and have the bits of `scipy.signal.lfilter` and
    `differentiate`; rectified samples and spectra are float32.
    """

    def __init__(
        self,
        bank_options: FilterBankOptions,
        envelope_options: EnvelopeOptions,
        sample_rate_hz: float,
        *,
        orders: Sequence[int],
        features: Sequence[str] = ("cf", "cm"),
    ):
        self.bank = design(bank_options, sample_rate_hz)
        self.options = envelope_options
        self.orders = np.array(sorted(orders))
        self.features = tuple(features)
        self.length = envelope_options.frame_length(sample_rate_hz)
        self.shift = envelope_options.frame_shift(sample_rate_hz)
        self.freqs_hz = envelope_options.freqs_hz(sample_rate_hz)
        num_bands = bank_options.num_filters
        if "cm" in self.features and envelope_options.num_ceps > num_bands:
            raise ValueError(f"subbands: num_ceps: got {envelope_options.num_ceps}, need at most {num_bands}, the number of bands")
        if self.shift < 1 or self.length < 2:
            raise ValueError(f"subbands: frames: got {self.length} samples every {self.shift}, need 2 or more every 1 or more")
        self.filters = np.stack([self.bank.gain, self.bank.denominators[:, 1], self.bank.denominators[:, 2]])
        half = (self.length + 1) // 2
        phase = np.outer(envelope_options.bins(sample_rate_hz), np.arange(half) - (self.length - 1) / 2) * 2 * np.pi / self.length
        weights = envelope.window(self.length)[:half].copy()
        if self.length % 2:
            weights[-1] /= 2  # the middle sample is folded onto itself
        self.cosines = (np.cos(phase) * weights).astype(np.float32)
        self.sines = (np.sin(phase) * weights).astype(np.float32)

    def __call__(self, samples: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
        """Static features of one recording.

        Parameters
        ----------
        samples : (num_samples,) array
            Full scale is 1.

        Returns
        -------
        dict
            (feature, order) -> (num_frames, num_filters) CF in Hz or (num_frames, num_ceps) cepstra of ln CM, float32.

        Raises
        ------
        ValueError
            If the recording is shorter than one frame.
        """
        num_frames = envelope.num_frames(len(samples), self.length, self.shift)
        if num_frames == 0:
            raise ValueError(f"subbands: recording: got {len(samples)} samples, need {self.length}, one frame. Leave it out")
        cf, cm = self.centroids(samples, num_frames)
        out = {}
        for index, order in enumerate(self.orders.tolist()):
            if "cf" in self.features:
                out["cf", order] = cf[index]
            if "cm" in self.features:
                ceps = envelope.magnitude_cepstrum(cm[index], self.options.num_ceps, self.options.magnitude_floor)
                out["cm", order] = ceps.astype(np.float32)
        return out

    def centroids(self, samples: np.ndarray, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
        """CF and CM before logarithm and cosine transform, each (num_orders, num_frames, num_filters) float32."""
        shape = (len(self.orders), num_frames, self.filters.shape[1])
        cf, cm = np.empty(shape, np.float32), np.empty(shape, np.float32)
        # the filters' memory is two rows; a tail of zeros lets whole rows be filtered
        padded = np.concatenate([np.zeros(2), samples, np.zeros(NUM_ROWS)])
        _extract(
            padded,
            self.filters,
            self.orders,
            self.cosines,
            self.sines,
            self.freqs_hz.astype(np.float32),
            self.length,
            self.shift,
            np.float32(self.options.magnitude_floor),
            cf,
            cm,
        )
        return cf, cm


@njit(cache=True, nogil=True)
def _extract(padded, filters, orders, cosines, sines, freqs_hz, length, shift, floor, cf, cm):
    """Walk over the recording: filter the samples that the next frames need into a ring of rows, then take their spectra."""
    num_orders, num_frames, num_bands = cf.shape
    span = (FRAMES_PER_BLOCK - 1) * shift + length
    width = num_bands + orders.max() + 1
    num_rows = (span // NUM_ROWS + 2) * NUM_ROWS
    ring = np.zeros((num_orders, num_rows * width), np.float32)
    outputs = np.zeros((NUM_ROWS + 2, width))
    levels = np.zeros((2, NUM_ROWS * width))
    even = np.empty((cosines.shape[1], FRAMES_PER_BLOCK * num_bands), np.float32)
    odd = np.empty_like(even)
    real = np.empty((len(freqs_hz), FRAMES_PER_BLOCK * num_bands), np.float32)
    imaginary = np.empty_like(real)
    filled = 0
    for start in range(0, num_frames, FRAMES_PER_BLOCK):
        num = min(FRAMES_PER_BLOCK, num_frames - start)
        while filled < (start + num - 1) * shift + length:
            _filter(padded[filled : filled + NUM_ROWS + 2], filters, outputs)
            _differentiate_and_rectify(outputs, levels, orders, num_bands, ring, filled % num_rows * width)
            filled += NUM_ROWS
        for index in range(num_orders):
            _fold(ring[index].reshape(num_rows, width), num_bands, start * shift, num, shift, length, even, odd)
            np.dot(cosines, even, real)
            np.dot(sines, odd, imaginary)
            _centroids(real, imaginary, freqs_hz, floor, cf[index, start : start + num], cm[index, start : start + num])


@njit(cache=True, nogil=True)
def _filter(samples, filters, outputs):
    """NUM_ROWS more samples through every filter of Eq. 1; the first two rows of `outputs` are its memory."""
    gain, a1, a2 = filters[0], filters[1], filters[2]
    num_bands, width = filters.shape[1], outputs.shape[1]
    outputs[0], outputs[1] = outputs[NUM_ROWS], outputs[NUM_ROWS + 1]
    for t in range(0, NUM_ROWS, 4):  # four at a time, so that a band's memory stays in registers
        x0, x1, x2, x3, x4, x5 = samples[t], samples[t + 1], samples[t + 2], samples[t + 3], samples[t + 4], samples[t + 5]
        before, last = outputs[t], outputs[t + 1]
        out0, out1, out2, out3 = outputs[t + 2], outputs[t + 3], outputs[t + 4], outputs[t + 5]
        for i in range(num_bands):  # the order of scipy's lfilter: the same bits
            g = gain[i]
            y0 = (-g * x0 - a2[i] * before[i]) - a1[i] * last[i] + g * x2
            y1 = (-g * x1 - a2[i] * last[i]) - a1[i] * y0 + g * x3
            y2 = (-g * x2 - a2[i] * y0) - a1[i] * y1 + g * x4
            y3 = (-g * x3 - a2[i] * y1) - a1[i] * y2 + g * x5
            out0[i], out1[i], out2[i], out3[i] = y0, y1, y2, y3
    for t in range(2, NUM_ROWS + 2):
        for i in range(num_bands, width):
            outputs[t, i] = outputs[t, num_bands - 1]


@njit(cache=True, nogil=True)
def _differentiate_and_rectify(outputs, levels, orders, num_bands, ring, position):
    """Eq. 2 over rows laid end to end, two orders at a step; |.| of each asked order into the ring from `position` on."""
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


@njit(cache=True, nogil=True)
def _fold(ring, num_bands, first, num, shift, length, even, odd):
    """Sums and differences of rectified samples that lie symmetrically about each frame's centre."""
    num_rows = len(ring)
    for n in range(even.shape[0]):
        for frame in range(num):
            left = ring[(first + frame * shift + n) % num_rows]
            right = ring[(first + frame * shift + length - 1 - n) % num_rows]
            sums = even[n, frame * num_bands : (frame + 1) * num_bands]
            differences = odd[n, frame * num_bands : (frame + 1) * num_bands]
            for i in range(num_bands):
                sums[i] = left[i] + right[i]
                differences[i] = left[i] - right[i]


@njit(cache=True, nogil=True, fastmath=True)
def _centroids(real, imaginary, freqs_hz, floor, cf, cm):
    """Eq. 6 and 7 from the spectra of some frames that lie side by side."""
    num, num_bands = cf.shape
    total, moment = np.zeros(num * num_bands, np.float32), np.zeros(num * num_bands, np.float32)
    for k in range(len(freqs_hz)):
        a, b, freq_hz = real[k], imaginary[k], freqs_hz[k]
        for j in range(num * num_bands):
            magnitude = np.sqrt(a[j] * a[j] + b[j] * b[j])
            total[j] += magnitude
            moment[j] += freq_hz * magnitude
    for frame in range(num):
        for i in range(num_bands):
            j = frame * num_bands + i
            cf[frame, i] = moment[j] / total[j] if total[j] > floor else freqs_hz.mean()
            cm[frame, i] = moment[j] / freqs_hz.sum()
