"""Bands by triangular weights on a spectrum, and CF and CM of the bands of a frame's cosine transform (Table 1, last row).

Wickramasinghe et al., section 5: "a triangular filter bank with same centre frequencies"; signals go to the frequency domain "by
applying DCT", filtering is "in a frame-wise manner", and "inverse DCT was applied prior to spatial differentiation".
Left open there: the triangles' feet (here the neighbouring centres), the frame (20 ms every 10 ms), its window (rectangular).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from sdtools.envelope import EnvelopeOptions, num_frames
from sdtools.filterbank import FilterBankOptions, band_edges_hz
from sdtools.subbands import NUM_ROWS, SubbandExtractor, _buffers, _centroids, _differentiate_and_rectify, _transform

FRAMES_PER_BLOCK = 256
"""Frames transformed at once: their cosine coefficients bound the memory."""


@dataclass(frozen=True)
class TriangularOptions:
    """Bands, frames and cepstra of the baselines that take triangular bands, TC and the modulation features."""

    num_filters: int = field(default=80, metadata={"help": "number of mel-spaced triangular bands; not determined by the paper"})
    fmin_hz: float = field(default=100.0, metadata={"help": "lower end of the mel scale, itself no centre; not determined by the paper"})
    fmax_hz: float | None = field(default=None, metadata={"help": "upper end, empty for half the sample rate; not determined by the paper"})
    frame_length_ms: float = field(default=20.0, metadata={"help": "frame length; not determined by the paper"})
    frame_shift_ms: float = field(default=10.0, metadata={"help": "frame shift; not determined by the paper"})
    num_ceps: int = field(default=40, metadata={"help": "cosine coefficients over bands that are kept; not determined by the paper"})

    def __post_init__(self):
        if self.num_ceps > self.num_filters:
            raise ValueError(f"TriangularOptions: num_ceps: got {self.num_ceps}, need at most {self.num_filters}, the number of bands")
        FilterBankOptions(self.num_filters, self.fmin_hz, self.fmax_hz)  # these refuse what they cannot be
        EnvelopeOptions(frame_length_ms=self.frame_length_ms, frame_shift_ms=self.frame_shift_ms, num_ceps=self.num_ceps)

    def edges_hz(self, sample_rate_hz: float) -> np.ndarray:
        """Feet and peaks of the triangles, (num_filters + 2,) Hz."""
        return band_edges_hz(FilterBankOptions(self.num_filters, self.fmin_hz, self.fmax_hz), sample_rate_hz)

    def frames(self, sample_rate_hz: float) -> tuple[int, int]:
        """Samples in a frame, and from one frame to the next."""
        length, shift = (round(ms * sample_rate_hz / 1000) for ms in (self.frame_length_ms, self.frame_shift_ms))
        if shift < 1 or length < 2:
            raise ValueError(f"frames: got {length} samples every {shift}, need 2 or more every 1 or more. Raise --frame-shift-ms")
        return length, shift


def count_frames(samples: np.ndarray, length: int, shift: int) -> int:
    """Whole frames in a recording, 1 or more.

    Raises
    ------
    ValueError
        If it is shorter than one frame, or a value is not finite or beyond what float32 can sum.
    """
    if len(samples) < length:
        raise ValueError(f"recording: got {len(samples)} samples, need {length}, one frame. Leave it out")
    peak = max(samples.max(), -samples.min())
    if not peak < 1e30:
        raise ValueError(f"recording: got a peak of {peak:g}, need a finite one; full scale is 1. Repair it or scale it down")
    return num_frames(len(samples), length, shift)


def triangular_weights(edges_hz: np.ndarray, freqs_hz: np.ndarray) -> np.ndarray:
    """Triangles of height 1 at `edges_hz[1:-1]`, 0 from the neighbouring edges on, (num_freqs, N).

    Parameters
    ----------
    edges_hz : (N + 2,) array
        As `filterbank.band_edges_hz` gives them.
    freqs_hz : (num_freqs,) or (num_freqs, N) array
        Where the spectrum is known: for all bands, or for each.

    Raises
    ------
    ValueError
        If a triangle lies between two frequencies.
    """
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    freqs_hz = freqs_hz.reshape(len(freqs_hz), -1)
    weights = np.maximum(0, np.minimum((freqs_hz - low) / (centre - low), (high - freqs_hz) / (high - centre)))
    empty = np.flatnonzero(~weights.any(axis=0))
    if len(empty):
        i = empty[0]
        raise ValueError(
            f"triangular bank: filter {i + 1}: got no line of the spectrum from {low[i]:.1f} to {high[i]:.1f} Hz, need one. "
            "Take fewer filters or longer frames"
        )
    return weights


class TriangularExtractor(SubbandExtractor):
    """`SubbandExtractor` whose bands are triangles on each frame's DCT-II, turned back into signals of the frame's length.

    Raises
    ------
    ValueError
        As `SubbandExtractor`; also if settings that only Eq. 1 has are changed, or a triangle is narrower than the DCT's spacing.

    Notes
    -----
    Cosines of even k are even about the frame's centre, those of odd k are odd: half a frame of either gives all samples. Bands
    and differences are float64; from rectification on all is `SubbandExtractor`, within the frame.
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
        super().__init__(bank_options, envelope_options, sample_rate_hz, orders=orders, features=features)
        if (bank_options.bandwidth_scale, bank_options.normalize_gain) != (FilterBankOptions.bandwidth_scale, False):
            raise ValueError(
                f"triangular bank: got bandwidth_scale {bank_options.bandwidth_scale:g}, normalize_gain {bank_options.normalize_gain}, "
                "need their defaults: triangles have neither. Leave them out"
            )
        k, n = np.arange(self.length), np.arange(len(self.weights))
        self.triangles = triangular_weights(band_edges_hz(bank_options, sample_rate_hz), k * sample_rate_hz / (2 * self.length)).T.copy()
        inside = self.triangles != 0
        self.spans = np.stack([inside.argmax(axis=1), self.length - inside[:, ::-1].argmax(axis=1)], axis=1)
        self.cosines = np.sqrt(2 / self.length) * np.cos(np.pi / self.length * np.outer(k, n + 0.5))
        self.cosines[0] /= np.sqrt(2)

    def centroids(self, samples: np.ndarray, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
        """CF and CM before logarithm and cosine transform, each (num_orders, num_frames, num_filters) float32."""
        import scipy.fft

        count_frames(samples, self.length, self.shift)  # refuses NaN, which compiled loops need not pass on
        shape = (len(self.orders), num_frames, len(self.triangles))
        cf, cm = np.empty(shape, np.float32), np.empty(shape, np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.length)[:: self.shift]
        for start in range(0, num_frames, FRAMES_PER_BLOCK):
            block = slice(start, start + FRAMES_PER_BLOCK)
            _extract(
                scipy.fft.dct(frames[block], norm="ortho"),
                self.triangles,
                self.spans,
                self.cosines,
                self.orders,
                self.weights,
                self.bases,
                (self.bins * (self.freqs_hz[-1] / self.bins.max())).astype(np.float32),
                np.float32(self.freqs_hz.mean()),
                np.float32(self.freqs_hz.sum()),
                np.float32(self.options.magnitude_floor),
                cf[:, block],
                cm[:, block],
            )
        return cf, cm


@njit(cache=True, nogil=True)
def _extract(dct, triangles, spans, cosines, orders, weights, bases, freqs_hz, mean_hz, sum_hz, floor, cf, cm):
    """Eq. 6 and 7 of frames, one at a time: its rectified bands of every order stay in the cache."""
    num_orders, num_frames, num_bands = cf.shape
    length = dct.shape[1]
    num_rows = (length + NUM_ROWS - 1) // NUM_ROWS * NUM_ROWS
    width = (num_bands + orders.max() + 7) // 8 * 8  # whole cache lines
    bands = np.zeros((num_bands, num_rows))
    outputs = np.zeros((NUM_ROWS + 2, width))
    levels = np.zeros((2, NUM_ROWS * width))
    magnitudes = np.zeros((num_orders, num_rows, width), np.float32)
    flat = magnitudes.reshape(num_orders, num_rows * width)
    folded, spectra = _buffers(bases, num_bands)
    for frame in range(num_frames):
        _synthesize(dct[frame], triangles, spans, cosines, bands)
        for first in range(0, num_rows, NUM_ROWS):
            for i in range(width):
                band = bands[min(i, num_bands - 1)]
                for t in range(NUM_ROWS):
                    outputs[t + 2, i] = band[first + t]
            _differentiate_and_rectify(outputs, levels, orders, num_bands, flat, first * width)
        for index in range(num_orders):
            _transform(magnitudes[index], 0, length, weights, bases, folded, spectra)
            _centroids(spectra, freqs_hz, mean_hz, sum_hz, floor, cf[index, frame], cm[index, frame])


@njit(cache=True, nogil=True)
def _synthesize(dct, triangles, spans, cosines, bands):
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
