import re

import numpy as np
import pytest
import scipy.fft
from fields import fails

from sdtools.features import envelope
from sdtools.features.envelope import EnvelopeOptions

RATE_HZ = 16000


def test_frequencies_of_the_paper():
    options = EnvelopeOptions()
    assert (options.frame_length(RATE_HZ), options.frame_shift(RATE_HZ)) == (320, 160)
    assert options.freqs_hz(RATE_HZ).tolist() == [50.0 * k for k in range(20)]


def test_window_is_the_symmetric_hamming_window():
    np.testing.assert_allclose(envelope.window(320), np.hamming(320))


def test_spectrum_against_direct_sums():
    rng = np.random.default_rng(0)
    bands = rng.standard_normal((700, 3))
    got = envelope.spectrum(bands, EnvelopeOptions(), RATE_HZ)
    assert got.shape == (3, 20, 3)
    n = np.arange(320)
    for t in range(3):
        frame = np.abs(bands[160 * t : 160 * t + 320]) * np.hamming(320)[:, None]
        for k in range(20):
            expected = np.abs((frame * np.exp(-2j * np.pi * k * n / 320)[:, None]).sum(axis=0))
            np.testing.assert_allclose(got[t, k], expected, rtol=1e-9, atol=1e-10)


def test_spectrum_of_less_than_a_frame_is_empty():
    assert envelope.spectrum(np.ones((319, 2)), EnvelopeOptions(), RATE_HZ).shape == (0, 20, 2)


def test_centroids_in_closed_form():
    freqs_hz = np.array([0.0, 100.0, 200.0])
    magnitudes = np.array([[[2.0], [1.0], [1.0]]])
    assert envelope.centroid_frequency(magnitudes, freqs_hz, 0.0) == pytest.approx(300 / 4)  # Eq. 6
    assert envelope.centroid_magnitude(magnitudes, freqs_hz) == pytest.approx(300 / 300)  # Eq. 7


def test_silence_has_the_mean_frequency():
    cf = envelope.centroid_frequency(np.zeros((2, 20, 3)), np.arange(20) * 50.0, 1e-10)
    assert (cf == 475.0).all()


def test_tone_with_slow_beat_has_its_centroid_at_the_beat():
    """|sin| of a band around 2 kHz that beats at 200 Hz: beyond 0 Hz the largest line is 200 Hz."""
    t = np.arange(3200) / RATE_HZ
    band = (1 + 0.9 * np.cos(2 * np.pi * 200 * t)) * np.sin(2 * np.pi * 2000 * t)
    lines = envelope.spectrum(band[:, None], EnvelopeOptions(), RATE_HZ)[:, 1:, 0]
    assert (lines.argmax(axis=1) == 3).all()


def test_cepstrum_against_scipy():
    cm = np.random.default_rng(1).random((5, 80)) + 0.1
    expected = scipy.fft.dct(np.log(cm), norm="ortho", axis=1)[:, :40]
    np.testing.assert_allclose(envelope.magnitude_cepstrum(cm, 40, 1e-10), expected, atol=1e-12)


def test_cepstrum_of_silence_is_finite():
    assert np.isfinite(envelope.magnitude_cepstrum(np.zeros((2, 8)), 4, 1e-10)).all()


def test_more_cepstra_than_bands():
    with fails(who="--num-ceps", got=9, need=re.compile("8, the number of bands")):
        envelope.magnitude_cepstrum(np.ones((2, 8)), 9, 1e-10)


@pytest.mark.parametrize(
    ("name", "value"),
    [("frame_length_ms", 0.0), ("frame_shift_ms", -1.0), ("num_ceps", 0), ("magnitude_floor", 0.0)],
)
def test_settings_that_make_no_envelope(name, value):
    with fails(who=f"--{name.replace('_', '-')}", got=value):
        EnvelopeOptions(**{name: value})


@pytest.mark.parametrize("ends_hz", [(500.0, 400.0), (-1.0, 400.0), (0.0, 0.0)])
def test_frequencies_that_are_no_range(ends_hz):
    with fails(who="--min-freq-hz, --max-freq-hz", got=f"{ends_hz[0]} and {ends_hz[1]}"):
        EnvelopeOptions(min_freq_hz=ends_hz[0], max_freq_hz=ends_hz[1])


def test_frequency_above_half_the_rate():
    with fails(who="--max-freq-hz", got=9000.0, need=re.compile("at most 8000")):
        EnvelopeOptions(max_freq_hz=9000.0).bins(RATE_HZ)


def test_no_frequency_between_the_limits():
    with fails(got="10.0 to 40.0 Hz", need=re.compile("multiple of 50 Hz")):
        EnvelopeOptions(min_freq_hz=10.0, max_freq_hz=40.0).bins(RATE_HZ)
