"""The fast path from samples to CF and CM, compiled: filter, differentiate and rectify in one pass, a few lines of each spectrum.

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
UNROLL = 8
"""Folded samples that go into a spectrum at once: each line is then read and written that many times less often."""


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
        "cf", "cm", or "cfcm": both side by side.

    Raises
    ------
    ValueError
        If settings and sample rate do not fit, or more cepstra are asked for than there are bands.

    Notes
    -----
    Zero padding between differentiations (section 4.2) is the same as repeating the highest filter output above the bank: its
    differences are the zeros. So one flat run of differences over rows with `max(orders)` repeated bands gives every order.
    The window is symmetric about the frame's centre, so cosine sums may take x(n) + x(L-1-n) and sine sums x(n) - x(L-1-n); if
    four divides L, the same once more about the middle of each half, apart for even and odd bins: a quarter of the products.
    Filtering and differences are float64, because they cancel, and have the bits of `scipy.signal.lfilter` and
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
        if self.features != ("cf",) and envelope_options.num_ceps > num_bands:
            raise ValueError(f"subbands: num_ceps: got {envelope_options.num_ceps}, need at most {num_bands}, the number of bands")
        if max(orders) >= num_bands:
            raise ValueError(f"subbands: orders: got {max(orders)}, need less than {num_bands}, the number of bands. Lower --orders")
        if self.shift < 1 or self.length < 2:
            raise ValueError(f"subbands: frames: got {self.length} samples every {self.shift}, need 2 or more every 1 or more")
        self.filters = np.stack([self.bank.gain, self.bank.denominators[:, 1], self.bank.denominators[:, 2]])
        self.weights = envelope.window(self.length)[: (self.length + 1) // 2].astype(np.float32)
        if self.length % 2:
            self.weights[-1] /= 2  # the middle sample is folded onto itself
        bins = envelope_options.bins(sample_rate_hz)
        if self.length % 4:
            groups, num_rows = [bins], len(self.weights)
        else:
            groups, num_rows = [bins[bins % 2 == 0], bins[bins % 2 == 1]], self.length // 4
        self.bins = np.zeros((len(groups), max(map(len, groups))))  # rows of the smaller group that stay 0 have no spectrum
        self.bases = np.zeros((2 * len(groups), self.bins.shape[1], -(-num_rows // UNROLL) * UNROLL), np.float32)
        for part, group in enumerate(groups):
            phase = 2 * np.pi / self.length * np.outer(group, np.arange(num_rows) - (self.length - 1) / 2)
            self.bins[part, : len(group)] = group
            self.bases[part, : len(group), :num_rows] = np.cos(phase)
            self.bases[part + len(groups), : len(group), :num_rows] = np.sin(phase)

    def __call__(self, samples: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
        """Static features of one recording.

        Parameters
        ----------
        samples : (num_samples,) array
            Full scale is 1.

        Returns
        -------
        dict
            (feature, order) -> float32: (num_frames, num_filters) CF in Hz, (num_frames, num_ceps) cepstra of ln CM, or both.

        Raises
        ------
        ValueError
            If the recording is shorter than one frame, or so loud that float32 overflows.
        """
        num_frames = envelope.num_frames(len(samples), self.length, self.shift)
        if num_frames == 0:
            raise ValueError(f"subbands: recording: got {len(samples)} samples, need {self.length}, one frame. Leave it out")
        cf, cm = self.centroids(samples, num_frames)
        if not (np.isfinite(cf).all() and np.isfinite(cm).all()):
            peak = np.abs(samples).max()
            raise ValueError(f"subbands: features: got overflow from a peak of {peak:g}, need full scale to be 1. Scale the samples down")
        out = {}
        for index, order in enumerate(self.orders.tolist()):
            feats = {"cf": cf[index]}
            if self.features != ("cf",):
                ceps = envelope.magnitude_cepstrum(cm[index], self.options.num_ceps, self.options.magnitude_floor)
                feats["cm"] = ceps.astype(np.float32)
                feats["cfcm"] = np.concatenate([feats["cf"], feats["cm"]], axis=1)
            out |= {(feature, order): feats[feature] for feature in self.features}
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
            self.weights,
            self.bases,
            (self.bins * (self.freqs_hz[-1] / self.bins.max())).astype(np.float32),
            np.float32(self.freqs_hz.mean()),
            np.float32(self.freqs_hz.sum()),
            self.length,
            self.shift,
            np.float32(self.options.magnitude_floor),
            cf,
            cm,
        )
        return cf, cm


@njit(cache=True, nogil=True)
def _extract(padded, filters, orders, weights, bases, freqs_hz, mean_hz, sum_hz, length, shift, floor, cf, cm):
    """Walk over the recording: filter the samples that the next frames need into a ring of rows, then take their spectra."""
    num_orders, num_frames, num_bands = cf.shape
    width = (num_bands + orders.max() + 7) // 8 * 8  # whole cache lines
    num_rows = (length // NUM_ROWS + 2) * NUM_ROWS
    ring = np.zeros((num_orders, num_rows, width), np.float32)
    flat = ring.reshape(num_orders, num_rows * width)
    outputs = np.zeros((NUM_ROWS + 2, width))
    levels = np.zeros((2, NUM_ROWS * width))
    folded, spectra = _buffers(bases, num_bands)
    filled = 0
    for frame in range(num_frames):
        while filled < frame * shift + length:
            _filter(padded[filled : filled + NUM_ROWS + 2], filters, outputs)
            _differentiate_and_rectify(outputs, levels, orders, num_bands, flat, filled % num_rows * width)
            filled += NUM_ROWS
        for index in range(num_orders):
            _transform(ring[index], frame * shift, length, weights, bases, folded, spectra)
            _centroids(spectra, freqs_hz, mean_hz, sum_hz, floor, cf[index, frame], cm[index, frame])


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
    """Eq. 2 over rows laid end to end, two orders at a step where it can; |.| of each asked order into the ring at `position`."""
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
def _buffers(bases, num_bands):
    """Space for the folded samples of a frame, whose rows beyond the fold stay 0, and for its spectra."""
    num_parts, num_freqs, num_folded = bases.shape
    return np.zeros((num_parts, num_folded, num_bands), np.float32), np.empty((num_parts, num_freqs, num_bands), np.float32)


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _transform(ring, first, length, weights, bases, folded, spectra):
    """Cosine and sine sums of a frame of rectified bands: bases @ folded for each part, which is too small for BLAS to be fast."""
    if len(bases) == 4:
        _fold_twice(ring, first, length, weights, folded)
    else:
        _fold(ring, first, length, weights, folded)
    num_bands = folded.shape[2]
    spectra[:] = 0
    for part in range(len(bases)):
        for n in range(0, folded.shape[1], UNROLL):
            rows = folded[part, n : n + UNROLL]
            x0, x1, x2, x3, x4, x5, x6, x7 = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6], rows[7]
            for k in range(bases.shape[1]):
                c, out = bases[part, k, n : n + UNROLL], spectra[part, k]
                c0, c1, c2, c3, c4, c5, c6, c7 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
                for i in range(num_bands):
                    out[i] += (c0 * x0[i] + c1 * x1[i] + c2 * x2[i] + c3 * x3[i]) + (c4 * x4[i] + c5 * x5[i] + c6 * x6[i] + c7 * x7[i])


@njit(cache=True, nogil=True)
def _fold(ring, first, length, weights, folded):
    """Weighted sums and differences of rectified samples that lie symmetrically about the frame's centre."""
    for n in range(len(weights)):
        left, right = ring[(first + n) % len(ring)], ring[(first + length - 1 - n) % len(ring)]
        even, odd = folded[0, n], folded[1, n]
        for i in range(len(even)):
            even[i] = weights[n] * (left[i] + right[i])
            odd[i] = weights[n] * (left[i] - right[i])


@njit(cache=True, nogil=True)
def _fold_twice(ring, first, length, weights, folded):
    """`_fold`, and again about the middle of the halves: even and odd bins for cosines, even and odd bins for sines."""
    for n in range(length // 4):
        mirror = length // 2 - 1 - n
        outer, inner = weights[n], weights[mirror]
        a, d = ring[(first + n) % len(ring)], ring[(first + length - 1 - n) % len(ring)]
        b, c = ring[(first + mirror) % len(ring)], ring[(first + length - 1 - mirror) % len(ring)]
        even_cosine, odd_cosine, even_sine, odd_sine = folded[0, n], folded[1, n], folded[2, n], folded[3, n]
        for i in range(len(even_cosine)):
            outer_sum, inner_sum = outer * (a[i] + d[i]), inner * (b[i] + c[i])
            outer_difference, inner_difference = outer * (a[i] - d[i]), inner * (b[i] - c[i])
            even_cosine[i], odd_cosine[i] = outer_sum + inner_sum, outer_sum - inner_sum
            even_sine[i], odd_sine[i] = outer_difference - inner_difference, outer_difference + inner_difference


@njit(cache=True, nogil=True, fastmath=True)
def _centroids(spectra, freqs_hz, mean_hz, sum_hz, floor, cf, cm):
    """Eq. 6 and 7 from the spectra of a frame."""
    num_bands = len(cf)
    total, moment = np.zeros(num_bands, np.float32), np.zeros(num_bands, np.float32)
    for part in range(freqs_hz.shape[0]):
        for k in range(freqs_hz.shape[1]):
            real, imaginary, freq_hz = spectra[part, k], spectra[part + freqs_hz.shape[0], k], freqs_hz[part, k]
            for i in range(num_bands):
                magnitude = np.sqrt(real[i] * real[i] + imaginary[i] * imaginary[i])
                total[i] += magnitude
                moment[i] += freq_hz * magnitude
    for i in range(num_bands):
        cf[i] = moment[i] / total[i] if total[i] > floor else mean_hz
        cm[i] = moment[i] / sum_hz
