"""The bank of second-order bandpass filters (Eq. 1), and its responses after differentiation.

`design` makes the bank. `difference_response` is Eq. 2 in frequency, `first_difference` the paper's
closed form (Eq. 3-5), `band_shapes` the centres and widths of the differentiated bands.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sdtools.errors import SdError
from sdtools.features.differentiation import differentiate
from sdtools.features.samples import check_positive


@dataclass(frozen=True)
class FilterBankOptions:
    """Settings of the filter bank.

    Examples
    --------
    >>> design(FilterBankOptions(num_filters=3, fmax_hz=4000.0), 16000).centre_hz.round().tolist()
    [545.0, 1239.0, 2319.0]
    """

    num_filters: int = field(default=80, metadata={"help": "number of filters N"})
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
    bandwidth_scale: float = field(
        default=12.0,
        metadata={
            "help": "bandwidth relative to half the distance between the neighbouring centres; "
            "not determined by the paper"
        },
    )
    normalize_gain: bool = field(
        default=False,
        metadata={"help": "scale each filter's peak to 1; not determined by the paper"},
    )

    def __post_init__(self) -> None:
        if self.num_filters < 2:
            need = "2 or more, because a difference takes two bands"
            raise SdError("--num-filters", got=self.num_filters, need=need)
        if not self.fmin_hz >= 0:
            raise SdError("--fmin-hz", got=self.fmin_hz, need="0 or more")
        if self.fmax_hz is not None and not self.fmax_hz > self.fmin_hz:
            need = f"more than --fmin-hz, {self.fmin_hz}"
            raise SdError("--fmax-hz", got=self.fmax_hz, need=need)
        check_positive(self, "bandwidth_scale")


@dataclass(frozen=True)
class FilterBank:
    """Filters of Eq. 1, gain (1 - z^-2) / (1 - 2 r cos(theta) z^-1 + r^2 z^-2), by frequency.

    Attributes
    ----------
    centre_hz : (N,) float64
        Pole angles theta as frequencies.
    bandwidth_hz : (N,) float64
        B, which gives the pole radius r = exp(-pi B / sample_rate_hz).
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
        """Coefficients of z^0, z^-1, z^-2 in the numerator of Eq. 1, (N, 3)."""
        return self.gain[:, None] * np.array([1.0, 0.0, -1.0])

    @property
    def denominators(self) -> np.ndarray:
        """Coefficients of z^0, z^-1, z^-2 in the denominator of Eq. 1, (N, 3)."""
        r = self.radius
        return np.stack([np.ones_like(r), -2 * r * np.cos(self.theta), r**2], axis=1)


def hz_to_mel(freq_hz: float | np.ndarray) -> np.ndarray:
    """HTK's mel scale, 2595 log10(1 + f / 700)."""
    return 2595 * np.log10(1 + np.asarray(freq_hz) / 700)


def mel_to_hz(mel: float | np.ndarray) -> np.ndarray:
    """Inverse of `hz_to_mel`."""
    return 700 * (10 ** (np.asarray(mel) / 2595) - 1)


def band_edges_hz(options: FilterBankOptions, sample_rate_hz: float) -> np.ndarray:
    """The two ends of the range and the N centres between them, equally spaced in mel, (N + 2,) Hz.

    Raises
    ------
    SdError
        If `fmax_hz` is above half the sample rate, or the range is empty.
    """
    nyquist_hz = sample_rate_hz / 2
    fmax_hz = nyquist_hz if options.fmax_hz is None else options.fmax_hz
    if fmax_hz > nyquist_hz:
        need = f"at most {nyquist_hz}, half the sample rate"
        raise SdError("--fmax-hz", got=fmax_hz, need=need)
    if fmax_hz <= options.fmin_hz:
        need = f"less than {fmax_hz}, the upper end"
        raise SdError("--fmin-hz", got=options.fmin_hz, need=need)
    return mel_to_hz(
        np.linspace(hz_to_mel(options.fmin_hz), hz_to_mel(fmax_hz), options.num_filters + 2)
    )


def design(options: FilterBankOptions, sample_rate_hz: float) -> FilterBank:
    """Filter bank of Eq. 1 with centres equally spaced in mel.

    The bandwidth is `bandwidth_scale` times half the distance between the two neighbouring centres.
    The paper does not give bandwidths. Spatial differentiation sharpens a filter only if the filter
    is several times wider than the spacing.

    Raises
    ------
    SdError
        If the frequency range does not fit the sample rate.

    Notes
    -----
    The paper gives one centre, filter 55 at 3349.3 Hz; it is 3344.3 Hz here.

    Examples
    --------
    >>> print(f"{design(FilterBankOptions(), 16000).centre_hz[54]:.1f} Hz")
    3344.3 Hz
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
    With c = cos w, |H|^2 is 4 (1 - c^2) divided by
    4 r^2 c^2 - 4 (1 + r^2) r cos(theta) c + (1 - r^2)^2 + 4 r^2 cos^2(theta).
    It is largest at c = 2 r cos(theta) / (1 + r^2), where it is 4 / (1 - r^2)^2.
    """
    return bank.gain * 2 / (1 - bank.radius**2)


def frequency_response(bank: FilterBank, freq_hz: np.ndarray) -> np.ndarray:
    """H_i of Eq. 1 at each frequency, (num_freqs, N) complex."""
    z = np.exp(-2j * np.pi * np.asarray(freq_hz)[:, None] / bank.sample_rate_hz)
    r = bank.radius
    return bank.gain * (1 - z**2) / (1 - 2 * r * np.cos(bank.theta) * z + r**2 * z**2)


def difference_response(bank: FilterBank, order: int, freq_hz: np.ndarray) -> np.ndarray:
    """Responses of the N bands after `order` differentiations (Eq. 2), (num_freqs, N) complex.

    The last `order` bands depend on the padding of `differentiate`.
    """
    return frequency_response(bank, freq_hz) @ differentiate(np.eye(len(bank.gain)), order)


def first_difference(bank: FilterBank) -> tuple[np.ndarray, np.ndarray]:
    """The paper's closed form of the first difference (Eq. 3-5), an approximation.

    Returns
    -------
    numerators : (N - 1, 4)
        k_i (z^-1 - z^-3), coefficients of z^0 to z^-3.
    denominators : (N - 1, 5)
        1, c_i1 to c_i4.

    Notes
    -----
    The closed form makes three approximations: equal radii (the paper's r has no index; here it is
    the geometric mean of the two, as for the gains), sin(d) = d and cos(d) = 1, where
    d = (theta_(i+1) - theta_i) / 2. In the default bank the largest error is 13 % of the peak for
    filter 55 and 16 % in the median, from the radii; 82 % for filter 1, from cos(d) = 1, which
    moves a pole of filters 1 to 3 out of the unit circle; and 118 % for filter 79, from the radii.
    `difference_response` is exact.
    """
    r = np.sqrt(bank.radius[1:] * bank.radius[:-1])
    low, high = bank.theta[:-1], bank.theta[1:]
    k = -4 * r * (high - low) / 2 * np.sin((low + high) / 2)
    k *= np.sqrt(bank.gain[1:] * bank.gain[:-1])
    c1 = -4 * r * np.cos((low + high) / 2)
    c2 = 2 * r**2 * (1 + 2 * np.cos(high) * np.cos(low))
    zero, one = np.zeros_like(r), np.ones_like(r)
    return np.stack([zero, k, zero, -k], axis=1), np.stack([one, c1, c2, c1 * r**2, r**4], axis=1)


@dataclass(frozen=True)
class BandShapes:
    """Centres, peaks, widths and noise of a bank's N bands after differentiation; each (N,).

    Attributes
    ----------
    centre_hz
        Mean centre of the filters that the band combines, weighted by the size of their
        coefficients. This is the paper's rule: the centre of a difference is the mean of two.
    peak_hz, peak_db
        Frequency of the largest response, within 0.25 Hz at 16 kHz, and its level.
    width_3db_hz, width_20db_hz
        Distance between the outermost points 3 and 20 dB below the peak.
    noise_db
        Power of the band if each filter's output carries independent noise of power 1, such as
        rounding: the sum of the squared coefficients, C(2k, k) for order k.
    """

    centre_hz: np.ndarray
    peak_hz: np.ndarray
    peak_db: np.ndarray
    width_3db_hz: np.ndarray
    width_20db_hz: np.ndarray
    noise_db: np.ndarray


def fine_grid_hz(bank: FilterBank) -> np.ndarray:
    """Frequencies from 0 to half the sample rate, closer together near narrow filters.

    They are 0.5 Hz apart or less at 16 kHz.
    """
    nyquist_hz = bank.sample_rate_hz / 2
    near_hz = bank.centre_hz[:, None] + bank.bandwidth_hz[:, None] * np.linspace(-6, 6, 121)
    return np.union1d(
        np.linspace(0, nyquist_hz, 16001), near_hz[(near_hz > 0) & (near_hz < nyquist_hz)]
    )


def band_shapes(bank: FilterBank, order: int) -> BandShapes:
    """Centre, peak, widths and noise of every band after `order` differentiations.

    Raises
    ------
    SdError
        If `order` is negative, or so high that rounding may reach a thousandth of a band's peak.
    """
    freqs_hz = fine_grid_hz(bank)
    responses = np.abs(difference_response(bank, order, freqs_hz)).T
    weights = differentiate(np.eye(len(bank.gain)), order)
    rounding = np.finfo(float).eps * (peak_gain(bank) @ np.abs(weights))
    if not np.all(1000 * rounding < responses.max(axis=1)):
        need = "a lower one, because rounding may reach a thousandth of a band's peak"
        raise SdError("band_shapes", "order", got=order, need=need)
    return BandShapes(
        centre_hz=bank.centre_hz @ np.abs(weights) / np.abs(weights).sum(axis=0),
        peak_hz=freqs_hz[responses.argmax(axis=1)],
        peak_db=20 * np.log10(responses.max(axis=1)),
        width_3db_hz=np.array([_width_hz(freqs_hz, response, 3.0) for response in responses]),
        width_20db_hz=np.array([_width_hz(freqs_hz, response, 20.0) for response in responses]),
        noise_db=10 * np.log10((weights**2).sum(axis=0)),
    )


def _width_hz(freqs_hz: np.ndarray, response: np.ndarray, drop_db: float) -> float:
    """Distance between the outermost crossings of a level below the peak.

    Both exist, because Eq. 1 is zero at 0 Hz and at half the sample rate.
    """
    level = response.max() * 10 ** (-drop_db / 20)
    inside = np.flatnonzero(response >= level)
    low, high = inside[0], inside[-1]
    low_hz = np.interp(level, response[[low - 1, low]], freqs_hz[[low - 1, low]])
    return np.interp(level, response[[high + 1, high]], freqs_hz[[high + 1, high]]) - low_hz
