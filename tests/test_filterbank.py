import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from sdtools.filterbank import FilterBankOptions, band_edges_hz, design, frequency_response, hz_to_mel, mel_to_hz, peak_gain


def test_filter_55():
    """The paper gives 3349.3 Hz; the convention here comes within 0.2 %."""
    centre_hz = design(FilterBankOptions(), 16000).centre_hz[54]
    assert centre_hz == pytest.approx(3344.2, abs=0.1)
    assert centre_hz == pytest.approx(3349.3, rel=0.002)


def test_centres_are_equally_spaced_in_mel_without_the_ends():
    mel = hz_to_mel(design(FilterBankOptions(num_filters=10, fmin_hz=200, fmax_hz=6000), 16000).centre_hz)
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
    grid = np.abs(frequency_response(bank, np.linspace(0, 8000, 400001))).max(axis=0)
    np.testing.assert_allclose(peak_gain(bank), grid, rtol=1e-6)
    np.testing.assert_allclose(peak_gain(design(FilterBankOptions(num_filters=12, bandwidth_scale=scale, normalize_gain=True), 16000)), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_filters": 1}, "num_filters: got 1, need 2"),
        ({"fmin_hz": -1.0}, "fmin_hz: got -1"),
        ({"fmin_hz": 500.0, "fmax_hz": 400.0}, "fmax_hz: got 400.0, need more than fmin_hz"),
        ({"bandwidth_scale": 0.0}, "bandwidth_scale: got 0"),
    ],
)
def test_settings_that_make_no_bank(options, message):
    with pytest.raises(ValueError, match=message):
        FilterBankOptions(**options)


def test_range_that_does_not_fit_the_rate():
    with pytest.raises(ValueError, match=r"fmax_hz: got 8000.0, need at most 4000.0"):
        design(FilterBankOptions(fmax_hz=8000.0), 8000)
    with pytest.raises(ValueError, match=r"fmin_hz: got 5000.0, need less than 4000.0"):
        design(FilterBankOptions(fmin_hz=5000.0), 8000)


def width_hz(scale, order, drop_db=3.0):
    """Distance of the outermost points of filter 55's difference within `drop_db` of its peak (combs count whole)."""
    freqs_hz = np.arange(1, 8000.0)
    response = np.abs(np.diff(frequency_response(design(FilterBankOptions(bandwidth_scale=scale), 16000), freqs_hz), order, axis=1)[:, 54])
    inside = freqs_hz[response >= response.max() * 10 ** (-drop_db / 20)]
    return inside[-1] - inside[0]


@pytest.mark.parametrize("drop_db", [3.0, 20.0])
def test_differences_sharpen_wide_filters_and_blur_narrow_ones(drop_db):
    """Figure 1, and why bandwidth_scale is 12: with the bandwidth of the spacing the sixth difference is a comb."""
    wide = [width_hz(12.0, order, drop_db) for order in range(7)]
    assert np.all(np.diff(wide) < 0) and wide[6] < wide[0] / 2
    narrow = [width_hz(1.0, order) for order in (0, 6)]
    assert narrow[1] > 2 * narrow[0]
    if drop_db == 3.0:  # the figures in README.md
        assert [wide[0], wide[6], *narrow] == pytest.approx([1357, 577, 118, 283], abs=2)
