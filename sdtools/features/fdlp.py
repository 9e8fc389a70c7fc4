"""Temporal centroid amplitude, TC, by frequency domain linear prediction (baseline B2).

Reconstructed from two sentences of Wickramasinghe et al.: the feature "was extracted from the
temporal envelope estimated using frequency domain linear prediction" (section 5), and CM is its
"frequency domain counterpart" (section 3.2), so its formula is Eq. 7 with time in place of
frequency. The paper does not give the bands, segments, number of poles and cepstra.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from sdtools.errors import SdError
from sdtools.features.envelope import EnvelopeOptions, magnitude_cepstrum
from sdtools.features.samples import check_positive, check_samples, count_frames, num_frames
from sdtools.features.silence import FrameGrid
from sdtools.features.triangular import TriangularOptions, triangular_weights


@dataclass(frozen=True)
class FdlpOptions:
    """Settings of frequency domain linear prediction.

    Examples
    --------
    >>> FdlpOptions(segment_ms=500.0)
    FdlpOptions(segment_ms=500.0, poles_per_sec=100.0)
    """

    segment_ms: float = field(
        default=1000.0,
        metadata={
            "help": "length of signal that is predicted at once; not determined by the paper"
        },
    )
    poles_per_sec: float = field(
        default=100.0,
        metadata={"help": "prediction order over segment length; not determined by the paper"},
    )

    def __post_init__(self) -> None:
        check_positive(self, "segment_ms", "poles_per_sec")


class FdlpExtractor:
    """Cepstra of ln TC, where TC = sum n |e[n]| / sum n for the envelope e of a band.

    The sums are over the samples n = 1, 2, ... of a frame.

    Parameters
    ----------
    bands, options
        Settings of bands and frames, and of linear prediction.
    sample_rate_hz
        Sample rate of the recordings.

    Attributes
    ----------
    output_names
        "tc".

    Raises
    ------
    SdError
        If settings and sample rate do not fit.

    Notes
    -----
    All segments of a recording have one length: the number of whole frames near `segment_ms` that
    fills the recording best. They meet where frames do; the last one ends with the last frame.
    Every fourth value of e[n] is computed, in the middle of four samples, because e[n] is smooth.

    Examples
    --------
    >>> import numpy as np
    >>> fdlp = FdlpExtractor(sample_rate_hz=16000)
    >>> fdlp(0.1 * np.sin(np.arange(8000)))["tc"].shape
    (49, 40)
    """

    output_names = ("tc",)

    def __init__(
        self,
        bands: TriangularOptions = TriangularOptions(),
        options: FdlpOptions = FdlpOptions(),
        *,
        sample_rate_hz: int,
    ):
        self.num_ceps, self.poles_per_sec = bands.num_ceps, options.poles_per_sec
        self.sample_rate_hz = sample_rate_hz
        self.edges_hz = bands.edges_hz(sample_rate_hz)
        self.length, self.shift = bands.frames(sample_rate_hz)
        self.grid = FrameGrid(self.length, self.shift)
        self.step = math.gcd(self.length, self.shift, 4)
        segment = round(options.segment_ms * sample_rate_hz / 1000)
        self.frames_per_segment = num_frames(segment, self.length, self.shift)
        if self.frames_per_segment == 0:
            got, need = options.segment_ms, f"one frame, {bands.frame_length_ms} ms, or more"
            raise SdError("--segment-ms", got=got, need=need)
        self.subbands(np.zeros(self.length))  # refuses triangles too narrow for one frame

    def __call__(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Static features of one recording.

        Parameters
        ----------
        samples : (num_samples,) array
            Full scale is 1; one frame or more.

        Returns
        -------
        dict
            "tc": (num_frames, num_ceps) float32

        Raises
        ------
        SdError
            As `check_samples`; also if the recording is shorter than one frame.
        """
        import scipy.fft

        samples = check_samples(samples)
        total = count_frames(len(samples), self.length, self.shift)
        num = -(-total // max(1, round(total / self.frames_per_segment)))
        # most segments are (num + 1) shifts long
        num = min(total, scipy.fft.next_fast_len(num + 1, real=True) - 1)
        feats = np.empty((total, self.num_ceps), np.float32)
        for frame in range(0, total, num):
            first = min(frame, total - num)
            segment = samples[first * self.shift :][: (num - 1) * self.shift + self.length]
            centroids = self.temporal_centroids(self.envelopes(segment))
            feats[first : first + num] = magnitude_cepstrum(
                centroids, self.num_ceps, EnvelopeOptions.magnitude_floor
            )
        return {"tc": feats}

    def subbands(self, samples: np.ndarray) -> np.ndarray:
        """DCT-II of a segment under each triangle, from its lower foot on, (N, num_coefs)."""
        import scipy.fft

        spacing_hz = self.sample_rate_hz / (2 * len(samples))
        first = np.ceil(self.edges_hz[:-2] / spacing_hz).astype(int)
        num_coefs = int(np.max((self.edges_hz[2:] - self.edges_hz[:-2]) / spacing_hz)) + 1
        lines = first + np.arange(num_coefs)[:, None]
        weights = triangular_weights(self.edges_hz, lines * spacing_hz)
        dct = scipy.fft.dct(samples, norm="ortho")
        return (weights * dct[np.minimum(lines, len(samples) - 1)]).T

    def envelopes(self, samples: np.ndarray) -> np.ndarray:
        """Hilbert envelope e[n] >= 0 of each band of a segment, (N, num_samples / step) float32.

        Notes
        -----
        The DCT of x[n] is a sum of cosines with frequencies pi (n + 1/2) / num_samples. So the
        power spectrum that linear prediction finds in a run of DCT coefficients is the squared
        envelope over n. Its sum over n is the energy of the run, half that of the squared Hilbert
        envelope.
        """
        import scipy.fft

        num_samples = len(samples)
        num_values = num_samples // self.step
        order = max(1, round(self.poles_per_sec * num_samples / self.sample_rate_hz))
        order = min(order, num_values - 1)
        predictors, errors = linear_prediction(autocorrelation(self.subbands(samples), order))
        lags = autocorrelation(predictors, order)
        power = np.maximum(scipy.fft.dct(lags, 3, n=num_values), 1e-14 * lags[:, :1])  # |A|^2
        return np.sqrt((2 / num_samples * errors[:, None] / power).astype(np.float32))

    def temporal_centroids(self, envelopes: np.ndarray) -> np.ndarray:
        """TC of each frame of a segment, (num_frames, N)."""
        n = np.arange((self.step + 1) / 2, self.length + 1, self.step, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(envelopes, len(n), axis=1)
        frames = windows[:, :: self.shift // self.step]
        return np.einsum("itn,n->ti", frames, n / n.sum())


def autocorrelation(signals: np.ndarray, order: int) -> np.ndarray:
    """Sums s[k] s[k + m] of each row, m = 0..order, (num_signals, order + 1)."""
    import scipy.fft

    size = scipy.fft.next_fast_len(signals.shape[1] + order, real=True)
    return scipy.fft.irfft(np.abs(scipy.fft.rfft(signals, size)) ** 2, size)[:, : order + 1]


def linear_prediction(lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prediction error filters and the energies of their errors, by Levinson and Durbin.

    Parameters
    ----------
    lags : (num_signals, order + 1) array
        Autocorrelations. One part in 1e9 is added to lag 0, so that predictable signals give
        finite filters. Zeros give the error 0.

    Returns
    -------
    filters : (num_signals, order + 1) array
    errors : (num_signals,) array
    """
    silent = lags[:, 0] == 0
    errors = np.where(silent, 1, lags[:, 0] * (1 + 1e-9))
    filters = np.zeros_like(lags)
    filters[:, 0] = 1
    for m in range(1, lags.shape[1]):
        reflection = -np.einsum("im,im->i", filters[:, :m], lags[:, m:0:-1]) / errors
        filters[:, 1 : m + 1] += reflection[:, None] * filters[:, m - 1 :: -1][:, :m]
        errors *= 1 - reflection**2
    return filters, np.where(silent, 0, errors)
