"""Centroid frequency CF (Eq. 6) and centroid magnitude CM (Eq. 7) of sub-band envelopes.

These functions follow the equations step by step. `subbands` computes the same with compiled loops.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np

from sdtools.errors import SdError
from sdtools.features.samples import check_natural, check_positive, num_frames


@dataclass(frozen=True)
class EnvelopeOptions:
    """Settings of framing and of the envelope spectrum.

    Examples
    --------
    >>> options = EnvelopeOptions(max_freq_hz=200.0)
    >>> options.frame_length(16000), options.frame_shift(16000), options.freqs_hz(16000).tolist()
    (320, 160, [0.0, 50.0, 100.0, 150.0, 200.0])
    """

    frame_length_ms: float = field(
        default=20.0, metadata={"help": "frame length; the DFT has as many points"}
    )
    frame_shift_ms: float = field(default=10.0, metadata={"help": "frame shift"})
    min_freq_hz: float = field(
        default=0.0, metadata={"help": "lowest envelope frequency f_l; not determined by the paper"}
    )
    max_freq_hz: float = field(default=950.0, metadata={"help": "highest envelope frequency f_u"})
    num_ceps: int = field(default=40, metadata={"help": "cosine coefficients of ln CM to keep"})
    magnitude_floor: float = field(
        default=1e-10,
        metadata={
            "help": "digital silence: lowest CM, where full scale is 1; not determined by the paper"
        },
    )

    def __post_init__(self) -> None:
        check_positive(self, "frame_length_ms", "frame_shift_ms", "magnitude_floor")
        check_natural(self, "num_ceps")
        if not 0 <= self.min_freq_hz <= self.max_freq_hz or self.max_freq_hz == 0:
            got = f"{self.min_freq_hz} and {self.max_freq_hz}"
            need = "0 <= lowest <= highest, and highest above 0"
            raise SdError("--min-freq-hz, --max-freq-hz", got=got, need=need)

    def frame_length(self, sample_rate_hz: float) -> int:
        """Samples in a frame."""
        return round(self.frame_length_ms * sample_rate_hz / 1000)

    def frame_shift(self, sample_rate_hz: float) -> int:
        """Samples from one frame to the next."""
        return round(self.frame_shift_ms * sample_rate_hz / 1000)

    def bins(self, sample_rate_hz: float) -> np.ndarray:
        """Indices of the DFT bins from `min_freq_hz` to `max_freq_hz`, both included.

        Raises
        ------
        SdError
            If there is no bin above 0 Hz, or `max_freq_hz` is above half the sample rate.
        """
        if self.max_freq_hz > sample_rate_hz / 2:
            need = f"at most {sample_rate_hz / 2}, half the sample rate"
            raise SdError("--max-freq-hz", got=self.max_freq_hz, need=need)
        length = self.frame_length(sample_rate_hz)
        spacing_hz = sample_rate_hz / length
        bins = np.arange(length // 2 + 1)
        inside = (bins * spacing_hz >= self.min_freq_hz - 1e-6) & (
            bins * spacing_hz <= self.max_freq_hz + 1e-6
        )
        if not bins[inside].any():
            got = f"{self.min_freq_hz} to {self.max_freq_hz} Hz"
            need = f"a range with a multiple of {spacing_hz:g} Hz above 0"
            raise SdError("--min-freq-hz, --max-freq-hz", got=got, need=need)
        return bins[inside]

    def freqs_hz(self, sample_rate_hz: float) -> np.ndarray:
        """Frequencies of `bins`, Hz: 0, 50, ..., 950 at 16 kHz."""
        return self.bins(sample_rate_hz) * (sample_rate_hz / self.frame_length(sample_rate_hz))


def window(frame_length: int) -> np.ndarray:
    """Symmetric Hamming window, (frame_length,)."""
    return 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(frame_length) / (frame_length - 1))


def spectrum(bands: np.ndarray, options: EnvelopeOptions, sample_rate_hz: float) -> np.ndarray:
    """Magnitude spectrum |W[f]| of the full-wave rectified bands, frame by frame.

    Parameters
    ----------
    bands : (num_samples, N) array
        Sub-band signals after differentiation.

    Returns
    -------
    (num_frames, num_freqs, N) float64
    """
    length, shift = options.frame_length(sample_rate_hz), options.frame_shift(sample_rate_hz)
    bins = options.bins(sample_rate_hz)
    if num_frames(len(bands), length, shift) == 0:
        return np.zeros((0, len(bins), bands.shape[1]))
    frames = np.lib.stride_tricks.sliding_window_view(np.abs(bands), length, axis=0)[::shift]
    spectra = np.fft.rfft(frames * window(length))  # (num_frames, N, length / 2 + 1)
    return np.abs(spectra[..., bins]).swapaxes(1, 2)


def centroid_frequency(magnitudes: np.ndarray, freqs_hz: np.ndarray, floor: float) -> np.ndarray:
    """CF = sum f |W| / sum |W|, Hz (Eq. 6).

    Parameters
    ----------
    magnitudes : (num_frames, num_freqs, N) array
        |W[f]| >= 0.
    freqs_hz : (num_freqs,) array
    floor : float
        A frame is digital silence if sum |W| is at most this.

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
    """CM = sum f |W| / sum f, (num_frames, N), in the unit of |W| (Eq. 7)."""
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
    SdError
        If there are fewer bands than coefficients.
    """
    check_num_ceps(num_ceps, cm.shape[1])
    return np.log(np.maximum(cm, floor)) @ _cosine_basis(cm.shape[1], num_ceps)


def check_num_ceps(num_ceps: int, num_bands: int) -> None:
    """Refuse more cosine coefficients than bands."""
    if num_ceps > num_bands:
        need = f"at most {num_bands}, the number of bands"
        raise SdError("--num-ceps", got=num_ceps, need=need)


@functools.cache
def _cosine_basis(num_bands: int, num_ceps: int) -> np.ndarray:
    """Orthonormal DCT-II as a matrix, (num_bands, num_ceps)."""
    n, k = np.arange(num_bands)[:, None] + 0.5, np.arange(num_ceps)
    basis = np.sqrt(2 / num_bands) * np.cos(np.pi * k * n / num_bands)
    basis[:, 0] /= np.sqrt(2)
    return basis
