"""Design of the bank of second-order bandpass filters: centres, bandwidths, coefficients, responses (Eq. 1)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class FilterBankOptions:
    """Settings of the filter bank."""

    num_filters: int = field(default=80, metadata={"help": "number of filters N"})
    fmin_hz: float = field(default=100.0, metadata={"help": "lower end of the mel scale, itself no centre; not determined by the paper"})
    fmax_hz: float | None = field(default=None, metadata={"help": "upper end, empty for half the sample rate; not determined by the paper"})
    bandwidth_scale: float = field(
        default=12.0, metadata={"help": "bandwidth over half the distance of the two neighbours; not determined by the paper"}
    )
    normalize_gain: bool = field(default=False, metadata={"help": "scale each filter's peak to 1; not determined by the paper"})

    def __post_init__(self):
        if self.num_filters < 2:
            raise ValueError(f"FilterBankOptions: num_filters: got {self.num_filters}, need 2 or more (differences take two bands)")
        if not self.fmin_hz >= 0:
            raise ValueError(f"FilterBankOptions: fmin_hz: got {self.fmin_hz}, need 0 or more")
        if self.fmax_hz is not None and not self.fmax_hz > self.fmin_hz:
            raise ValueError(f"FilterBankOptions: fmax_hz: got {self.fmax_hz}, need more than fmin_hz = {self.fmin_hz}")
        if not self.bandwidth_scale > 0:
            raise ValueError(f"FilterBankOptions: bandwidth_scale: got {self.bandwidth_scale}, need more than 0")


@dataclass(frozen=True)
class FilterBank:
    """Filters (1 - z^-2) gain / (1 - 2 r cos(theta) z^-1 + r^2 z^-2) of Eq. 1, in order of frequency.

    Attributes
    ----------
    centre_hz : (N,) float64
        Pole angles theta as frequencies.
    bandwidth_hz : (N,) float64
        B, of which the pole radius is r = exp(-pi B / sample_rate_hz).
    gain : (N,) float64
        1, or 1 / max |H|.
    sample_rate_hz : float
    """

    centre_hz: np.ndarray
    bandwidth_hz: np.ndarray
    gain: np.ndarray
    sample_rate_hz: float

    @property
    def theta(self) -> np.ndarray:
        """Pole angles, (N,), radians a sample."""
        return 2 * np.pi * self.centre_hz / self.sample_rate_hz

    @property
    def radius(self) -> np.ndarray:
        """Pole radii r, (N,), below 1: the filters are stable."""
        return np.exp(-np.pi * self.bandwidth_hz / self.sample_rate_hz)

    @property
    def numerators(self) -> np.ndarray:
        """Coefficients of z^0, z^-1, z^-2 above the line of Eq. 1, (N, 3)."""
        return self.gain[:, None] * np.array([1.0, 0.0, -1.0])

    @property
    def denominators(self) -> np.ndarray:
        """Coefficients of z^0, z^-1, z^-2 below the line of Eq. 1, (N, 3)."""
        r = self.radius
        return np.stack([np.ones_like(r), -2 * r * np.cos(self.theta), r**2], axis=1)


def hz_to_mel(freq_hz):
    """HTK's mel scale, 2595 log10(1 + f / 700)."""
    return 2595 * np.log10(1 + np.asarray(freq_hz) / 700)


def mel_to_hz(mel):
    """Inverse of `hz_to_mel`."""
    return 700 * (10 ** (np.asarray(mel) / 2595) - 1)


def band_edges_hz(options: FilterBankOptions, sample_rate_hz: float) -> np.ndarray:
    """N + 2 frequencies equally spaced in mel, (N + 2,) Hz: the N centres and the two ends outside them.

    Raises
    ------
    ValueError
        If `fmax_hz` is above half the sample rate, or the range is empty.
    """
    nyquist_hz = sample_rate_hz / 2
    fmax_hz = nyquist_hz if options.fmax_hz is None else options.fmax_hz
    if fmax_hz > nyquist_hz:
        raise ValueError(f"filter bank: fmax_hz: got {fmax_hz}, need at most {nyquist_hz}, half the sample rate")
    if fmax_hz <= options.fmin_hz:
        raise ValueError(f"filter bank: fmin_hz: got {options.fmin_hz}, need less than {fmax_hz}, the upper end. Lower --fmin-hz")
    return mel_to_hz(np.linspace(hz_to_mel(options.fmin_hz), hz_to_mel(fmax_hz), options.num_filters + 2))


def design(options: FilterBankOptions, sample_rate_hz: float) -> FilterBank:
    """Filter bank of Eq. 1 with centres equally spaced in mel.

    The bandwidth is `bandwidth_scale` times half the distance between the two neighbouring centres. The paper does not give
    bandwidths; spatial differentiation sharpens a filter only while it is several times wider than the spacing.

    Raises
    ------
    ValueError
        If the frequency range does not fit the sample rate.

    Notes
    -----
    The paper's one published centre, filter 55 at 3349.3 Hz, is 3344.2 Hz here (`test_filterbank.py::test_filter_55`).
    """
    edges_hz = band_edges_hz(options, sample_rate_hz)
    bandwidth_hz = options.bandwidth_scale * (edges_hz[2:] - edges_hz[:-2]) / 2
    bank = FilterBank(edges_hz[1:-1], bandwidth_hz, np.ones(options.num_filters), sample_rate_hz)
    if options.normalize_gain:
        bank = FilterBank(bank.centre_hz, bandwidth_hz, 1 / peak_gain(bank), sample_rate_hz)
    return bank


def peak_gain(bank: FilterBank) -> np.ndarray:
    """Largest |H| of each filter, (N,): gain * 2 / (1 - r^2).

    Notes
    -----
    |H|^2 = 4 (1 - c^2) / (4 r^2 c^2 - 4 (1 + r^2) r cos(theta) c + (1 - r^2)^2 + 4 r^2 cos^2(theta)) with c = cos w; its derivative
    vanishes at c = 2 r cos(theta) / (1 + r^2), where it is 4 / (1 - r^2)^2 (`test_filterbank.py::test_peak_gain_is_the_largest`).
    """
    return bank.gain * 2 / (1 - bank.radius**2)


def frequency_response(bank: FilterBank, freq_hz: np.ndarray) -> np.ndarray:
    """H_i of Eq. 1 at each frequency, (num_freqs, N) complex; differences along axis 1 are Eq. 2."""
    z = np.exp(-2j * np.pi * np.asarray(freq_hz)[:, None] / bank.sample_rate_hz)
    r = bank.radius
    return bank.gain * (1 - z**2) / (1 - 2 * r * np.cos(bank.theta) * z + r**2 * z**2)
