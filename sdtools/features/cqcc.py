"""Constant-Q cepstral coefficients by a non-stationary Gabor frame (baseline B1).

Wickramasinghe et al., section 5: "19th order Constant Q Cepstral Coefficients (CQCC), along with their delta and acceleration
coefficients with log energy coefficients of the signals also appended". Bins, bandwidths and resampling are those of the ASVspoof 2017
baseline. Left open: the frames, the log energy's frame and place, and silence. Here c0..c19 and the log energy make 21 static dimensions.
Deltas and accelerations, appended when a model reads them, make 63: the log energy has them too, as under HTK's qualifiers _E_D_A.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sdtools.errors import SdError
from sdtools.features.samples import check_samples

BANDWIDTH_OFFSET_HZ = 228.7
"""Bandwidths grow with f + this, as the ear's do: 24.7 / 0.108 of Glasberg and Moore's formula."""

MIN_LINES = 4
"""Spectral lines that a window spans at least: in recordings shorter than about a second the low bins are widened."""

POINTS_PER_BLOCK = 1 << 15
"""Bins times frames transformed at once: they stay in the cache."""

MAX_FRAMES, MARGIN = 4096, 256
"""More frames, 35 s, are computed in stretches of so many, of which the margins, 2 s at either end, are dropped: this bounds the memory."""


@dataclass(frozen=True)
class CqccOptions:
    """Settings of the transform, of its cepstra and of the log energy."""

    bins_per_octave: int = field(default=96, metadata={"help": "bins per octave"})
    num_octaves: int = field(
        default=9, metadata={"help": "octaves from the lowest bin to half the sample rate"}
    )
    frame_shift_ms: float = field(
        default=8.5,
        metadata={
            "help": "frame shift, at most 1 over the bandwidth of the highest bin; not determined by the paper"
        },
    )
    first_octave_samples: int = field(
        default=16, metadata={"help": "points of the linear frequency scale in the lowest octave"}
    )
    num_ceps: int = field(
        default=20,
        metadata={
            "help": "cosine coefficients that are kept, from the 0th; not determined by the paper"
        },
    )
    log_energy: bool = field(
        default=True,
        metadata={
            "help": "append the log energy to the coefficients; not determined by the paper how"
        },
    )
    frame_length_ms: float = field(
        default=20.0, metadata={"help": "frame of the log energy; not determined by the paper"}
    )
    power_floor: float = field(
        default=2.0**-52,
        metadata={
            "help": "silence: smaller power and energy is raised to this; full scale is 1; not determined by the paper"
        },
    )

    def __post_init__(self):
        for name in ("bins_per_octave", "num_octaves", "first_octave_samples", "num_ceps"):
            if getattr(self, name) < 1:
                raise ValueError(f"CqccOptions: {name}: got {getattr(self, name)}, need 1 or more")
        for name in ("frame_shift_ms", "frame_length_ms", "power_floor"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"CqccOptions: {name}: got {getattr(self, name)}, need more than 0"
                )


class CqccExtractor:
    """Cepstral coefficients 0, 1, ... of ln |X|^2 on a linear frequency scale, then the log energy.

    Parameters
    ----------
    options
        Settings.
    sample_rate_hz
        Rate of the recordings.

    Attributes
    ----------
    freqs_hz, widths_hz : (num_bins,) array
        Centre f_k = 2^(k / B) fs / 2^(num_octaves + 1) of each bin and width of its window, (2^(1/B) - 2^(-1/B)) (f_k + 228.7).
        Bins that would reach beyond fs/2 are left out: at 16 kHz there are 863.
    shift : int
        Samples from one frame to the next, in every recording.
    ceps : (num_bins, num_ceps) array
        What takes ln |X|^2 to the coefficients: cubic spline, not-a-knot, through the bins; its values every
        f_0 / first_octave_samples Hz from f_0 on; orthonormal DCT-II.

    Raises
    ------
    ValueError
        If settings and sample rate do not fit.

    Notes
    -----
    Frame m is centred on sample m `shift`; there are ceil(num_samples / shift). The recording is filled up with zeros to whole frames
    and taken as periodic: near its ends features see the other end, as in the public baseline. Unlike there, windows are centred
    on f_k, not on the spectral line below, and the shift is whole samples, not near 136.55 depending on the recording's length.
    Recordings of more than MAX_FRAMES miss the tails of the low bins: the rms error of a coefficient is less than a thousandth of
    its standard deviation (`test_cqcc.py::test_stretches_are_like_the_whole`).
    With a window on 0 Hz and one on fs/2 the transform can be inverted (`test_cqcc.py::test_frame_inverts_to_the_signal`).
    """

    output_names = ("cqcc",)

    def __init__(self, options: CqccOptions = CqccOptions(), *, sample_rate_hz: int):
        self.options, self.sample_rate_hz = options, sample_rate_hz
        step = 2 ** (1 / options.bins_per_octave)
        freqs_hz = (
            sample_rate_hz
            / 2 ** (options.num_octaves + 1)
            * step ** np.arange(options.num_octaves * options.bins_per_octave)
        )
        widths_hz = (step - 1 / step) * (freqs_hz + BANDWIDTH_OFFSET_HZ)
        inside = freqs_hz + widths_hz / 2 <= sample_rate_hz / 2
        self.freqs_hz, self.widths_hz = freqs_hz[inside], widths_hz[inside]
        if freqs_hz[0] < widths_hz[0] / 2 or len(self.freqs_hz) < 4:
            raise ValueError(
                f"cqcc: bins: got {len(self.freqs_hz)} from {freqs_hz[0]:g} Hz on, {widths_hz[0]:g} Hz wide or more, need 4 or more "
                "above 0 Hz. Lower --num-octaves or raise --bins-per-octave"
            )
        self.shift, self.frame_length = (
            round(ms * sample_rate_hz / 1000)
            for ms in (options.frame_shift_ms, options.frame_length_ms)
        )
        if not 1 <= self.shift <= sample_rate_hz / self.widths_hz[-1]:
            raise ValueError(
                f"cqcc: frame_shift_ms: got {options.frame_shift_ms:g}, {self.shift} samples, need 1 to "
                f"{int(sample_rate_hz / self.widths_hz[-1])}; the highest bin is {self.widths_hz[-1]:.1f} Hz wide. Change --frame-shift-ms"
            )
        if self.frame_length < 1:
            raise ValueError(
                f"cqcc: frame_length_ms: got {options.frame_length_ms:g}, need one sample. Raise --frame-length-ms"
            )
        self.ceps = _cepstral_matrix(
            self.freqs_hz, self.freqs_hz[0] / options.first_octave_samples, options.num_ceps
        )

    def __call__(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Static features of one recording.

        Parameters
        ----------
        samples : (num_samples,) array
            Full scale is 1.

        Returns
        -------
        dict
            "cqcc": (num_frames, num_ceps + log_energy) float32

        Raises
        ------
        SdError
            As `check_samples`; also if the recording is shorter than four frames.
        """
        samples = check_samples(samples)
        num = self.num_frames(samples)
        feats = np.empty((num, self.options.num_ceps + self.options.log_energy), np.float32)
        if self.options.log_energy:
            feats[:, -1] = np.log(np.maximum(self.energies(samples), self.options.power_floor))
        ceps = feats[:, : self.options.num_ceps]
        if num <= MAX_FRAMES:
            ceps[:] = self.cepstra(samples)
            return {"cqcc": feats}
        samples = np.pad(samples, (0, num * self.shift - len(samples)))
        for first in range(0, num, MAX_FRAMES - 2 * MARGIN):
            stretch = np.arange(
                (first - MARGIN) * self.shift, (first - MARGIN + MAX_FRAMES) * self.shift
            )
            ceps[first : first + MAX_FRAMES - 2 * MARGIN] = self.cepstra(
                samples.take(stretch, mode="wrap")
            )[MARGIN:-MARGIN][: num - first]
        return {"cqcc": feats}

    def cepstra(self, samples: np.ndarray) -> np.ndarray:
        """Coefficients of a recording or stretch that is taken whole, (num_frames, num_ceps)."""
        ceps = np.zeros((self.num_frames(samples), self.options.num_ceps))
        for bins, coefs in self.transform(samples):
            ceps += (
                np.log(np.maximum(coefs.real**2 + coefs.imag**2, self.options.power_floor)).T
                @ self.ceps[bins]
            )
        return ceps

    def num_frames(self, samples: np.ndarray) -> int:
        """Frames of a recording that can be used; ValueError if it cannot."""
        if len(samples) < MIN_LINES * self.shift:
            need = f"at least {MIN_LINES * self.shift}, four frames"
            hint = "Leave this recording out"
            raise SdError("samples", "number of samples", got=len(samples), need=need, hint=hint)
        return -(-len(samples) // self.shift)

    def transform(self, samples: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Constant-Q transform X, some bins at a time: which, and their (bins, num_frames) complex values.

        Notes
        -----
        X_k[m] = 2 / L sum_j S[j] g_k[j] exp(2 pi i j m / num_frames), S the DFT of L = num_frames `shift` samples, g_k a Hann window
        with peak 1 whose ends 0 Hz and fs/2 may cut off. A sine of amplitude A at f_k has |X_k| = A. The window spans no more than
        num_frames lines, so one inverse DFT of that size gives all frames.
        """
        import scipy.fft

        num = self.num_frames(samples)
        spectrum = scipy.fft.rfft(samples, num * self.shift)
        lines_per_hz = num * self.shift / self.sample_rate_hz
        centres, widths = (
            self.freqs_hz[:, None] * lines_per_hz,
            np.clip(self.widths_hz[:, None] * lines_per_hz, MIN_LINES, num),
        )
        for first in range(0, len(centres), size := POINTS_PER_BLOCK // num):
            bins = slice(first, first + size)
            lines = np.floor(centres[bins] - widths[bins] / 2).astype(int) + np.arange(
                1, int(np.ceil(widths[bins].max())) + 1
            )
            places = (lines - centres[bins]) / widths[bins]
            inside = (np.abs(places) < 0.5) & (lines >= 0) & (lines < len(spectrum))
            windows = np.where(inside, 0.5 + 0.5 * np.cos(2 * np.pi * places), 0)
            coefs = np.zeros((len(lines), num), complex)
            np.put_along_axis(
                coefs, lines % num, windows * spectrum[np.clip(lines, 0, len(spectrum) - 1)], axis=1
            )
            yield bins, scipy.fft.ifft(coefs, overwrite_x=True) * (2 / self.shift)

    def energies(self, samples: np.ndarray) -> np.ndarray:
        """Sum of squares of the samples within half of `frame_length_ms` from each frame's centre, (num_frames,)."""
        before = self.frame_length // 2
        padded = np.pad(samples, (before, self.frame_length - before))
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.frame_length)[
            : len(samples) : self.shift
        ]
        return np.einsum("tn,tn->t", frames, frames)


def _cepstral_matrix(freqs_hz: np.ndarray, spacing_hz: float, num_ceps: int) -> np.ndarray:
    """Spline through values at `freqs_hz`, points every `spacing_hz`, DCT-II, as one matrix, (num_bins, num_ceps)."""
    import scipy.fft
    from scipy.interpolate import BSpline

    num_points = int((freqs_hz[-1] - freqs_hz[0]) / spacing_hz) + 1
    if num_ceps > num_points:
        raise ValueError(
            f"cqcc: num_ceps: got {num_ceps}, need at most {num_points}, the points of the spectrum. Lower --num-ceps"
        )
    grid_hz = np.minimum(freqs_hz[0] + spacing_hz * np.arange(num_points), freqs_hz[-1])
    knots_hz = np.concatenate([[freqs_hz[0]] * 4, freqs_hz[2:-2], [freqs_hz[-1]] * 4])
    at_bins, at_grid = (BSpline.design_matrix(f, knots_hz, 3) for f in (freqs_hz, grid_hz))
    cosines = scipy.fft.idct(np.eye(num_ceps, num_points), norm="ortho")
    return np.linalg.solve(at_bins.toarray().T, at_grid.T @ cosines.T)
