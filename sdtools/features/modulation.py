"""Cepstra of modulation centroid frequency, of modulation static energy and of short-term energy (baseline B3).

Reconstructed from one sentence of Wickramasinghe et al., section 5: three systems "based on features extracted from the modulation
spectrum", namely "modulation centroid frequency cosine coefficients (MCF-CC), modulation static energy cosine coefficients (MSE-CC)
and short-term cepstral coefficients (STCC)". Taken for granted here: the modulation spectrum is that of a band's amplitude from
frame to frame, its centroid is Eq. 6 without 0 Hz, its static energy is that at 0 Hz, and cosine coefficients are a DCT over bands.
Bands, frames, the long window and its edges, and the number of coefficients are not in the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sdtools.features.envelope import (
    EnvelopeOptions,
    centroid_frequency,
    magnitude_cepstrum,
    window,
)
from sdtools.features.samples import check_choice, check_samples, count_frames
from sdtools.features.triangular import TriangularOptions, triangular_weights

FEATURES = ("mcf", "mse", "stcc")
FRAMES_PER_BLOCK = 64
"""Frames and long windows transformed at once: they bound the memory."""


@dataclass(frozen=True)
class ModulationOptions:
    """Settings of the modulation spectrum."""

    modulation_window_ms: float = field(
        default=500.0,
        metadata={
            "help": "long window of the modulation spectrum, one around each frame; not determined by the paper"
        },
    )


class ModulationExtractor:
    """Static features of one recording: "mcf", "mse", "stcc", each (num_frames, num_ceps).

    Parameters
    ----------
    bands, options
        Settings of bands and frames, and of the modulation spectrum.
    sample_rate_hz
        Rate of the recordings.
    features
        Of "mcf", "mse", "stcc".

    Raises
    ------
    ValueError
        If settings and sample rate do not fit.

    Notes
    -----
    a_i[t], the amplitude of band i in frame t, is the root of the triangle-weighted power spectrum of the Hamming-windowed frame. The
    long window is a periodic Hann window, so a modulation at one of its frequencies has lines there and at both neighbours only and
    its centroid is exact, and the mean is taken off first, so that none of it leaks into the lowest frequencies
    (`test_modulation.py::test_centroid_of_amplitude_modulation`). Beyond the ends of a recording a_i is mirrored: there is
    one value of each feature for each frame, however short the recording.
    """

    def __init__(
        self,
        bands: TriangularOptions = TriangularOptions(),
        options: ModulationOptions = ModulationOptions(),
        *,
        sample_rate_hz: int,
        features: Sequence[str] = FEATURES,
    ):
        self.num_ceps, self.output_names = bands.num_ceps, check_choice(features, FEATURES)
        self.length, self.shift = bands.frames(sample_rate_hz)
        edges_hz = bands.edges_hz(sample_rate_hz)
        self.fft_size = 2 ** int(
            np.ceil(np.log2(max(self.length, sample_rate_hz / np.diff(edges_hz).min())))
        )
        self.weights = triangular_weights(
            edges_hz, np.fft.rfftfreq(self.fft_size, 1 / sample_rate_hz)
        )
        frame_rate_hz = sample_rate_hz / self.shift
        size = round(options.modulation_window_ms * frame_rate_hz / 1000)
        if size < 4:
            raise ValueError(
                f"modulation: modulation_window_ms: got {options.modulation_window_ms}, need at least {4 * bands.frame_shift_ms}, "
                "four frame shifts. Raise --modulation-window-ms"
            )
        self.freqs_hz = np.arange(1, size // 2 + 1) * frame_rate_hz / size
        self.window = (1 - np.cos(2 * np.pi / size * np.arange(size))) / size
        phase = 2 * np.pi / size * np.outer(np.arange(size), np.arange(1, size // 2 + 1))
        basis = self.window[:, None] * np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
        self.basis = basis - np.outer(self.window, basis.sum(axis=0))  # of a mean: 0

    def __call__(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Features of one recording.

        Parameters
        ----------
        samples : (num_samples,) array
            Full scale is 1.

        Returns
        -------
        dict
            Name of a feature: (num_frames, num_ceps) float32

        Raises
        ------
        SdError
            As `check_samples`; also if the recording is shorter than one frame.
        """
        import scipy.fft

        amplitudes = self.amplitudes(check_samples(samples))
        num, before = len(amplitudes), len(self.window) // 2
        padded = np.pad(
            amplitudes, [(before, len(self.window) - 1 - before), (0, 0)], mode="symmetric"
        )
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(self.window), axis=0)
        feats = {
            feature: np.empty((num, self.num_ceps), np.float32) for feature in self.output_names
        }
        for start in range(0, num, FRAMES_PER_BLOCK):
            block = slice(start, start + FRAMES_PER_BLOCK)
            if "stcc" in feats:
                feats["stcc"][block] = self.log_energy_cepstrum(amplitudes[block])
            if "mse" in feats:
                feats["mse"][block] = self.log_energy_cepstrum(windows[block] @ self.window)
            if "mcf" in feats:
                feats["mcf"][block] = scipy.fft.dct(self.centroids(windows[block]), norm="ortho")[
                    :, : self.num_ceps
                ]
        return feats

    def amplitudes(self, samples: np.ndarray) -> np.ndarray:
        """a_i[t] >= 0, (num_frames, N)."""
        num = count_frames(len(samples), self.length, self.shift)
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.length)[:: self.shift]
        out = np.empty((num, self.weights.shape[1]))
        for start in range(0, num, FRAMES_PER_BLOCK):
            block = slice(start, start + FRAMES_PER_BLOCK)
            out[block] = np.sqrt(
                np.abs(np.fft.rfft(frames[block] * window(self.length), self.fft_size)) ** 2
                @ self.weights
            )
        return out

    def centroids(self, windows: np.ndarray) -> np.ndarray:
        """MCF of amplitudes in long windows, (num, N, size), in Hz, (num, N); that of a steady band is the mean frequency."""
        parts = (windows.reshape(-1, len(self.basis)) @ self.basis).reshape(
            *windows.shape[:2], 2, -1
        )
        spectrum = np.sqrt((parts**2).sum(axis=2)).swapaxes(1, 2)
        return centroid_frequency(spectrum, self.freqs_hz, EnvelopeOptions.magnitude_floor)

    def log_energy_cepstrum(self, amplitudes: np.ndarray) -> np.ndarray:
        """Cepstrum of ln a^2, (num, num_ceps)."""
        return 2 * magnitude_cepstrum(amplitudes, self.num_ceps, EnvelopeOptions.magnitude_floor)
