"""Constant-Q cepstral coefficients, CQCC, by a non-stationary Gabor frame (baseline B1).

Wickramasinghe et al., section 5: "19th order Constant Q Cepstral Coefficients (CQCC), along with
their delta and acceleration coefficients with log energy coefficients of the signals also
appended". Bins, bandwidths and resampling are those of the ASVspoof 2017 baseline. The paper leaves
open the frames, how the log energy is computed, where it is appended, and silence.

Here c0..c19 and the log energy make 21 static dimensions. Deltas and accelerations, which a model
appends, make 63: the log energy has them too, as with HTK's qualifiers _E_D_A.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sdtools.errors import SdError
from sdtools.features.samples import check_natural, check_positive, check_samples
from sdtools.features.silence import FrameGrid

BANDWIDTH_OFFSET_HZ = 228.7
"""Bandwidths grow with f + this, as in the ear: 24.7 / 0.108 of Glasberg and Moore's formula."""

MIN_LINES = 4
"""Spectral lines in a window at least. Recordings shorter than a second get wider low bins."""

POINTS_PER_BLOCK = 1 << 15
"""Bins times frames transformed at once: they stay in the cache."""

MAX_FRAMES, MARGIN = 4096, 256
"""Longer recordings, 35 s, are computed in stretches of so many frames, which bounds the memory.

The margins, 2 s at either end, are dropped.
"""


@dataclass(frozen=True)
class CqccOptions:
    """Settings of the transform, of its cepstra and of the log energy.

    Examples
    --------
    >>> CqccOptions(num_ceps=30, log_energy=False).num_ceps
    30
    """

    bins_per_octave: int = field(default=96, metadata={"help": "bins per octave"})
    num_octaves: int = field(
        default=9, metadata={"help": "octaves from the lowest bin to half the sample rate"}
    )
    frame_shift_ms: float = field(
        default=8.5,
        metadata={
            "help": "frame shift, at most 1 / bandwidth of the highest bin; "
            "not determined by the paper"
        },
    )
    first_octave_samples: int = field(
        default=16, metadata={"help": "points of the linear frequency scale in the lowest octave"}
    )
    num_ceps: int = field(
        default=20,
        metadata={"help": "cosine coefficients to keep, from the 0th; not determined by the paper"},
    )
    log_energy: bool = field(
        default=True, metadata={"help": "append the log energy; not determined by the paper how"}
    )
    frame_length_ms: float = field(
        default=20.0, metadata={"help": "frame of the log energy; not determined by the paper"}
    )
    power_floor: float = field(
        default=2.0**-52,
        metadata={
            "help": "digital silence: lowest power and energy, where full scale is 1; "
            "not determined by the paper"
        },
    )

    def __post_init__(self) -> None:
        check_natural(self, "bins_per_octave", "num_octaves", "first_octave_samples", "num_ceps")
        check_positive(self, "frame_shift_ms", "frame_length_ms", "power_floor")


class CqccExtractor:
    """Cepstral coefficients 0, 1, ... of ln |X|^2 on a linear frequency scale, then log energy.

    Parameters
    ----------
    options
        Settings.
    sample_rate_hz
        Sample rate of the recordings.

    Attributes
    ----------
    output_names
        "cqcc".
    freqs_hz, widths_hz : (num_bins,) array
        Centre f_k = 2^(k / B) fs / 2^(num_octaves + 1) of each bin and width of its window,
        (2^(1/B) - 2^(-1/B)) (f_k + 228.7). Bins that would reach beyond fs/2 are left out: at
        16 kHz there are 863.
    shift : int
        Samples from one frame to the next.
    ceps : (num_bins, num_ceps) array
        Matrix from ln |X|^2 to the coefficients: a not-a-knot cubic spline through the bins, its
        values every f_0 / first_octave_samples Hz from f_0 on, orthonormal DCT-II.

    Raises
    ------
    SdError
        If settings and sample rate do not fit.

    Notes
    -----
    Frame m is centred on sample m `shift`; there are ceil(num_samples / shift). Zeros fill the
    recording up to whole frames, and the transform is periodic: near one end, features see the
    other end, as in the public baseline. Unlike there, windows are centred on f_k, not on the
    spectral line below, and the shift is whole samples, not near 136.55 depending on the length.
    Recordings of more than MAX_FRAMES miss the tails of the low bins: the rms error of a
    coefficient is less than a thousandth of its standard deviation.
    With a window on 0 Hz and one on fs/2 the transform can be inverted.

    Examples
    --------
    >>> import numpy as np
    >>> cqcc = CqccExtractor(sample_rate_hz=16000)
    >>> cqcc(0.1 * np.sin(np.arange(8000)))["cqcc"].shape
    (59, 21)
    """

    output_names = ("cqcc",)

    def __init__(self, options: CqccOptions = CqccOptions(), *, sample_rate_hz: int):
        self.options, self.sample_rate_hz = options, sample_rate_hz
        self.freqs_hz, self.widths_hz = _bins(options, sample_rate_hz)
        lengths_ms = options.frame_shift_ms, options.frame_length_ms
        self.shift, self.frame_length = (round(ms * sample_rate_hz / 1000) for ms in lengths_ms)
        max_shift = int(sample_rate_hz / self.widths_hz[-1])
        if not 1 <= self.shift <= max_shift:
            got = f"{options.frame_shift_ms:g}, {self.shift} samples"
            width_hz = f"{self.widths_hz[-1]:.1f} Hz"
            need = f"1 to {max_shift} samples, because the highest bin is {width_hz} wide"
            raise SdError("--frame-shift-ms", got=got, need=need)
        if self.frame_length < 1:
            got, need = f"{options.frame_length_ms:g}", "one sample or more"
            raise SdError("--frame-length-ms", got=got, need=need)
        # a frame of one sample would always be silent
        length = max(self.frame_length, self.shift, 2)
        self.grid = FrameGrid(length, self.shift, start=-(length // 2))
        self.ceps = _cepstral_matrix(
            self.freqs_hz, self.freqs_hz[0] / options.first_octave_samples, options.num_ceps
        )

    def __call__(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Static features of one recording.

        Parameters
        ----------
        samples : (num_samples,) array
            Full scale is 1; four frame shifts or more.

        Returns
        -------
        dict
            "cqcc": (num_frames, num_ceps + log_energy) float32

        Raises
        ------
        SdError
            As `check_samples`; also if the recording is shorter than four frame shifts.
        """
        samples = check_samples(samples)
        num = self.num_frames(len(samples))
        feats = np.empty((num, self.options.num_ceps + self.options.log_energy), np.float32)
        if self.options.log_energy:
            feats[:, -1] = np.log(np.maximum(self.energies(samples), self.options.power_floor))
        ceps = feats[:, : self.options.num_ceps]
        if num <= MAX_FRAMES:
            ceps[:] = self.cepstra(samples)
            return {"cqcc": feats}
        samples = np.pad(samples, (0, num * self.shift - len(samples)))
        step = MAX_FRAMES - 2 * MARGIN
        for first in range(0, num, step):
            start = (first - MARGIN) * self.shift
            indices = np.arange(start, start + MAX_FRAMES * self.shift)
            stretch = samples.take(indices, mode="wrap")
            ceps[first : first + step] = self.cepstra(stretch)[MARGIN:-MARGIN][: num - first]
        return {"cqcc": feats}

    def cepstra(self, samples: np.ndarray) -> np.ndarray:
        """Coefficients of a recording or stretch in one piece, (num_frames, num_ceps)."""
        ceps = np.zeros((self.num_frames(len(samples)), self.options.num_ceps))
        for bins, coefs in self.transform(samples):
            power = np.maximum(coefs.real**2 + coefs.imag**2, self.options.power_floor)
            ceps += np.log(power).T @ self.ceps[bins]
        return ceps

    def num_frames(self, num_samples: int) -> int:
        """Frames of a recording; SdError if it is too short."""
        if num_samples < MIN_LINES * self.shift:
            need = f"at least {MIN_LINES * self.shift}, four frame shifts"
            hint = "Leave this recording out"
            raise SdError("samples", "number of samples", got=num_samples, need=need, hint=hint)
        return -(-num_samples // self.shift)

    def transform(self, samples: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Constant-Q transform X, some bins at a time: yield them and their complex values.

        The values are (bins, num_frames).

        Notes
        -----
        X_k[m] = 2 / L sum_j S[j] g_k[j] exp(2 pi i j m / num_frames), where S is the DFT of
        L = num_frames `shift` samples and g_k a Hann window with peak 1, whose ends 0 Hz and fs/2
        may cut off. A sine of amplitude A at f_k has |X_k| = A. The window spans no more than
        num_frames lines, so that one inverse DFT of that size gives all frames.
        """
        import scipy.fft

        num = self.num_frames(len(samples))
        spectrum = scipy.fft.rfft(samples, num * self.shift)
        lines_per_hz = num * self.shift / self.sample_rate_hz
        all_centres = self.freqs_hz[:, None] * lines_per_hz
        all_widths = np.clip(self.widths_hz[:, None] * lines_per_hz, MIN_LINES, num)
        size = POINTS_PER_BLOCK // num
        for first in range(0, len(all_centres), size):
            bins = slice(first, first + size)
            centres, widths = all_centres[bins], all_widths[bins]
            offsets = np.arange(1, int(np.ceil(widths.max())) + 1)
            lines = np.floor(centres - widths / 2).astype(int) + offsets
            places = (lines - centres) / widths
            inside = (np.abs(places) < 0.5) & (lines >= 0) & (lines < len(spectrum))
            windows = np.where(inside, 0.5 + 0.5 * np.cos(2 * np.pi * places), 0)
            values = windows * spectrum[np.clip(lines, 0, len(spectrum) - 1)]
            coefs = np.zeros((len(lines), num), complex)
            np.put_along_axis(coefs, lines % num, values, axis=1)
            yield bins, scipy.fft.ifft(coefs, overwrite_x=True) * (2 / self.shift)

    def energies(self, samples: np.ndarray) -> np.ndarray:
        """Energy within half of `frame_length_ms` from each frame's centre, (num_frames,)."""
        before = self.frame_length // 2
        padded = np.pad(samples, (before, self.frame_length - before))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.frame_length)
        frames = windows[: len(samples) : self.shift]
        return np.einsum("tn,tn->t", frames, frames)


def _bins(options: CqccOptions, sample_rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres and widths of the bins that end below half the sample rate, Hz."""
    step = 2 ** (1 / options.bins_per_octave)
    lowest_hz = sample_rate_hz / 2 ** (options.num_octaves + 1)
    freqs_hz = lowest_hz * step ** np.arange(options.num_octaves * options.bins_per_octave)
    widths_hz = (step - 1 / step) * (freqs_hz + BANDWIDTH_OFFSET_HZ)
    inside = freqs_hz + widths_hz / 2 <= sample_rate_hz / 2
    if freqs_hz[0] < widths_hz[0] / 2 or inside.sum() < 4:
        raise SdError(
            "--num-octaves, --bins-per-octave",
            got=f"{inside.sum()} bins from {freqs_hz[0]:g} Hz, {widths_hz[0]:g} Hz wide or wider",
            need="4 bins or more, all above 0 Hz",
            hint="Lower --num-octaves or raise --bins-per-octave",
        )
    return freqs_hz[inside], widths_hz[inside]


def _cepstral_matrix(freqs_hz: np.ndarray, spacing_hz: float, num_ceps: int) -> np.ndarray:
    """Spline, points every `spacing_hz` and DCT-II as one matrix, (num_bins, num_ceps)."""
    import scipy.fft
    from scipy.interpolate import BSpline

    num_points = int((freqs_hz[-1] - freqs_hz[0]) / spacing_hz) + 1
    if num_ceps > num_points:
        need = f"at most {num_points}, the points of the spectrum"
        raise SdError("--num-ceps", got=num_ceps, need=need)
    grid_hz = np.minimum(freqs_hz[0] + spacing_hz * np.arange(num_points), freqs_hz[-1])
    knots_hz = np.concatenate([[freqs_hz[0]] * 4, freqs_hz[2:-2], [freqs_hz[-1]] * 4])
    at_bins, at_grid = (BSpline.design_matrix(f, knots_hz, 3) for f in (freqs_hz, grid_hz))
    cosines = scipy.fft.idct(np.eye(num_ceps, num_points), norm="ortho")
    return np.linalg.solve(at_bins.toarray().T, at_grid.T @ cosines.T)
