"""Triangular weights in closed form, and the compiled path against direct sums."""

import itertools
import math
import re

import numpy as np
import pytest
from fields import fails
from hypothesis import given
from hypothesis import strategies as st

from sdtools.features import envelope
from sdtools.features.differentiation import differentiate
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions, band_edges_hz
from sdtools.features.samples import num_frames
from sdtools.features.subbands import BLOCK, TriangularExtractor
from sdtools.features.triangular import TriangularOptions, triangular_weights

RATE_HZ = 16000


def extractor(bank=FilterBankOptions(), options=EnvelopeOptions(), **outputs):
    return TriangularExtractor(bank, options, sample_rate_hz=RATE_HZ, **outputs)


def noise(num_samples, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(num_samples)


def signals():
    n = np.arange(1600)
    modulator = 1 + 0.8 * np.cos(2 * np.pi * 60 / RATE_HZ * n)
    return {
        "noise": noise(1600),
        "quiet": 1e-4 * noise(1600),
        "coloured": np.cumsum(noise(1600)) / 10,
        "tone": 0.3 * modulator * np.sin(2 * np.pi * 3000 / RATE_HZ * n) + 1e-4 * noise(1600),
        "impulse": np.eye(1, 1600, 1000)[0],
        "silence": np.zeros(1600),
    }


def plain(samples, orders, bank, options):
    """(order number, CF, CM) by products with matrices from the definitions, in float64."""
    length, shift = options.frame_length(RATE_HZ), options.frame_shift(RATE_HZ)
    n = k = np.arange(length)
    dct = np.sqrt(2 / length) * np.cos(np.pi * np.outer(k, 2 * n + 1) / (2 * length))
    dct[0] /= np.sqrt(2)
    edges_hz, lines_hz = band_edges_hz(bank, RATE_HZ), k * RATE_HZ / (2 * length)
    triples = [edges_hz[i : i + 3] for i in range(bank.num_filters)]
    weights = np.stack([np.interp(lines_hz, triple, [0, 1, 0]) for triple in triples], axis=1)
    dft = np.exp(-2j * np.pi * np.outer(options.bins(RATE_HZ), n) / length) * np.hamming(length)
    frames = [samples[t : t + length] for t in range(0, len(samples) - length + 1, shift)]
    bands = [dct.T @ ((dct @ frame)[:, None] * weights) for frame in frames]
    freqs_hz = options.freqs_hz(RATE_HZ)
    for index, order in enumerate(orders):
        lines = np.stack([np.abs(dft @ np.abs(differentiate(y, order))) for y in bands])
        yield (
            index,
            envelope.centroid_frequency(lines, freqs_hz, options.magnitude_floor),
            envelope.centroid_magnitude(lines, freqs_hz),
        )


def centroids(triangular, samples):
    num = num_frames(len(samples), triangular.length, triangular.shift)
    _, cf, cm = zip(*triangular.centroids(samples, num))
    return np.concatenate(cf, axis=1), np.concatenate(cm, axis=1)


def test_weights_in_closed_form():
    lines_hz = np.array([0.0, 5.0, 10.0, 15.0, 30.0, 35.0, 40.0])
    weights = triangular_weights(np.array([0.0, 10.0, 30.0, 40.0]), lines_hz)
    assert weights.T.tolist() == [[0, 0.5, 1, 0.75, 0, 0, 0], [0, 0, 0, 0.25, 1, 0.5, 0]]


@given(st.integers(2, 60), st.floats(0, 500), st.floats(3000, 8000))
def test_weights_of_neighbours_add_up_to_one(num_filters, fmin_hz, fmax_hz):
    edges_hz = band_edges_hz(FilterBankOptions(num_filters, fmin_hz, fmax_hz), RATE_HZ)
    weights = triangular_weights(edges_hz, np.linspace(edges_hz[1], edges_hz[-2], 1000))
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-9)
    assert weights.min() == 0


def direct_bands(x, edges_hz):
    """Section 5 written out: DCT-II of a frame, triangles, inverse DCT of each band."""
    length = len(x)
    scale = [math.sqrt((1 if k == 0 else 2) / length) for k in range(length)]
    cosines = [
        [math.cos(math.pi * k * (n + 0.5) / length) for n in range(length)] for k in range(length)
    ]
    coefs = [scale[k] * sum(map(lambda a, b: a * b, x, cosines[k])) for k in range(length)]
    freqs_hz = [k * RATE_HZ / (2 * length) for k in range(length)]
    bands = []
    for low, centre, high in zip(edges_hz, edges_hz[1:], edges_hz[2:]):
        rising = [(f - low) / (centre - low) for f in freqs_hz]
        falling = [(high - f) / (high - centre) for f in freqs_hz]
        weights = [max(0, min(pair)) for pair in zip(rising, falling)]
        terms = [(k, scale[k] * weights[k] * coefs[k]) for k in range(length) if weights[k]]
        bands.append([sum(c * cosines[k][n] for k, c in terms) for n in range(length)])
    return bands


def direct_centroids(band, freqs_hz):
    """Eq. 6 and 7 written out."""
    length = len(band)
    lines = []
    for f in freqs_hz:
        total = 0
        for n, value in enumerate(band):
            hamming = 0.54 - 0.46 * math.cos(2 * math.pi * n / (length - 1))
            phase = 2 * math.pi * f * n / RATE_HZ
            total += hamming * abs(value) * complex(math.cos(phase), -math.sin(phase))
        lines.append(abs(total))
    moment = sum(f * line for f, line in zip(freqs_hz, lines))
    return moment / sum(lines), moment / sum(freqs_hz)


def test_against_direct_sums():
    """One frame of 80 samples through 6 bands, with the padding of section 4.2."""
    bank = FilterBankOptions(num_filters=6, fmin_hz=0.0)
    options = EnvelopeOptions(frame_length_ms=5.0, num_ceps=6)
    x, orders = noise(80), (0, 1, 2, 3, 4, 5)
    cf, cm = centroids(extractor(bank, options, orders=orders), x)
    bands = direct_bands(x.tolist(), band_edges_hz(bank, RATE_HZ).tolist())
    for index, order in enumerate(orders):
        y = bands
        for step in range(order):
            y = [[b - a for a, b in zip(*pair)] for pair in itertools.pairwise(y)]
            y.append([0.0] * 80 if step < order - 1 else y[-1])
        for i, band in enumerate(y):
            expected = direct_centroids(band, [200.0 * f for f in range(5)])
            assert (cf[index, 0, i], cm[index, 0, i]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", signals())
def test_equals_products_with_matrices(name):
    samples, bank, options = signals()[name], FilterBankOptions(), EnvelopeOptions()
    orders, floor = (0, 1, 2, 4, 6), EnvelopeOptions.magnitude_floor
    cf, cm = centroids(extractor(orders=orders), samples)
    for index, expected_cf, expected_cm in plain(samples, orders, bank, options):
        np.testing.assert_allclose(cf[index], expected_cf, rtol=1e-4)
        logs = (np.log(np.maximum(values, floor)) for values in (cm[index], expected_cm))
        np.testing.assert_allclose(*logs, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("bank", "options"),
    [
        (FilterBankOptions(num_filters=6, fmax_hz=4000.0), EnvelopeOptions(num_ceps=6)),
        (  # an odd frame length, and gaps between frames
            FilterBankOptions(num_filters=10),
            EnvelopeOptions(frame_length_ms=10.0625, frame_shift_ms=17.0, num_ceps=5),
        ),
        (
            FilterBankOptions(num_filters=10),
            EnvelopeOptions(10.125, frame_shift_ms=3.0, num_ceps=5, min_freq_hz=100.0),
        ),
    ],
)
def test_equals_products_with_matrices_at_other_settings(bank, options):
    samples, orders = noise(2000), (0, 3, 5)
    cf, cm = centroids(extractor(bank, options, orders=orders), samples)
    for index, expected_cf, expected_cm in plain(samples, orders, bank, options):
        np.testing.assert_allclose(cf[index], expected_cf, rtol=1e-4)
        np.testing.assert_allclose(cm[index], expected_cm, rtol=1e-4)


@pytest.mark.parametrize("order", range(1, 7))
def test_differences_of_signals_are_those_of_weights(order):
    """On integers, padded by hand as in section 4.2.

    The bands of order k are those of order 0 with differences as weights.
    """
    triangular = extractor(
        FilterBankOptions(num_filters=9), EnvelopeOptions(num_ceps=9), orders=(0, order)
    )
    integers = np.random.default_rng(order).integers(-9, 10, (9, 320)).tolist()
    triangular.triangles, triangular.spans = np.array(integers, float), np.array([[0, 320]] * 9)
    _, cm = centroids(triangular, noise(960))
    for step in range(order):
        integers = [[b - a for a, b in zip(*pair)] for pair in itertools.pairwise(integers)]
        integers.append([0] * 320 if step < order - 1 else integers[-1])
    triangular.triangles = np.array(integers, float)
    np.testing.assert_allclose(cm[1], centroids(triangular, noise(960))[1][0], rtol=1e-5)


def test_blocks_leave_no_trace_and_orders_alone_are_the_same_bits():
    bank, options = FilterBankOptions(num_filters=12), EnvelopeOptions(num_ceps=9)
    samples = noise(160 * (BLOCK + 21))
    together = extractor(bank, options, orders=(6, 0, 3), features=("cf", "cm", "cfcm"))(samples)
    for order in (0, 3, 6):
        subbands = extractor(bank, options, orders=(order,), features=("cf", "cm"))
        for name, alone in subbands(samples[160 * 5 :]).items():
            np.testing.assert_array_equal(together[name][5:], alone)
        assert together[f"cfcmtri_sd{order}"].shape == (BLOCK + 20, 21)
        assert together[f"cmtri_sd{order}"].dtype == np.float32


def test_silence_one_frame_and_less():
    triangular = extractor(orders=(0, 6), features=("cf", "cm"))
    silence = triangular(np.zeros(320))
    assert silence["cftri_sd6"].tolist() == [[475.0] * 80]
    expected = np.eye(1, 40)[0] * np.log(1e-10) * np.sqrt(80)
    np.testing.assert_allclose(silence["cmtri_sd6"][0], expected, atol=1e-4)
    assert triangular(noise(479))["cmtri_sd0"].shape == (1, 40)
    with fails(who="samples", got=319, need=re.compile("320, one frame")):
        triangular(noise(319))
    with fails(who="samples", what="sample 7"):
        triangular(np.where(np.arange(1600) == 7, np.nan, noise(1600)))


@pytest.mark.parametrize(("name", "value"), [("bandwidth_scale", 8.0), ("normalize_gain", True)])
def test_settings_that_triangles_do_not_have(name, value):
    with fails(who=f"--{name.replace('_', '-')}", got=value, need=re.compile("default")):
        extractor(FilterBankOptions(**{name: value}))


def test_triangle_between_two_lines():
    with fails(what=re.compile("filter 1, 103.2 to 118.2 Hz, lies between")):
        extractor(FilterBankOptions(fmin_hz=103.2, fmax_hz=1000.0))


@pytest.mark.parametrize(
    ("options", "who", "got"),
    [
        ({"num_ceps": 81}, "--num-ceps", 81),
        ({"num_ceps": 0}, "--num-ceps", 0),
        ({"num_filters": 1, "num_ceps": 1}, "--num-filters", 1),
        ({"frame_shift_ms": 0.0}, "--frame-shift-ms", 0.0),
    ],
)
def test_settings_that_make_no_bands(options, who, got):
    with fails(who=who, got=got):
        TriangularOptions(**options)


def test_frames_of_no_samples():
    with fails(got="320 samples every 0"):
        TriangularOptions(frame_shift_ms=0.001).frames(RATE_HZ)
