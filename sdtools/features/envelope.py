"""Centroid frequency and centroid magnitude of sub-band envelopes (Eq. 6 and 7)."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class EnvelopeOptions:
    """Settings of framing and of the envelope spectrum."""

    frame_length_ms: float = field(
        default=20.0, metadata={"help": "frame length; the DFT has as many points"}
    )
    frame_shift_ms: float = field(default=10.0, metadata={"help": "frame shift"})
    min_freq_hz: float = field(
        default=0.0, metadata={"help": "lowest envelope frequency f_l; not determined by the paper"}
    )
    max_freq_hz: float = field(default=950.0, metadata={"help": "highest envelope frequency f_u"})
    num_ceps: int = field(
        default=40, metadata={"help": "cosine coefficients of ln CM that are kept"}
    )
    magnitude_floor: float = field(
        default=1e-10,
        metadata={
            "help": "digital silence: smaller CM is raised to this; full scale is 1; not determined by the paper"
        },
    )

    def __post_init__(self):
        if not self.frame_length_ms > 0 or not self.frame_shift_ms > 0:
            raise ValueError(
                f"EnvelopeOptions: frame_length_ms, frame_shift_ms: got {self.frame_length_ms}, {self.frame_shift_ms}, need more than 0"
            )
        if not 0 <= self.min_freq_hz <= self.max_freq_hz or self.max_freq_hz == 0:
            raise ValueError(
                f"EnvelopeOptions: min_freq_hz, max_freq_hz: got {self.min_freq_hz}, {self.max_freq_hz}, need 0 <= min <= max, max > 0"
            )
        if self.num_ceps < 1:
            raise ValueError(f"EnvelopeOptions: num_ceps: got {self.num_ceps}, need 1 or more")
        if not self.magnitude_floor > 0:
            raise ValueError(
                f"EnvelopeOptions: magnitude_floor: got {self.magnitude_floor}, need more than 0"
            )

    def frame_length(self, sample_rate_hz: float) -> int:
        """Samples in a frame."""
        return round(self.frame_length_ms * sample_rate_hz / 1000)

    def frame_shift(self, sample_rate_hz: float) -> int:
        """Samples from one frame to the next."""
        return round(self.frame_shift_ms * sample_rate_hz / 1000)

    def bins(self, sample_rate_hz: float) -> np.ndarray:
        """Indices of the DFT bins from `min_freq_hz` to `max_freq_hz`, ends included."""
        if self.max_freq_hz > sample_rate_hz / 2:
            raise ValueError(
                f"envelope: max_freq_hz: got {self.max_freq_hz}, need at most {sample_rate_hz / 2}. Lower --max-freq-hz"
            )
        length = self.frame_length(sample_rate_hz)
        spacing_hz = sample_rate_hz / length
        bins = np.arange(length // 2 + 1)
        inside = (bins * spacing_hz >= self.min_freq_hz - 1e-6) & (
            bins * spacing_hz <= self.max_freq_hz + 1e-6
        )
        if not bins[inside].any():
            raise ValueError(
                f"envelope: frequencies: got none but 0 Hz between {self.min_freq_hz} and {self.max_freq_hz}, need a bin of spacing "
                f"{spacing_hz:g}. Widen --min-freq-hz, --max-freq-hz"
            )
        return bins[inside]

    def freqs_hz(self, sample_rate_hz: float) -> np.ndarray:
        """Frequencies of `bins`, Hz: 0, 50, ..., 950 at 16 kHz."""
        return self.bins(sample_rate_hz) * (sample_rate_hz / self.frame_length(sample_rate_hz))


def num_frames(num_samples: int, frame_length: int, frame_shift: int) -> int:
    """Whole frames in a signal: nothing is padded, 0 if it is shorter than a frame."""
    return 0 if num_samples < frame_length else 1 + (num_samples - frame_length) // frame_shift


def window(frame_length: int) -> np.ndarray:
    """Symmetric Hamming window, (frame_length,)."""
    return 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(frame_length) / (frame_length - 1))


def spectrum(bands: np.ndarray, options: EnvelopeOptions, sample_rate_hz: float) -> np.ndarray:
    """Magnitude spectrum |W[f]| of the full-wave rectified bands, frame by frame: the plain form of `subbands`.

    Parameters
    ----------
    bands : (num_samples, N) array
        Sub-band signals after differentiation.

    Returns
    -------
    (num_frames, num_freqs, N) float64
    """
    length, shift = options.frame_length(sample_rate_hz), options.frame_shift(sample_rate_hz)
    if len(bands) < length:
        return np.zeros((0, len(options.bins(sample_rate_hz)), bands.shape[1]))
    frames = np.lib.stride_tricks.sliding_window_view(np.abs(bands), length, axis=0)[
        ::shift
    ]  # (num_frames, N, length)
    return np.abs(np.fft.rfft(frames * window(length))[..., options.bins(sample_rate_hz)]).swapaxes(
        1, 2
    )


def centroid_frequency(magnitudes: np.ndarray, freqs_hz: np.ndarray, floor: float) -> np.ndarray:
    """CF = sum f |W| / sum |W|, Hz (Eq. 6).

    Parameters
    ----------
    magnitudes : (num_frames, num_freqs, N) array
        |W[f]| >= 0.
    freqs_hz : (num_freqs,) array
    floor : float
        sum |W| of a frame of digital silence is at most this.

    Returns
    -------
    (num_frames, N) array
        Between the lowest and the highest frequency; the mean of `freqs_hz` in digital silence.
    """
    total = magnitudes.sum(axis=1)
    moment = np.einsum("f,tfn->tn", freqs_hz, magnitudes)
    silent = total <= floor
    return np.where(silent, freqs_hz.mean(), moment / np.where(silent, 1, total))


def centroid_magnitude(magnitudes: np.ndarray, freqs_hz: np.ndarray) -> np.ndarray:
    """CM = sum f |W| / sum f, (num_frames, N), the unit of |W| (Eq. 7)."""
    return np.einsum("f,tfn->tn", freqs_hz, magnitudes) / freqs_hz.sum()


def magnitude_cepstrum(cm: np.ndarray, num_ceps: int, floor: float) -> np.ndarray:
    """First `num_ceps` orthonormal DCT-II coefficients of ln CM over bands.

    Parameters
    ----------
    cm : (num_frames, N) array
        Raised to `floor` first, so that silence is finite.

    Returns
    -------
    (num_frames, num_ceps) array

    Raises
    ------
    ValueError
        If more coefficients are asked for than there are bands.
    """
    num_bands = cm.shape[1]
    if num_ceps > num_bands:
        raise ValueError(
            f"cepstrum: num_ceps: got {num_ceps}, need at most {num_bands}, the number of bands. Lower --num-ceps"
        )
    return np.log(np.maximum(cm, floor)) @ _cosine_basis(num_bands, num_ceps)


@functools.cache
def _cosine_basis(num_bands: int, num_ceps: int) -> np.ndarray:
    """Orthonormal DCT-II as a matrix, (num_bands, num_ceps)."""
    n, k = np.arange(num_bands)[:, None] + 0.5, np.arange(num_ceps)
    basis = np.sqrt(2 / num_bands) * np.cos(np.pi * k * n / num_bands)
    basis[:, 0] /= np.sqrt(2)
    return basis
