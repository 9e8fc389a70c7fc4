"""Linear prediction and envelopes against direct sums and known modulators, and laws."""

import math
import re

import numpy as np
import pytest
from fields import fails

from sdtools.features.fdlp import FdlpExtractor, FdlpOptions, autocorrelation, linear_prediction
from sdtools.features.triangular import TriangularOptions

RATE_HZ = 16000


def extractor(bands=TriangularOptions(), options=FdlpOptions()):
    return FdlpExtractor(bands, options, sample_rate_hz=RATE_HZ)


def noise(num_samples, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(num_samples)


def test_temporal_centroid_in_closed_form():
    """Eq. 7 in time: 3 for e = 3, (2 L + 1) / 3 for e[n] = n.

    Only the middle of each four samples is seen.
    """
    tc, n = extractor(), np.arange(2.5, 960, 4, dtype=np.float32)
    np.testing.assert_allclose(
        tc.temporal_centroids(np.full((2, 240), 3, np.float32)), np.full((5, 2), 3.0), rtol=1e-6
    )
    expected = (2 * 320 + 1) / 3 + 160 * np.arange(5)[:, None]
    np.testing.assert_allclose(tc.temporal_centroids(n[None]), expected, rtol=1e-4)
    tc.step = 1
    np.testing.assert_allclose(
        tc.temporal_centroids(np.arange(1, 961, dtype=np.float32)[None]), expected, rtol=1e-6
    )


@pytest.mark.parametrize("freq_hz", [8.0, 3.0, 12.0])
@pytest.mark.parametrize("band", [54, 66, 79])
def test_envelope_follows_a_known_modulator(freq_hz, band):
    tc, t = extractor(), np.arange(RATE_HZ) / RATE_HZ
    modulator = 1 + 0.8 * np.cos(2 * np.pi * freq_hz * t + 1)
    envelope = tc.envelopes(0.3 * modulator * np.sin(2 * np.pi * tc.edges_hz[band + 1] * t))[band]
    assert np.corrcoef(envelope, modulator.reshape(-1, 4).mean(axis=1))[0, 1] > 0.99


def test_envelope_of_a_tone_is_its_amplitude():
    tc, t = extractor(), np.arange(RATE_HZ) / RATE_HZ
    envelope = tc.envelopes(0.3 * np.sin(2 * np.pi * tc.edges_hz[55] * t))[54]
    assert np.mean(envelope**2) == pytest.approx(0.3**2, rel=0.02)


@pytest.mark.parametrize("time", [2000, 8001, 15000])
def test_envelope_of_a_click_peaks_at_it(time):
    envelopes = extractor().envelopes(np.eye(1, RATE_HZ, time)[0])
    assert np.abs(4 * envelopes[40:].argmax(axis=1) + 1.5 - time).max() < 48  # 3 ms


def test_autocorrelation_against_direct_sums():
    signals = noise(90).reshape(3, 30)
    expected = [[sum(s[k] * s[k + m] for k in range(30 - m)) for m in range(8)] for s in signals]
    np.testing.assert_allclose(autocorrelation(signals, 7), expected, atol=1e-14)


def test_linear_prediction_solves_the_normal_equations():
    lags = autocorrelation(noise(400).reshape(4, 100), 12)
    lags[3] = 0
    filters, errors = linear_prediction(lags)
    for r, a, error in zip(lags[:3], filters, errors):
        matrix = r[np.abs(np.subtract.outer(np.arange(12), np.arange(12)))]
        np.testing.assert_allclose(a[1:], np.linalg.solve(matrix, -r[1:]), atol=1e-7)
        assert a[0] == 1 and error == pytest.approx(r @ a, rel=1e-6)
    assert errors[3] == 0 and filters[3].tolist() == [1] + [0] * 12


def test_envelopes_against_direct_sums():
    """A segment of 160 samples through 4 bands: DCT, triangle and 1 / |A| written out."""
    tc, x, size = (
        extractor(TriangularOptions(4, 100.0, num_ceps=4, frame_length_ms=5.0)),
        noise(160),
        160,
    )
    tc.step, order = 1, 1  # 100 poles a second for 10 ms
    k, n = np.arange(size), np.arange(size) + 0.5
    coefs = np.array(
        [math.sqrt((1 if j == 0 else 2) / size) * (x @ np.cos(np.pi * j * n / size)) for j in k]
    )
    envelopes = tc.envelopes(x)
    for i in range(4):
        s = coefs * np.interp(k * RATE_HZ / (2 * size), tc.edges_hz[i : i + 3], [0, 1, 0])
        r = [s @ s, s[:-1] @ s[1:]]
        a = [1, -r[1] / r[0]]
        gain = r[0] * (1 - (r[1] / r[0]) ** 2)
        transfer = sum(a[m] * np.exp(-1j * np.pi * m * n / size) for m in range(order + 1))
        np.testing.assert_allclose(
            envelopes[i], np.sqrt(2 * gain / size) / np.abs(transfer), rtol=1e-6
        )


def test_power_over_a_segment_is_that_of_the_band():
    """Twice the energy of the DCT coefficients: prediction keeps lag 0."""
    tc, samples = extractor(), noise(RATE_HZ)
    tc.step = 1
    np.testing.assert_allclose(
        (tc.envelopes(samples).astype(float) ** 2).sum(axis=1),
        2 * (tc.subbands(samples) ** 2).sum(axis=1),
        rtol=1e-3,
    )


@pytest.mark.parametrize(
    "samples", [noise(12000), np.cumsum(noise(12000)) / 10, np.eye(1, 12000, 5001)[0]]
)
def test_every_fourth_value_is_enough(samples):
    tc = extractor()
    fourth = np.log(tc.temporal_centroids(tc.envelopes(samples)))
    tc.step = 1
    np.testing.assert_allclose(
        fourth, np.log(tc.temporal_centroids(tc.envelopes(samples))), atol=2e-3
    )


def test_segments_meet_where_frames_do():
    """2.5 s become segments of equal length; the last one ends with the last frame."""
    tc, samples = extractor(), noise(40000)
    feats = tc(samples)["tc"]
    assert feats.shape == (249, 40) and feats.dtype == np.float32
    num = 89  # three segments need 83 frames; 90 shifts transform faster than 84
    for first in (0, num, 249 - num):
        alone = tc(samples[first * 160 :][: 90 * 160])["tc"]
        last = 249 - num if first == num else first + num  # where the last segment begins
        np.testing.assert_array_equal(feats[first:last], alone[: last - first])


@pytest.mark.parametrize("num_samples", [320, 479, 480, 5000, 16160, 17000, 33333])
def test_any_length_gives_whole_frames(num_samples):
    feats = extractor()(noise(num_samples))["tc"]
    assert feats.shape == (1 + (num_samples - 320) // 160, 40) and np.isfinite(feats).all()


def test_more_poles_than_values_are_as_many_as_there_are():
    assert np.isfinite(extractor(options=FdlpOptions(poles_per_sec=1e5))(noise(480))["tc"]).all()


def test_level_moves_only_the_zeroth_cepstrum():
    loud, soft = (extractor()(gain * noise(8000))["tc"] for gain in (1, 0.125))
    np.testing.assert_allclose(loud[:, 0] - soft[:, 0], np.log(8) * np.sqrt(80), rtol=1e-5)
    np.testing.assert_allclose(soft[:, 1:], loud[:, 1:], atol=1e-4)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(4000), np.full(4000, 0.25), np.repeat([0.0, 0.5], 2000), np.tile([0.5, -0.5], 2000)],
)
def test_signals_that_are_predicted_without_error_are_finite(samples):
    assert np.isfinite(extractor()(samples)["tc"]).all()


def test_silence_is_floored():
    np.testing.assert_allclose(
        extractor()(np.zeros(480))["tc"],
        np.tile(np.eye(1, 40) * np.log(1e-10) * np.sqrt(80), (2, 1)),
        atol=1e-4,
    )


def test_recording_that_gives_no_features():
    with fails(who="samples", got=319, need=re.compile("320, one frame")):
        extractor()(noise(319))
    with fails(who="samples", what="sample 7"):
        extractor()(np.where(np.arange(1600) == 7, np.nan, noise(1600)))


@pytest.mark.parametrize(
    ("make", "fields"),
    [
        (lambda: FdlpOptions(segment_ms=0.0), {"who": "--segment-ms", "got": 0.0}),
        (lambda: FdlpOptions(poles_per_sec=-1.0), {"who": "--poles-per-sec", "got": -1.0}),
        (
            lambda: extractor(options=FdlpOptions(segment_ms=19.0)),
            {"who": "--segment-ms", "got": 19.0, "need": re.compile("one frame, 20.0 ms")},
        ),
        (
            lambda: extractor(TriangularOptions(frame_length_ms=5.0, num_filters=200)),
            {"who": "triangular bank", "what": re.compile("filter 2, ")},
        ),
    ],
)
def test_settings_that_make_no_envelope(make, fields):
    with fails(**fields):
        make()
