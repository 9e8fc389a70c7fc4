"""Triangular bands on a spectrum: their options and weights.

`FdlpExtractor` and `ModulationExtractor` take `TriangularOptions`. The triangular filter bank of
Table 1 is `sdtools.features.subbands.TriangularExtractor`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sdtools.errors import SdError
from sdtools.features.envelope import EnvelopeOptions, check_num_ceps
from sdtools.features.filterbank import FilterBankOptions, band_edges_hz
from sdtools.features.samples import check_frame_lengths


@dataclass(frozen=True)
class TriangularOptions:
    """Bands, frames and cepstra of the baselines TC and MCF, MSE, STCC.

    Examples
    --------
    >>> options = TriangularOptions(num_filters=3, num_ceps=3, fmax_hz=4000.0)
    >>> options.edges_hz(16000).round().tolist()
    [100.0, 545.0, 1239.0, 2319.0, 4000.0]
    """

    num_filters: int = field(
        default=80,
        metadata={"help": "number of mel-spaced triangular bands; not determined by the paper"},
    )
    fmin_hz: float = field(
        default=100.0,
        metadata={
            "help": "lower end of the mel scale, itself no centre; not determined by the paper"
        },
    )
    fmax_hz: float | None = field(
        default=None,
        metadata={"help": "upper end, empty for half the sample rate; not determined by the paper"},
    )
    frame_length_ms: float = field(
        default=20.0, metadata={"help": "frame length; not determined by the paper"}
    )
    frame_shift_ms: float = field(
        default=10.0, metadata={"help": "frame shift; not determined by the paper"}
    )
    num_ceps: int = field(
        default=40,
        metadata={"help": "cosine coefficients over bands to keep; not determined by the paper"},
    )

    def __post_init__(self) -> None:
        FilterBankOptions(self.num_filters, self.fmin_hz, self.fmax_hz)  # these check the values
        EnvelopeOptions(self.frame_length_ms, self.frame_shift_ms, num_ceps=self.num_ceps)
        check_num_ceps(self.num_ceps, self.num_filters)

    def edges_hz(self, sample_rate_hz: float) -> np.ndarray:
        """Feet and peaks of the triangles, (num_filters + 2,) Hz."""
        bank = FilterBankOptions(self.num_filters, self.fmin_hz, self.fmax_hz)
        return band_edges_hz(bank, sample_rate_hz)

    def frames(self, sample_rate_hz: float) -> tuple[int, int]:
        """Samples in a frame, and from one frame to the next."""
        lengths_ms = self.frame_length_ms, self.frame_shift_ms
        length, shift = (round(ms * sample_rate_hz / 1000) for ms in lengths_ms)
        return check_frame_lengths(length, shift)


def triangular_weights(edges_hz: np.ndarray, freqs_hz: np.ndarray) -> np.ndarray:
    """Triangles with peak 1 at `edges_hz[1:-1]` and feet at the neighbouring edges, (num_freqs, N).

    Parameters
    ----------
    edges_hz : (N + 2,) array
        As from `band_edges_hz`.
    freqs_hz : (num_freqs,) or (num_freqs, N) array
        Frequencies of the spectrum, the same for all bands or one column for each.

    Raises
    ------
    SdError
        If a triangle lies between two frequencies.
    """
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    freqs_hz = freqs_hz.reshape(len(freqs_hz), -1)
    rising, falling = (freqs_hz - low) / (centre - low), (high - freqs_hz) / (high - centre)
    weights = np.maximum(0, np.minimum(rising, falling))
    empty = np.flatnonzero(~weights.any(axis=0))
    if len(empty):
        i = empty[0]
        raise SdError(
            "triangular bank",
            f"filter {i + 1}, {low[i]:.1f} to {high[i]:.1f} Hz, lies between two spectral lines",
            hint="Take fewer filters or longer frames",
        )
    return weights
