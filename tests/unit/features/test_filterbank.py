import functools
import math
import re

import numpy as np
import pytest
import scipy.signal
from fields import fails
from hypothesis import given
from hypothesis import strategies as st

from sdtools.features.differentiation import differentiate
from sdtools.features.filterbank import (
    FilterBank,
    FilterBankOptions,
    band_edges_hz,
    band_shapes,
    design,
    difference_response,
    first_difference,
    frequency_response,
    hz_to_mel,
    mel_to_hz,
    peak_gain,
)


def test_filter_55():
    """The paper gives 3349.3 Hz; the convention here comes within 0.2 %."""
    centre_hz = design(FilterBankOptions(), 16000).centre_hz[54]
    assert centre_hz == pytest.approx(3344.2, abs=0.1)
    assert centre_hz == pytest.approx(3349.3, rel=0.002)


def test_centres_are_equally_spaced_in_mel_without_the_ends():
    mel = hz_to_mel(
        design(FilterBankOptions(num_filters=10, fmin_hz=200, fmax_hz=6000), 16000).centre_hz
    )
    assert np.diff(mel) == pytest.approx(np.full(9, np.diff(mel)[0]))
    step = np.diff(mel)[0]
    assert mel[0] - step == pytest.approx(hz_to_mel(200.0))
    assert mel[-1] + step == pytest.approx(hz_to_mel(6000.0))


@given(st.floats(0, 1e5))
def test_mel_scale_inverts(freq_hz):
    assert mel_to_hz(hz_to_mel(freq_hz)) == pytest.approx(freq_hz, abs=1e-8, rel=1e-12)


def test_bandwidth_is_scale_times_half_the_neighbours_distance():
    options = FilterBankOptions(num_filters=5, bandwidth_scale=3.0)
    edges = band_edges_hz(options, 16000)
    expected = [3.0 * (edges[i + 2] - edges[i]) / 2 for i in range(5)]
    assert design(options, 16000).bandwidth_hz == pytest.approx(expected)


def test_every_filter_is_stable():
    poles = np.array([np.roots(a) for a in design(FilterBankOptions(), 16000).denominators])
    assert np.abs(poles).max() < 1


def test_response_equals_scipy():
    bank = design(FilterBankOptions(num_filters=7, normalize_gain=True), 16000)
    freqs_hz = np.linspace(1, 7999, 500)
    for i, (b, a) in enumerate(zip(bank.numerators, bank.denominators)):
        _, expected = scipy.signal.freqz(b, a, freqs_hz, fs=16000)
        np.testing.assert_allclose(frequency_response(bank, freqs_hz)[:, i], expected, rtol=1e-10)


@pytest.mark.parametrize("scale", [0.5, 1, 12])
def test_peak_gain_is_the_largest(scale):
    bank = design(FilterBankOptions(num_filters=12, bandwidth_scale=scale), 16000)
    grid = np.abs(frequency_response(bank, np.linspace(0, 8000, 160001))).max(axis=0)
    np.testing.assert_allclose(peak_gain(bank), grid, rtol=1e-6)
    np.testing.assert_allclose(
        peak_gain(
            design(
                FilterBankOptions(num_filters=12, bandwidth_scale=scale, normalize_gain=True), 16000
            )
        ),
        1,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_filters", 1), ("fmin_hz", -1.0), ("fmax_hz", 99.0), ("bandwidth_scale", 0.0)],
)
def test_settings_that_make_no_bank(name, value):
    with fails(who=f"--{name.replace('_', '-')}", got=value):
        FilterBankOptions(**{name: value})


def test_range_that_does_not_fit_the_rate():
    with fails(who="--fmax-hz", got=8000.0, need=re.compile("at most 4000.0")):
        design(FilterBankOptions(fmax_hz=8000.0), 8000)
    with fails(who="--fmin-hz", got=5000.0, need=re.compile("less than 4000.0")):
        design(FilterBankOptions(fmin_hz=5000.0), 8000)


@pytest.mark.parametrize("normalize_gain", [False, True])
@pytest.mark.parametrize("scale", [0.01, 1, 12])
def test_shapes_of_single_filters_equal_the_closed_form(scale, normalize_gain):
    """Of cos w, |H|^2 is a ratio of quadratics (`peak_gain`): peak and crossings are its roots."""
    bank = design(FilterBankOptions(bandwidth_scale=scale, normalize_gain=normalize_gain), 16000)
    shapes, r, cos = band_shapes(bank, 0), bank.radius, np.cos(bank.theta)
    np.testing.assert_array_equal(shapes.centre_hz, bank.centre_hz)
    np.testing.assert_allclose(shapes.peak_db, 20 * np.log10(peak_gain(bank)), atol=1e-3)
    np.testing.assert_allclose(
        shapes.peak_hz, np.arccos(2 * r * cos / (1 + r**2)) * 8000 / np.pi, atol=0.2501
    )
    for drop_db, width_hz in ((3.0, shapes.width_3db_hz), (20.0, shapes.width_20db_hz)):
        level = 4 / (1 - r**2) ** 2 * 10 ** (-drop_db / 10)
        quadratics = np.stack(
            [
                4 + 4 * r**2 * level,
                -4 * level * (1 + r**2) * r * cos,
                level * ((1 - r**2) ** 2 + 4 * r**2 * cos**2) - 4,
            ],
            1,
        )
        expected = [abs(np.diff(np.arccos(np.roots(q)))[0]) * 8000 / np.pi for q in quadratics]
        np.testing.assert_allclose(width_hz, expected, rtol=0.005 if scale < 1 else 2e-4)


def test_response_of_differences_is_that_of_differentiated_bands():
    bank = design(FilterBankOptions(num_filters=12), 16000)
    impulse = np.zeros(16000)
    impulse[0] = 1
    bands = np.stack(
        [scipy.signal.lfilter(b, a, impulse) for b, a in zip(bank.numerators, bank.denominators)],
        axis=1,
    )
    for order in (0, 1, 4):
        expected = np.fft.rfft(differentiate(bands, order), axis=0)
        np.testing.assert_allclose(
            difference_response(bank, order, np.fft.rfftfreq(16000, 1 / 16000)), expected, atol=1e-9
        )


def transfer_function(bank, order, first):
    """Exact polynomials of the difference from filter `first` (from 0), multiplied out."""
    denominators = bank.denominators[first : first + order + 1]
    total = np.zeros(2 * order + 3)
    for j in range(order + 1):
        others = functools.reduce(np.convolve, np.delete(denominators, j, axis=0), [1.0])
        total += (
            (-1) ** (order - j)
            * math.comb(order, j)
            * np.convolve(bank.numerators[first + j], others)
        )
    return total, functools.reduce(np.convolve, denominators)


@pytest.mark.parametrize("order", range(7))
def test_difference_of_order_k_has_2k_plus_2_poles(order):
    """Not 2^(k+1). The zeros of the denominator are the filters' poles.

    None cancels, because each residue is that of its filter.
    """
    bank = design(FilterBankOptions(), 16000)
    numerator, denominator = transfer_function(bank, order, 54)
    _, expected = scipy.signal.freqz(
        numerator, denominator, [1000.0, 3300.0, 3764.0, 6000.0], fs=16000
    )
    np.testing.assert_allclose(
        difference_response(bank, order, np.array([1000.0, 3300.0, 3764.0, 6000.0]))[:, 54],
        expected,
        rtol=1e-7,
    )
    poles = np.roots(denominator)
    assert len(poles) == 2 * (order + 1) and np.abs(poles).max() < 1
    for j in range(order + 1):
        for sign in (1, -1):
            pole = bank.radius[54 + j] * np.exp(sign * 1j * bank.theta[54 + j])
            assert np.abs(poles - pole).min() < 1e-4
            own = np.polyval(bank.numerators[54 + j], pole) / np.polyval(
                np.polyder(bank.denominators[54 + j]), pole
            )
            residue = np.polyval(numerator, pole) / np.polyval(np.polyder(denominator), pole) / pole
            assert residue == pytest.approx(
                (-1) ** (order - j) * math.comb(order, j) * own / pole, rel=1e-4
            )


def test_one_filter_of_high_order_would_be_unstable():
    """Section 2's reason to differentiate outputs.

    The sixth difference at filter 1, as one filter with 14 poles, diverges in float64.
    """
    bank = design(FilterBankOptions(), 16000)
    impulse = np.zeros(1600)
    impulse[0] = 1
    outputs = [
        scipy.signal.lfilter(b, a, impulse)
        for b, a in zip(bank.numerators[:7], bank.denominators[:7])
    ]
    assert np.abs(differentiate(np.stack(outputs, axis=1), 6)[1000:, 0]).max() < 1e-12
    assert np.abs(scipy.signal.lfilter(*transfer_function(bank, 6, 0), impulse)).max() > 1e20


def test_error_of_the_closed_form():
    """Eq. 3-5 against Eq. 2: the figures of `first_difference`, largest error over the peak."""
    bank = design(FilterBankOptions(), 16000)
    freqs_hz = np.linspace(0, 8000, 8001)
    exact = difference_response(bank, 1, freqs_hz)[:, :-1].T
    numerators, denominators = first_difference(bank)
    closed = np.array(
        [scipy.signal.freqz(b, a, freqs_hz, fs=16000)[1] for b, a in zip(numerators, denominators)]
    )
    error = np.abs(closed - exact).max(axis=1) / np.abs(exact).max(axis=1)
    assert [error[54], np.median(error), error[0], error[78]] == pytest.approx(
        [0.13, 0.16, 0.82, 1.18], abs=0.005
    )
    unstable = [i for i, a in enumerate(denominators, 1) if np.abs(np.roots(a)).max() > 1]
    assert unstable == [1, 2, 3]
    equal_radii = FilterBank(bank.centre_hz, np.full(80, bank.bandwidth_hz[54]), bank.gain, 16000)
    b, a = (polynomials[54] for polynomials in first_difference(equal_radii))
    exact = difference_response(equal_radii, 1, freqs_hz)[:, 54]
    assert (
        np.abs(scipy.signal.freqz(b, a, freqs_hz, fs=16000)[1] - exact).max() / np.abs(exact).max()
        < 0.01
    )


@given(st.floats(0.2, 2.8), st.floats(1e-4, 0.02), st.floats(5, 3000))
def test_closed_form_is_exact_in_the_limit(theta, distance, bandwidth_hz):
    """With equal radii what is left of the error in k is that of sin(d), in c that of cos(d)."""
    bank = FilterBank(
        np.array([theta, theta + distance]) * 8000 / np.pi,
        np.full(2, bandwidth_hz),
        np.full(2, 0.5),
        16000,
    )
    (numerator,), (denominator,) = first_difference(bank)
    exact_numerator, exact_denominator = transfer_function(bank, 1, 0)
    np.testing.assert_allclose(
        np.append(numerator, 0), exact_numerator, rtol=distance**2, atol=1e-15
    )
    np.testing.assert_allclose(denominator, exact_denominator, rtol=distance**2, atol=1e-15)


@pytest.mark.parametrize("order", range(7))
def test_noise_grows_with_the_squares_of_the_binomials(order):
    """Also in a run: noise that is independent from band to band."""
    shapes = band_shapes(design(FilterBankOptions(), 16000), order)
    assert sum(math.comb(order, j) ** 2 for j in range(order + 1)) == math.comb(2 * order, order)
    assert shapes.noise_db[: 80 - order] == pytest.approx(
        10 * math.log10(math.comb(2 * order, order))
    )
    noise = np.random.default_rng(0).standard_normal((200000, 10))
    assert 10 * np.log10(np.mean(differentiate(noise, order)[:, 0] ** 2)) == pytest.approx(
        shapes.noise_db[0], abs=0.05
    )


def test_rounding_to_single_precision_comes_near_at_order_6():
    """The figures of docs/differentiation.md: why filters and differences are float64."""
    bank = design(FilterBankOptions(), 16000)
    samples = np.random.default_rng(0).standard_normal(32000)
    bands = np.stack(
        [
            scipy.signal.lfilter(b, a, samples)
            for b, a in zip(bank.numerators[54:61], bank.denominators[54:61])
        ],
        axis=1,
    )
    rounded = bands.astype(np.float32).astype(float)
    ratios_db = []
    for order in (0, 6):
        exact = differentiate(bands, order)[:, 0]
        ratios_db.append(
            10
            * np.log10(
                np.mean(exact**2) / np.mean((differentiate(rounded, order)[:, 0] - exact) ** 2)
            )
        )
    assert ratios_db == pytest.approx([152, 78], abs=0.6)


def widths_of_filter_55(scale, orders):
    bank = design(FilterBankOptions(bandwidth_scale=scale), 16000)
    return [band_shapes(bank, order).width_3db_hz[54] for order in orders]


def test_differences_sharpen_wide_filters_and_blur_narrow_ones():
    """Figure 1, and the reason for bandwidth_scale 12.

    With the bandwidth of the spacing, the sixth difference is wider than the filter.
    """
    bank = design(FilterBankOptions(), 16000)
    shapes = [band_shapes(bank, order) for order in range(7)]
    for width in ("width_3db_hz", "width_20db_hz"):
        wide = [getattr(each, width)[54] for each in shapes]
        assert np.all(np.diff(wide) < 0) and wide[6] < wide[0] / 2
    wide = [shapes[order].width_3db_hz[54] for order in (0, 6)]
    narrow = widths_of_filter_55(1.0, (0, 6))
    assert narrow[1] > 2 * narrow[0]
    assert [*wide, *narrow] == pytest.approx([1357, 578, 119, 284], abs=1)  # in README.md
    for scale, falls in ((6.0, False), (8.0, True)):  # docs/differentiation.md
        assert np.all(np.diff(widths_of_filter_55(scale, range(7))) < 0) == falls


def test_order_that_is_lost_in_rounding():
    with fails(who="band_shapes", what="order", got=12, need=re.compile("rounding")):
        band_shapes(design(FilterBankOptions(num_filters=80, bandwidth_scale=200.0), 16000), 12)
