"""Triangular weights in closed form, the compiled path against direct sums, and laws that it must keep."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdtools.audio import decoding as audio
from sdtools.bin import compute_feats
from sdtools.features import envelope
from sdtools.features.differentiation import differentiate
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions, band_edges_hz
from sdtools.features.subbands import BLOCK, TriangularExtractor
from sdtools.features.triangular import TriangularOptions, triangular_weights
from sdtools.tables import table as tables

RATE_HZ = 16000


def noise(num_samples, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(num_samples)


def signals():
    n = np.arange(2400)
    tone = (
        0.3
        * (1 + 0.8 * np.cos(2 * np.pi * 60 / RATE_HZ * n))
        * np.sin(2 * np.pi * 3000 / RATE_HZ * n)
    )
    return {
        "noise": noise(2400),
        "quiet": 1e-4 * noise(2400),
        "coloured": np.cumsum(noise(2400)) / 10,
        "tone": tone + 1e-4 * noise(2400),
        "impulse": np.eye(1, 2400, 1000)[0],
        "silence": np.zeros(2400),
    }


def plain(samples, orders, bank, options):
    """(order number, CF, CM) by products with matrices written down from the definitions, in float64."""
    length, shift = options.frame_length(RATE_HZ), options.frame_shift(RATE_HZ)
    n = k = np.arange(length)
    dct = np.sqrt(2 / length) * np.cos(np.pi * np.outer(k, 2 * n + 1) / (2 * length))
    dct[0] /= np.sqrt(2)
    edges_hz, lines_hz = band_edges_hz(bank, RATE_HZ), k * RATE_HZ / (2 * length)
    weights = np.stack(
        [np.interp(lines_hz, edges_hz[i : i + 3], [0, 1, 0]) for i in range(bank.num_filters)],
        axis=1,
    )
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


def centroids(extractor, samples):
    blocks = extractor.centroids(
        samples, envelope.num_frames(len(samples), extractor.length, extractor.shift)
    )
    _, cf, cm = zip(*blocks)
    return np.concatenate(cf, axis=1), np.concatenate(cm, axis=1)


def test_weights_in_closed_form():
    weights = triangular_weights(
        np.array([0.0, 10.0, 30.0, 40.0]), np.array([0.0, 5.0, 10.0, 15.0, 30.0, 35.0, 40.0])
    )
    assert weights.T.tolist() == [[0, 0.5, 1, 0.75, 0, 0, 0], [0, 0, 0, 0.25, 1, 0.5, 0]]


@given(st.integers(2, 60), st.floats(0, 500), st.floats(3000, 8000))
def test_weights_of_neighbours_add_up_to_one(num_filters, fmin_hz, fmax_hz):
    edges_hz = band_edges_hz(FilterBankOptions(num_filters, fmin_hz, fmax_hz), RATE_HZ)
    weights = triangular_weights(edges_hz, np.linspace(edges_hz[1], edges_hz[-2], 1000))
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-9)
    assert weights.min() == 0


def test_against_direct_sums():
    """One frame of 80 samples through 6 bands, every sum of section 4.2, 5 and Eq. 6 and 7 written out."""
    bank = FilterBankOptions(num_filters=6, fmin_hz=0.0)
    options = EnvelopeOptions(frame_length_ms=5.0, num_ceps=6)
    x, length, orders = noise(80).tolist(), 80, (0, 1, 2, 3, 4, 5)
    cf, cm = centroids(
        TriangularExtractor(bank, options, sample_rate_hz=RATE_HZ, orders=orders), np.array(x)
    )
    scale = [math.sqrt((1 if k == 0 else 2) / length) for k in range(length)]
    coefs = [
        scale[k] * sum(x[n] * math.cos(math.pi * k * (n + 0.5) / length) for n in range(length))
        for k in range(length)
    ]
    edges_hz = band_edges_hz(bank, RATE_HZ).tolist()
    bands = []
    for low, centre, high in zip(edges_hz, edges_hz[1:], edges_hz[2:]):
        freqs = [k * RATE_HZ / (2 * length) for k in range(length)]
        w = [
            max(0, (f - low) / (centre - low) if f < centre else (high - f) / (high - centre))
            for f in freqs
        ]
        terms = [(k, scale[k] * w[k] * coefs[k]) for k in range(length) if w[k]]
        bands.append(
            [
                sum(c * math.cos(math.pi * k * (n + 0.5) / length) for k, c in terms)
                for n in range(length)
            ]
        )
    for index, order in enumerate(orders):
        for step in range(order):
            if step == 0:
                y = bands
            y = [[b - a for a, b in zip(*pair)] for pair in itertools.pairwise(y)]
            y.append([0.0] * length if step < order - 1 else y[-1])
        for i, band in enumerate(y if order else bands):
            hamming = [
                (0.54 - 0.46 * math.cos(2 * math.pi * n / (length - 1))) * abs(band[n])
                for n in range(length)
            ]
            freqs = [200.0 * f for f in range(5)]
            lines = [
                abs(
                    sum(
                        h * complex(math.cos(p := 2 * math.pi * f * n / RATE_HZ), -math.sin(p))
                        for n, h in enumerate(hamming)
                    )
                )
                for f in freqs
            ]
            moment = sum(f * m for f, m in zip(freqs, lines))
            assert cf[index, 0, i] == pytest.approx(moment / sum(lines), rel=1e-4)
            assert cm[index, 0, i] == pytest.approx(moment / sum(freqs), rel=1e-4)


@pytest.mark.parametrize("name", signals())
def test_equals_products_with_matrices(name):
    samples, bank, options, orders = (
        signals()[name],
        FilterBankOptions(),
        EnvelopeOptions(),
        (0, 1, 2, 4, 6),
    )
    cf, cm = centroids(
        TriangularExtractor(bank, options, sample_rate_hz=RATE_HZ, orders=orders), samples
    )
    for index, expected_cf, expected_cm in plain(samples, orders, bank, options):
        np.testing.assert_allclose(cf[index], expected_cf, rtol=1e-4)
        floor = options.magnitude_floor
        np.testing.assert_allclose(
            np.log(np.maximum(cm[index], floor)),
            np.log(np.maximum(expected_cm, floor)),
            rtol=0,
            atol=1e-4,
        )


@pytest.mark.parametrize(
    ("bank", "options"),
    [
        (FilterBankOptions(num_filters=6, fmax_hz=4000.0), EnvelopeOptions(num_ceps=6)),
        (
            FilterBankOptions(num_filters=10),
            EnvelopeOptions(frame_length_ms=10.0625, frame_shift_ms=17.0, num_ceps=5),
        ),  # odd, with gaps
        (
            FilterBankOptions(num_filters=10),
            EnvelopeOptions(
                frame_length_ms=10.125, frame_shift_ms=3.0, num_ceps=5, min_freq_hz=100.0
            ),
        ),
    ],
)
def test_equals_products_with_matrices_at_other_settings(bank, options):
    samples, orders = noise(3000), (0, 3, 5)
    cf, cm = centroids(
        TriangularExtractor(bank, options, sample_rate_hz=RATE_HZ, orders=orders), samples
    )
    for index, expected_cf, expected_cm in plain(samples, orders, bank, options):
        np.testing.assert_allclose(cf[index], expected_cf, rtol=1e-4)
        np.testing.assert_allclose(cm[index], expected_cm, rtol=1e-4)


@pytest.mark.parametrize("order", range(1, 7))
def test_differences_of_signals_are_those_of_weights(order):
    """On integers, padded by hand as in section 4.2: the bands of order k are those of order 0 with differences for weights."""
    options = EnvelopeOptions(num_ceps=9)
    plain_bands = TriangularExtractor(
        FilterBankOptions(num_filters=9), options, sample_rate_hz=RATE_HZ, orders=(0, order)
    )
    integers = np.random.default_rng(order).integers(-9, 10, (9, 320)).tolist()
    plain_bands.triangles, plain_bands.spans = np.array(integers, float), np.array([[0, 320]] * 9)
    _, cm = centroids(plain_bands, noise(960))
    for step in range(order):
        integers = [[b - a for a, b in zip(*pair)] for pair in itertools.pairwise(integers)]
        integers.append([0] * 320 if step < order - 1 else integers[-1])
    plain_bands.triangles = np.array(integers, float)
    np.testing.assert_allclose(cm[1], centroids(plain_bands, noise(960))[1][0], rtol=1e-5)


def test_blocks_leave_no_trace_and_orders_alone_are_the_same_bits():
    samples = noise(160 * (BLOCK + 21))
    together = TriangularExtractor(
        FilterBankOptions(),
        EnvelopeOptions(),
        sample_rate_hz=RATE_HZ,
        orders=(6, 0, 3),
        features=("cf", "cm", "cfcm"),
    )(samples)
    for order in (0, 3, 6):
        alone = TriangularExtractor(
            FilterBankOptions(),
            EnvelopeOptions(),
            sample_rate_hz=RATE_HZ,
            orders=(order,),
            features=("cf", "cm"),
        )(samples[160 * 5 :])
        np.testing.assert_array_equal(together[f"cftri_sd{order}"][5:], alone[f"cftri_sd{order}"])
        np.testing.assert_array_equal(together[f"cmtri_sd{order}"][5:], alone[f"cmtri_sd{order}"])
        assert (
            together[f"cfcmtri_sd{order}"].shape == (BLOCK + 20, 120)
            and together[f"cmtri_sd{order}"].dtype == np.float32
        )


def test_silence_one_frame_and_less():
    extractor = TriangularExtractor(
        FilterBankOptions(),
        EnvelopeOptions(),
        sample_rate_hz=RATE_HZ,
        orders=(0, 6),
        features=("cf", "cm"),
    )
    silence = extractor(np.zeros(320))
    assert silence["cftri_sd6"].tolist() == [[475.0] * 80]
    np.testing.assert_allclose(
        silence["cmtri_sd6"][0], np.eye(1, 40)[0] * np.log(1e-10) * np.sqrt(80), atol=1e-4
    )
    assert extractor(noise(479))["cmtri_sd0"].shape == (1, 40)
    with pytest.raises(ValueError, match="recording: got 319 samples, need 320, one frame"):
        extractor(noise(319))


def test_value_that_is_not_finite():
    extractor = TriangularExtractor(
        FilterBankOptions(), EnvelopeOptions(), sample_rate_hz=RATE_HZ, orders=(0,)
    )
    for value in (np.nan, np.inf, -np.inf, 1e31):
        with pytest.raises(
            ValueError, match=r"recording: got a peak of (nan|inf|1e\+31), need a finite one"
        ):
            extractor(np.where(np.arange(1600) == 7, value, noise(1600)))
    with pytest.raises(ValueError, match="features: got overflow from a peak of"):
        extractor(1e26 * noise(1600))


def test_settings_that_triangles_do_not_have():
    for bank in (FilterBankOptions(bandwidth_scale=8.0), FilterBankOptions(normalize_gain=True)):
        with pytest.raises(
            ValueError, match="triangular bank: got bandwidth_scale .* need their defaults"
        ):
            TriangularExtractor(bank, EnvelopeOptions(), sample_rate_hz=RATE_HZ, orders=(0,))


def test_triangle_between_two_lines():
    with pytest.raises(
        ValueError, match="filter 1: got no line of the spectrum from 103.2 to 118.2 Hz, need one"
    ):
        TriangularExtractor(
            FilterBankOptions(fmin_hz=103.2, fmax_hz=1000.0),
            EnvelopeOptions(),
            sample_rate_hz=RATE_HZ,
            orders=(0,),
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_ceps": 81}, "num_ceps: got 81, need at most 80"),
        ({"num_ceps": 0}, "num_ceps: got 0"),
        ({"num_filters": 1, "num_ceps": 1}, "num_filters: got 1"),
        ({"frame_shift_ms": 0.0}, "frame_length_ms, frame_shift_ms: got 20.0, 0.0"),
    ],
)
def test_settings_that_make_no_bands(options, message):
    with pytest.raises(ValueError, match=message):
        TriangularOptions(**options)


def test_frames_of_no_samples():
    with pytest.raises(
        ValueError, match="frames: got 320 samples every 0, need 2 or more every 1 or more. Raise"
    ):
        TriangularOptions(frame_shift_ms=0.001).frames(RATE_HZ)


def test_command(tmp_path, capsys):
    audio.write_audio(tmp_path / "a.wav", noise(1600), RATE_HZ)
    (tmp_path / "wav.scp").write_text(f"a {tmp_path}/a.wav\n")
    out = f"ark:{tmp_path}/{{feature}}{{order}}.ark"
    assert (
        compute_feats.main(["--bank=triangular", "--orders=0,6", f"scp:{tmp_path}/wav.scp", out])
        == 0
    )
    expected = TriangularExtractor(
        FilterBankOptions(),
        EnvelopeOptions(),
        sample_rate_hz=RATE_HZ,
        orders=(0, 6),
        features=("cf", "cm"),
    )(audio.load_audio(tmp_path / "a.wav")[0])
    for name, feats in expected.items():
        feature, _, order = name.partition("tri_sd")
        with tables.open_table(f"ark:{tmp_path}/{feature}{order}.ark") as table:
            np.testing.assert_array_equal(next(iter(table)).load(), feats)
    assert "--bank=triangular\n" in (tmp_path / "cm6.ark.conf").read_text()
    assert compute_feats.main(["--bank=gabor", f"scp:{tmp_path}/wav.scp", out]) == 1
    assert "--bank: got 'gabor', need iir or triangular" in capsys.readouterr().err
