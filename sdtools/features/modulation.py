"""Modulation centroid frequency, static energy and short-term energy (baseline B3).

Reconstructed from one sentence of Wickramasinghe et al., section 5: three systems "based on
features extracted from the modulation spectrum", namely "modulation centroid frequency cosine
coefficients (MCF-CC), modulation static energy cosine coefficients (MSE-CC) and short-term cepstral
coefficients (STCC)". Assumptions here: the modulation spectrum is the spectrum of a band's
amplitude from frame to frame, its centroid is Eq. 6 without 0 Hz, its static energy is that at
0 Hz, and cosine coefficients are a DCT over bands. The paper does not give the bands, frames, the
long window and its edges, and the number of coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sdtools.errors import SdError
from sdtools.features.envelope import (
    EnvelopeOptions,
    centroid_frequency,
    magnitude_cepstrum,
    window,
)
from sdtools.features.samples import check_features, check_samples, count_frames
from sdtools.features.silence import FrameGrid
from sdtools.features.triangular import TriangularOptions, triangular_weights

FEATURES = ("mcf", "mse", "stcc")

FRAMES_PER_BLOCK = 64
"""Frames and long windows transformed at once: this bounds the memory."""


@dataclass(frozen=True)
class ModulationOptions:
    """Settings of the modulation spectrum.

    Examples
    --------
    >>> ModulationOptions()
    ModulationOptions(modulation_window_ms=500.0)
    """

    modulation_window_ms: float = field(
        default=500.0,
        metadata={
            "help": "long window of the modulation spectrum, one around each frame; "
            "not determined by the paper"
        },
    )


class ModulationExtractor:
    """Cepstra of modulation centroid frequency, modulation static energy and short-term energy.

    Parameters
    ----------
    bands, options
        Settings of bands and frames, and of the modulation spectrum.
    sample_rate_hz
        Sample rate of the recordings.
    features
        One or more of "mcf", "mse" and "stcc".

    Attributes
    ----------
    output_names
        The features.

    Raises
    ------
    SdError
        If settings and sample rate do not fit.

    Notes
    -----
    a_i[t], the amplitude of band i in frame t, is the root of the triangle-weighted power spectrum
    of the Hamming-windowed frame. The long window is a periodic Hann window, and the mean is
    removed first. So a modulation at one of its frequencies appears there and at both neighbours
    only, and its centroid is exact. Beyond the ends of a recording a_i is mirrored: each frame has
    a value of each feature, also in short recordings.

    Examples
    --------
    >>> import numpy as np
    >>> modulation = ModulationExtractor(sample_rate_hz=16000, features=("mcf", "mse"))
    >>> feats = modulation(0.1 * np.sin(np.arange(8000)))
    >>> {name: matrix.shape for name, matrix in feats.items()}
    {'mcf': (49, 40), 'mse': (49, 40)}
    """

    def __init__(
        self,
        bands: TriangularOptions = TriangularOptions(),
        options: ModulationOptions = ModulationOptions(),
        *,
        sample_rate_hz: int,
        features: Sequence[str] = FEATURES,
    ):
        self.output_names = check_features(features, FEATURES)
        self.num_ceps = bands.num_ceps
        self.length, self.shift = bands.frames(sample_rate_hz)
        self.grid = FrameGrid(self.length, self.shift)
        edges_hz = bands.edges_hz(sample_rate_hz)
        min_size = max(self.length, sample_rate_hz / np.diff(edges_hz).min())
        self.fft_size = 2 ** int(np.ceil(np.log2(min_size)))
        lines_hz = np.fft.rfftfreq(self.fft_size, 1 / sample_rate_hz)
        self.weights = triangular_weights(edges_hz, lines_hz)
        frame_rate_hz = sample_rate_hz / self.shift
        size = round(options.modulation_window_ms * frame_rate_hz / 1000)
        if size < 4:
            got = options.modulation_window_ms
            need = f"at least {4 * bands.frame_shift_ms}, four frame shifts"
            raise SdError("--modulation-window-ms", got=got, need=need)
        self.freqs_hz = np.arange(1, size // 2 + 1) * frame_rate_hz / size
        self.window = (1 - np.cos(2 * np.pi / size * np.arange(size))) / size
        phase = 2 * np.pi / size * np.outer(np.arange(size), np.arange(1, size // 2 + 1))
        basis = self.window[:, None] * np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
        self.basis = basis - np.outer(self.window, basis.sum(axis=0))  # removes the mean

    def __call__(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Static features of one recording.

        Parameters
        ----------
        samples : (num_samples,) array
            Full scale is 1; one frame or more.

        Returns
        -------
        dict
            Output name: (num_frames, num_ceps) float32

        Raises
        ------
        SdError
            As `check_samples`; also if the recording is shorter than one frame.
        """
        import scipy.fft

        amplitudes = self.amplitudes(check_samples(samples))
        num, before = len(amplitudes), len(self.window) // 2
        margins = [(before, len(self.window) - 1 - before), (0, 0)]
        padded = np.pad(amplitudes, margins, mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(self.window), axis=0)
        feats = {name: np.empty((num, self.num_ceps), np.float32) for name in self.output_names}
        for start in range(0, num, FRAMES_PER_BLOCK):
            block = slice(start, start + FRAMES_PER_BLOCK)
            if "stcc" in feats:
                feats["stcc"][block] = self.log_energy_cepstrum(amplitudes[block])
            if "mse" in feats:
                feats["mse"][block] = self.log_energy_cepstrum(windows[block] @ self.window)
            if "mcf" in feats:
                ceps = scipy.fft.dct(self.centroids(windows[block]), norm="ortho")
                feats["mcf"][block] = ceps[:, : self.num_ceps]
        return feats

    def amplitudes(self, samples: np.ndarray) -> np.ndarray:
        """a_i[t] >= 0, (num_frames, N)."""
        num = count_frames(len(samples), self.length, self.shift)
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.length)[:: self.shift]
        out = np.empty((num, self.weights.shape[1]))
        for start in range(0, num, FRAMES_PER_BLOCK):
            block = slice(start, start + FRAMES_PER_BLOCK)
            spectra = np.fft.rfft(frames[block] * window(self.length), self.fft_size)
            out[block] = np.sqrt(np.abs(spectra) ** 2 @ self.weights)
        return out

    def centroids(self, windows: np.ndarray) -> np.ndarray:
        """MCF of amplitudes in long windows, (num, N, size) -> (num, N) Hz.

        A band of constant amplitude has the mean frequency.
        """
        parts = windows.reshape(-1, len(self.basis)) @ self.basis
        parts = parts.reshape(*windows.shape[:2], 2, -1)
        spectrum = np.sqrt((parts**2).sum(axis=2)).swapaxes(1, 2)
        return centroid_frequency(spectrum, self.freqs_hz, EnvelopeOptions.magnitude_floor)

    def log_energy_cepstrum(self, amplitudes: np.ndarray) -> np.ndarray:
        """Cepstrum of ln a^2, (num, num_ceps)."""
        return 2 * magnitude_cepstrum(amplitudes, self.num_ceps, EnvelopeOptions.magnitude_floor)
