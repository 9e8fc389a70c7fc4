"""Linear frequency cepstral coefficients, the simplest baseline of the ASVspoof challenges.

A frame's power spectrum is weighted by triangles that are equally wide in Hz; the coefficients are
the DCT of the logarithms of their energies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.fft import dct

from sdtools.errors import SdError
from sdtools.features.samples import check_samples
from sdtools.features.silence import FrameGrid

ENERGY_OFFSET = 2.2e-16  # of the public baselines: the logarithm of silence stays finite
FRAMES_PER_BLOCK = 4096


@dataclass(frozen=True)
class LfccOptions:
    """Settings of `LfccExtractor`; the defaults are those of the ASVspoof 2019 baseline."""

    frame_length_ms: float = field(
        default=20.0, metadata={"help": "length of a frame; frames begin every half of it"}
    )
    fft_length: int = field(default=512, metadata={"help": "points of the Fourier transform"})
    num_filters: int = field(default=20, metadata={"help": "triangular filters"})
    num_ceps: int = field(default=20, metadata={"help": "cepstral coefficients, the 0th included"})
    fmin_hz: float = field(default=0.0, metadata={"help": "lower end of the lowest filter"})
    fmax_hz: float | None = field(
        default=None, metadata={"help": "upper end of the highest filter; default: half the rate"}
    )

    def __post_init__(self) -> None:
        if not 0 < self.frame_length_ms <= 1000:
            raise SdError("--frame-length-ms", got=self.frame_length_ms, need="0 to 1000 ms")
        if not 1 <= self.num_ceps <= self.num_filters <= self.fft_length // 2:
            got = f"{self.num_ceps}, {self.num_filters}, {self.fft_length}"
            need = "1 <= coefficients <= filters <= half the points"
            raise SdError("--num-ceps, --num-filters, --fft-length", got=got, need=need)


class LfccExtractor:
    """LFCC of a recording, without deltas.

    Parameters
    ----------
    options
        Settings.
    sample_rate_hz
        Samples per second.

    Raises
    ------
    SdError
        If a frame is longer than the Fourier transform, or the band is not within half the rate.

    Notes
    -----
    The last frame is filled up with zeros. Energies are in base-10 logarithms, the DCT-II is
    orthonormal, as in the baselines of ASVspoof 2019 and 2021; their deltas cover one frame to
    each side (`--delta-window=1`), and features are not normalised.

    Examples
    --------
    >>> import numpy as np
    >>> extractor = LfccExtractor(sample_rate_hz=16000)
    >>> feats = extractor(0.1 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000))["lfcc"]
    >>> feats.shape
    (99, 20)
    """

    output_names = ("lfcc",)

    def __init__(self, options: LfccOptions = LfccOptions(), *, sample_rate_hz: int):
        self.num_ceps, self.fft_length = options.num_ceps, options.fft_length
        self.frame_length = round(options.frame_length_ms * sample_rate_hz / 1000)
        self.frame_shift = self.frame_length // 2
        fmax_hz = sample_rate_hz / 2 if options.fmax_hz is None else options.fmax_hz
        if not 2 <= self.frame_length <= options.fft_length:
            got = f"a frame of {self.frame_length} samples"
            raise SdError("--fft-length", got=got, need=f"2 to {options.fft_length} samples")
        if not 0 <= options.fmin_hz < fmax_hz <= sample_rate_hz / 2:
            got = f"{options.fmin_hz:g} to {fmax_hz:g} Hz"
            need = f"a band within 0 to {sample_rate_hz / 2:g} Hz"
            raise SdError("--fmin-hz, --fmax-hz", got=got, need=need)
        edges_hz = np.linspace(options.fmin_hz, fmax_hz, options.num_filters + 2)
        bins_hz = np.arange(options.fft_length // 2 + 1) * sample_rate_hz / options.fft_length
        rising = (bins_hz - edges_hz[:-2, None]) / np.diff(edges_hz)[:-1, None]
        falling = (edges_hz[2:, None] - bins_hz) / np.diff(edges_hz)[1:, None]
        self.weights = np.maximum(0, np.minimum(rising, falling))  # (num_filters, num_bins)
        self.window = np.hamming(self.frame_length)
        self.grid = FrameGrid(self.frame_length, self.frame_shift)

    def __call__(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Features (num_frames, num_ceps) float32 of samples (num_samples,) within -1..1.

        Raises
        ------
        SdError
            As `check_samples`.
        """
        samples = check_samples(samples)
        excess = max(0, len(samples) - self.frame_length)
        num_frames = 1 + math.ceil(excess / self.frame_shift)
        padded = np.zeros(self.frame_length + (num_frames - 1) * self.frame_shift)
        padded[: len(samples)] = samples
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.frame_length)
        frames = frames[:: self.frame_shift]
        feats = np.empty((num_frames, self.num_ceps), np.float32)
        for start in range(0, num_frames, FRAMES_PER_BLOCK):
            block = slice(start, start + FRAMES_PER_BLOCK)
            spectrum = np.fft.rfft(frames[block] * self.window, self.fft_length)
            energies = (np.abs(spectrum) ** 2) @ self.weights.T
            ceps = dct(np.log10(energies + ENERGY_OFFSET), norm="ortho")
            feats[block] = ceps[:, : self.num_ceps]
        return {"lfcc": feats}
