"""The compiled path against the plain float64 modules, and laws that it must keep."""

import re
import tracemalloc

import numpy as np
import pytest
import scipy.signal
from fields import fails

from sdtools.features import envelope
from sdtools.features.differentiation import differentiate
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions, design
from sdtools.features.samples import num_frames
from sdtools.features.subbands import BLOCK, SubbandExtractor, _folded_dft

RATE_HZ = 16000


def extractor(bank=FilterBankOptions(), options=EnvelopeOptions(), **outputs):
    return SubbandExtractor(bank, options, sample_rate_hz=RATE_HZ, **outputs)


def vowel(num_samples):
    """Pulses at a gliding pitch through three resonances, with breath noise."""
    rng = np.random.default_rng(3)
    phase = np.cumsum(110 + 30 * np.sin(np.arange(num_samples) / 4000)) / RATE_HZ
    x = np.diff(np.floor(phase), prepend=0) + 0.01 * rng.standard_normal(num_samples)
    for freq_hz, width_hz in ((500, 60), (1500, 90), (2500, 120)):
        r = np.exp(-np.pi * width_hz / RATE_HZ)
        denominator = [1, -2 * r * np.cos(2 * np.pi * freq_hz / RATE_HZ), r * r]
        x = scipy.signal.lfilter([1 - r], denominator, x)
    return 0.3 * x / np.abs(x).max()


def signals():
    n = 6000
    rng = np.random.default_rng(0)
    return {
        "speech": vowel(n),
        "noise": 0.1 * rng.standard_normal(n),
        "silence": np.zeros(n),
        "chirp": 0.5 * scipy.signal.chirp(np.arange(n) / RATE_HZ, 50, n / RATE_HZ, 7900),
        "impulse": np.eye(1, n, 1000)[0],
        "quiet": 1e-4 * rng.standard_normal(n),
        "constant": np.full(n, 0.25),
    }


def plain(samples, order, bank_options, options):
    """CF and CM by scipy's lfilter, numpy's differences and FFT, in float64."""
    bank = design(bank_options, RATE_HZ)
    filters = zip(bank.numerators, bank.denominators)
    bands = np.stack([scipy.signal.lfilter(b, a, samples) for b, a in filters], axis=1)
    magnitudes = envelope.spectrum(differentiate(bands, order), options, RATE_HZ)
    freqs_hz = options.freqs_hz(RATE_HZ)
    cf = envelope.centroid_frequency(magnitudes, freqs_hz, options.magnitude_floor)
    return cf, envelope.centroid_magnitude(magnitudes, freqs_hz)


def centroids(subbands, samples):
    blocks = subbands.centroids(samples, num_frames(len(samples), subbands.length, subbands.shift))
    _, cf, cm = zip(*blocks)
    return np.concatenate(cf, axis=1), np.concatenate(cm, axis=1)


@pytest.mark.parametrize("name", signals())
def test_equals_the_plain_modules(name):
    samples, bank, options = signals()[name], FilterBankOptions(), EnvelopeOptions()
    orders, floor = (0, 1, 2, 4, 6), EnvelopeOptions.magnitude_floor
    cf, cm = centroids(extractor(orders=orders), samples)
    for index, order in enumerate(orders):
        expected_cf, expected_cm = plain(samples, order, bank, options)
        np.testing.assert_allclose(cf[index], expected_cf, rtol=1e-4)
        logs = (np.log(np.maximum(values, floor)) for values in (cm[index], expected_cm))
        np.testing.assert_allclose(*logs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("bank", "options"),
    [
        (
            FilterBankOptions(num_filters=6, fmax_hz=4000.0, normalize_gain=True),
            EnvelopeOptions(num_ceps=6),
        ),
        (
            FilterBankOptions(num_filters=33, bandwidth_scale=1.0),
            EnvelopeOptions(frame_length_ms=25.0, num_ceps=20),
        ),
        (  # an odd frame length, and gaps between frames
            FilterBankOptions(num_filters=10),
            EnvelopeOptions(frame_length_ms=10.0625, frame_shift_ms=17.0, num_ceps=5),
        ),
        (
            FilterBankOptions(num_filters=10),
            EnvelopeOptions(20.0, frame_shift_ms=3.0, num_ceps=5, min_freq_hz=100.0),
        ),
    ],
)
def test_equals_the_plain_modules_at_other_settings(bank, options):
    samples, orders = vowel(5000), (0, 3, 5)
    cf, cm = centroids(extractor(bank, options, orders=orders), samples)
    for index, order in enumerate(orders):
        expected_cf, expected_cm = plain(samples, order, bank, options)
        np.testing.assert_allclose(cf[index], expected_cf, rtol=1e-4)
        np.testing.assert_allclose(cm[index], expected_cm, rtol=1e-4)


@pytest.mark.parametrize("num_samples", [320, 321, 479, 480, 640, 12345])
def test_any_length_gives_whole_frames(num_samples):
    samples = vowel(num_samples)
    feats = extractor(orders=(6,))(samples)
    assert feats["cf_sd6"].shape == (1 + (num_samples - 320) // 160, 80)
    assert feats["cm_sd6"].shape == (1 + (num_samples - 320) // 160, 40)
    expected_cf, _ = plain(samples, 6, FilterBankOptions(), EnvelopeOptions())
    np.testing.assert_allclose(feats["cf_sd6"], expected_cf, rtol=1e-4)


@pytest.mark.parametrize("frame_ms", [{}, {"frame_length_ms": 2.0, "frame_shift_ms": 2.5}])
def test_blocks_do_not_show(frame_ms):
    bank, options = FilterBankOptions(num_filters=8), EnvelopeOptions(num_ceps=8, **frame_ms)
    subbands = extractor(bank, options, orders=(1,))
    samples = vowel((2 * BLOCK + 5) * subbands.shift)
    cf, cm = centroids(subbands, samples)
    assert cf.shape[1] > 2 * BLOCK
    expected_cf, expected_cm = plain(samples, 1, bank, options)
    np.testing.assert_allclose(cf[0], expected_cf, rtol=1e-4)
    np.testing.assert_allclose(cm[0], expected_cm, rtol=1e-4)


def test_a_long_recording_takes_little_more_memory_than_samples_and_features():
    samples = np.zeros(60 * RATE_HZ)
    bank, options = FilterBankOptions(num_filters=8), EnvelopeOptions(num_ceps=8)
    subbands = extractor(bank, options, orders=(0,), features=("cf",))
    subbands(samples[:RATE_HZ])
    tracemalloc.start()
    try:
        feats = subbands(samples)["cf_sd0"]
        assert tracemalloc.get_traced_memory()[1] < feats.nbytes + 4e6
    finally:
        tracemalloc.stop()


def test_past_does_not_depend_on_the_future():
    """Blocks leave no trace: a frame's values are the same bits whatever follows it."""
    subbands = extractor(orders=(0, 6))
    whole, part = subbands(vowel(9000)), subbands(vowel(9000)[:4000])
    for name, feats in part.items():
        np.testing.assert_array_equal(whole[name][: len(feats)], feats)


def test_orders_in_one_pass_are_the_bits_of_orders_alone():
    """Even orders share every step; the other orders and features make no difference."""
    together = extractor(orders=(6, 0, 2, 4))
    assert together.output_names[:5] == ("cf_sd6", "cf_sd0", "cf_sd2", "cf_sd4", "cm_sd6")
    feats = together(vowel(4000))
    assert tuple(feats) == together.output_names
    for order in (0, 2, 4, 6):
        for name, alone in extractor(orders=(order,))(vowel(4000)).items():
            np.testing.assert_array_equal(feats[name], alone)


def test_both_side_by_side():
    feats = extractor(orders=(6,), features=("cfcm", "cf", "cm"))(vowel(4000))
    sides = np.concatenate([feats["cf_sd6"], feats["cm_sd6"]], axis=1)
    np.testing.assert_array_equal(feats["cfcm_sd6"], sides)
    for feature in ("cf", "cm", "cfcm"):
        (alone,) = extractor(orders=(6,), features=(feature,))(vowel(4000)).values()
        np.testing.assert_array_equal(feats[f"{feature}_sd6"], alone)


def test_level_moves_only_the_zeroth_cepstrum():
    subbands = extractor(orders=(4,))
    loud, soft = subbands(vowel(4000)), subbands(0.125 * vowel(4000))
    np.testing.assert_allclose(soft["cf_sd4"], loud["cf_sd4"], rtol=1e-5)
    difference = loud["cm_sd4"] - soft["cm_sd4"]
    np.testing.assert_allclose(difference[:, 0], np.log(8) * np.sqrt(80), rtol=1e-5)
    np.testing.assert_allclose(difference[:, 1:], 0, atol=1e-4)


def test_forms_of_the_samples_make_no_difference():
    samples = vowel(800).astype(np.float32)
    expected = extractor(orders=(6,))(samples.astype(np.float64))["cf_sd6"]
    for form in (samples, samples.tolist()):
        np.testing.assert_array_equal(extractor(orders=(6,))(form)["cf_sd6"], expected)


def test_recordings_that_give_no_features():
    subbands = extractor(orders=(0,))
    with fails(who="samples", got=319, need=re.compile("320, one frame")):
        subbands(np.zeros(319))
    with fails(who="samples", what="sample 500"):
        subbands(np.where(np.arange(1000) == 500, np.nan, 0))
    with fails(who="samples", what="peak"):
        subbands(np.full(1000, 32767.0))


def test_overflow_is_no_feature():
    """Each difference doubles the top band at most: order 120 is beyond float32."""
    bank = FilterBankOptions(num_filters=200, bandwidth_scale=1e-3)
    with fails(who="features", what=re.compile("overflow")):
        extractor(bank, orders=(120,))(vowel(800))


@pytest.mark.parametrize(
    ("bank", "options", "outputs", "who", "got"),
    [
        ({"num_filters": 20}, {}, {}, "--num-ceps", 40),
        ({}, {"frame_shift_ms": 0.001}, {}, "--frame-length-ms, --frame-shift-ms", "320 samples"),
        ({}, {}, {"orders": (0, 80)}, "--orders", 80),
        ({}, {}, {"orders": (0, 0)}, "--orders", "'0,0'"),
        ({}, {}, {"orders": (2, -1)}, "--orders", "'2,-1'"),
        ({}, {}, {"orders": ()}, "--orders", "''"),
        ({}, {}, {"features": ("cf", "cf")}, "--features", "'cf,cf'"),
        ({}, {}, {"features": ("mcf",)}, "--features", "'mcf'"),
    ],
)
def test_settings_that_make_no_features(bank, options, outputs, who, got):
    with fails(who=who, got=re.compile(re.escape(str(got)))):
        extractor(FilterBankOptions(**bank), EnvelopeOptions(**options), **outputs)


@pytest.mark.parametrize("length", [320, 161, 162])
def test_folds_are_the_dft(length):
    """Sums over the folded half or quarter are those of the frame."""
    frame = np.random.default_rng(0).standard_normal(length)
    bins, bases = _folded_dft(np.arange(9), length)
    half = frame[: (length + 1) // 2].copy()
    mirrored = frame[::-1][: len(half)]
    even, odd = half + mirrored, half - mirrored
    even[-1] /= 1 + length % 2
    folds = [even, odd]
    if length % 4 == 0:
        a, b = even[: length // 4], even[::-1][: length // 4]
        c, d = odd[: length // 4], odd[::-1][: length // 4]
        folds = [a + b, a - b, c - d, c + d]
    for part, group in enumerate(bins):
        for k, number in enumerate(group):
            lines = [bases[p, k, : len(folds[p])] @ folds[p] for p in (part, part + len(bins))]
            expected = np.abs(np.exp(-2j * np.pi * number * np.arange(length) / length) @ frame)
            if number or part == 0:
                assert np.hypot(*lines) == pytest.approx(expected, rel=1e-5, abs=1e-4)
