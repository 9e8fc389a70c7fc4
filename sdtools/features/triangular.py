"""Bands by triangular weights on a spectrum, for the last row of Table 1 (`subbands.TriangularExtractor`) and two of the baselines."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions, band_edges_hz


@dataclass(frozen=True)
class TriangularOptions:
    """Bands, frames and cepstra of the baselines that take triangular bands, TC and the modulation features."""

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
        metadata={
            "help": "cosine coefficients over bands that are kept; not determined by the paper"
        },
    )

    def __post_init__(self):
        if self.num_ceps > self.num_filters:
            raise ValueError(
                f"TriangularOptions: num_ceps: got {self.num_ceps}, need at most {self.num_filters}, the number of bands"
            )
        FilterBankOptions(
            self.num_filters, self.fmin_hz, self.fmax_hz
        )  # these refuse what they cannot be
        EnvelopeOptions(
            frame_length_ms=self.frame_length_ms,
            frame_shift_ms=self.frame_shift_ms,
            num_ceps=self.num_ceps,
        )

    def edges_hz(self, sample_rate_hz: float) -> np.ndarray:
        """Feet and peaks of the triangles, (num_filters + 2,) Hz."""
        return band_edges_hz(
            FilterBankOptions(self.num_filters, self.fmin_hz, self.fmax_hz), sample_rate_hz
        )

    def frames(self, sample_rate_hz: float) -> tuple[int, int]:
        """Samples in a frame, and from one frame to the next."""
        length, shift = (
            round(ms * sample_rate_hz / 1000) for ms in (self.frame_length_ms, self.frame_shift_ms)
        )
        if shift < 1 or length < 2:
            raise ValueError(
                f"frames: got {length} samples every {shift}, need 2 or more every 1 or more. Raise --frame-length-ms or --frame-shift-ms"
            )
        return length, shift


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
    weights = np.maximum(
        0, np.minimum((freqs_hz - low) / (centre - low), (high - freqs_hz) / (high - centre))
    )
    empty = np.flatnonzero(~weights.any(axis=0))
    if len(empty):
        i = empty[0]
        raise ValueError(
            f"triangular bank: filter {i + 1}: got no line of the spectrum from {low[i]:.1f} to {high[i]:.1f} Hz, need one. "
            "Take fewer filters or longer frames"
        )
    return weights
