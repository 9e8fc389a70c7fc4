"""Design of the bank of second-order bandpass filters (Eq. 1), what differentiation makes of it (Eq. 2-5), and how wide that is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sdtools.features.differentiation import differentiate


@dataclass(frozen=True)
class FilterBankOptions:
    """Settings of the filter bank."""

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
            "help": "bandwidth over half the distance of the two neighbours; not determined by the paper"
        },
    )
    normalize_gain: bool = field(
        default=False,
        metadata={"help": "scale each filter's peak to 1; not determined by the paper"},
    )

    def __post_init__(self):
        if self.num_filters < 2:
            raise ValueError(
                f"FilterBankOptions: num_filters: got {self.num_filters}, need 2 or more (differences take two bands)"
            )
        if not self.fmin_hz >= 0:
            raise ValueError(f"FilterBankOptions: fmin_hz: got {self.fmin_hz}, need 0 or more")
        if self.fmax_hz is not None and not self.fmax_hz > self.fmin_hz:
            raise ValueError(
                f"FilterBankOptions: fmax_hz: got {self.fmax_hz}, need more than fmin_hz = {self.fmin_hz}"
            )
        if not self.bandwidth_scale > 0:
            raise ValueError(
                f"FilterBankOptions: bandwidth_scale: got {self.bandwidth_scale}, need more than 0"
            )


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
        raise ValueError(
            f"filter bank: fmax_hz: got {fmax_hz}, need at most {nyquist_hz}, half the sample rate"
        )
    if fmax_hz <= options.fmin_hz:
        raise ValueError(
            f"filter bank: fmin_hz: got {options.fmin_hz}, need less than {fmax_hz}, the upper end. Lower --fmin-hz"
        )
    return mel_to_hz(
        np.linspace(hz_to_mel(options.fmin_hz), hz_to_mel(fmax_hz), options.num_filters + 2)
    )


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
    The paper's one published centre, filter 55 at 3349.3 Hz, is 3344.3 Hz here (`test_filterbank.py::test_filter_55`).
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


def difference_response(bank: FilterBank, order: int, freq_hz: np.ndarray) -> np.ndarray:
    """Responses of the N bands after `order` differentiations (Eq. 2), (num_freqs, N) complex.

    The last `order` bands are what the padding of `sdtools.differentiation.differentiate` makes them.
    """
    return frequency_response(bank, freq_hz) @ differentiate(np.eye(len(bank.gain)), order)


def first_difference(bank: FilterBank) -> tuple[np.ndarray, np.ndarray]:
    """The paper's closed form of the first difference (Eq. 3-5), an approximation of what `difference_response` has exactly.

    Returns
    -------
    numerators : (N - 1, 4)
        k_i (z^-1 - z^-3), coefficients of z^0 to z^-3.
    denominators : (N - 1, 5)
        1, c_i1 to c_i4.

    Notes
    -----
    Three things are taken as equal: the two radii (here their geometric mean, as for the gains; the paper's r has no index), sin(d)
    and d, and cos(d) and 1, where d = (theta_(i+1) - theta_i) / 2. In the default bank the largest error is 13 % of the peak for filter
    55, median 16 %, from the radii; 82 % for filter 1, from cos(d) = 1, which moves a pole of filters 1 to 3 out of the unit circle,
    where no true difference has one; 118 % for filter 79, where the radii matter most
    (`test_filterbank.py::test_error_of_the_closed_form`).
    """
    r = np.sqrt(bank.radius[1:] * bank.radius[:-1])
    low, high = bank.theta[:-1], bank.theta[1:]
    k = (
        -4
        * r
        * (high - low)
        / 2
        * np.sin((low + high) / 2)
        * np.sqrt(bank.gain[1:] * bank.gain[:-1])
    )
    c1 = -4 * r * np.cos((low + high) / 2)
    c2 = 2 * r**2 * (1 + 2 * np.cos(high) * np.cos(low))
    zero, one = np.zeros_like(r), np.ones_like(r)
    return np.stack([zero, k, zero, -k], axis=1), np.stack([one, c1, c2, c1 * r**2, r**4], axis=1)


@dataclass(frozen=True)
class BandShapes:
    """Responses of a bank's N bands after some differentiations, in figures; each attribute (N,).

    Attributes
    ----------
    centre_hz
        Mean of the centres of the filters that a band is made of, weighted by the size of their coefficients: the paper's rule that the
        centre of a difference is the mean of its two centres.
    peak_hz, peak_db
        Where the response is largest, within 0.25 Hz at 16 kHz, and how large.
    width_3db_hz, width_20db_hz
        Distance of the outermost points 3 and 20 dB below the peak; a comb counts whole.
    noise_db
        Power of the band for noise of power 1 that is independent from filter to filter, such as rounding: sum of the squared
        coefficients, C(2k, k) for order k (`test_filterbank.py::test_noise_grows_with_the_squares_of_the_binomials`).
    """

    centre_hz: np.ndarray
    peak_hz: np.ndarray
    peak_db: np.ndarray
    width_3db_hz: np.ndarray
    width_20db_hz: np.ndarray
    noise_db: np.ndarray


def fine_grid_hz(bank: FilterBank) -> np.ndarray:
    """Frequencies from 0 to half the sample rate, every 0.5 Hz at 16 kHz, and closer near the centres of narrow filters."""
    nyquist_hz = bank.sample_rate_hz / 2
    near_hz = bank.centre_hz[:, None] + bank.bandwidth_hz[:, None] * np.linspace(-6, 6, 121)
    return np.union1d(
        np.linspace(0, nyquist_hz, 16001), near_hz[(near_hz > 0) & (near_hz < nyquist_hz)]
    )


def band_shapes(bank: FilterBank, order: int) -> BandShapes:
    """Centre, peak, widths and noise of every band after `order` differentiations.

    Raises
    ------
    ValueError
        If `order` is negative, or so high that rounding may reach a thousandth of a band's peak.
    """
    freqs_hz = fine_grid_hz(bank)
    responses = np.abs(difference_response(bank, order, freqs_hz)).T
    weights = differentiate(np.eye(len(bank.gain)), order)
    rounding = np.finfo(float).eps * (peak_gain(bank) @ np.abs(weights))
    if not np.all(1000 * rounding < responses.max(axis=1)):
        raise ValueError(
            f"band_shapes: order: got {order}, need a lower one; rounding may reach a thousandth of a band's peak"
        )
    return BandShapes(
        centre_hz=bank.centre_hz @ np.abs(weights) / np.abs(weights).sum(axis=0),
        peak_hz=freqs_hz[responses.argmax(axis=1)],
        peak_db=20 * np.log10(responses.max(axis=1)),
        width_3db_hz=np.array([_width_hz(freqs_hz, response, 3.0) for response in responses]),
        width_20db_hz=np.array([_width_hz(freqs_hz, response, 20.0) for response in responses]),
        noise_db=10 * np.log10((weights**2).sum(axis=0)),
    )


def _width_hz(freqs_hz: np.ndarray, response: np.ndarray, drop_db: float) -> float:
    """Distance of the outermost crossings of a level below the peak; both exist, as Eq. 1 is zero at 0 Hz and at half the sample rate."""
    level = response.max() * 10 ** (-drop_db / 20)
    inside = np.flatnonzero(response >= level)
    low, high = inside[0], inside[-1]
    low_hz = np.interp(level, response[[low - 1, low]], freqs_hz[[low - 1, low]])
    return np.interp(level, response[[high + 1, high]], freqs_hz[[high + 1, high]]) - low_hz
