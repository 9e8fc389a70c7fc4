"""The compiled path against the plain float64 modules, and laws that it must keep."""

import re
import tracemalloc

import numpy as np
import pytest
import scipy.signal

from sdtools.features import envelope
from sdtools.features.differentiation import differentiate
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions, design
from sdtools.features.subbands import (
    BLOCK,
    SubbandExtractor,
    TriangularExtractor,
    _extract,
    _extract_triangular,
)

RATE_HZ = 16000


def vowel(num_samples):
    """Pulses at a gliding pitch through three resonances, with breath noise: speech enough for a filter bank."""
    rng = np.random.default_rng(3)
    phase = np.cumsum(110 + 30 * np.sin(np.arange(num_samples) / 4000)) / RATE_HZ
    x = np.diff(np.floor(phase), prepend=0) + 0.01 * rng.standard_normal(num_samples)
    for freq_hz, width_hz in ((500, 60), (1500, 90), (2500, 120)):
        r = np.exp(-np.pi * width_hz / RATE_HZ)
        x = scipy.signal.lfilter(
            [1 - r], [1, -2 * r * np.cos(2 * np.pi * freq_hz / RATE_HZ), r * r], x
        )
    return 0.3 * x / np.abs(x).max()


def signals():
    n = 12000
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
    bands = np.stack(
        [scipy.signal.lfilter(b, a, samples) for b, a in zip(bank.numerators, bank.denominators)],
        axis=1,
    )
    magnitudes = envelope.spectrum(differentiate(bands, order), options, RATE_HZ)
    freqs_hz = options.freqs_hz(RATE_HZ)
    return envelope.centroid_frequency(
        magnitudes, freqs_hz, options.magnitude_floor
    ), envelope.centroid_magnitude(magnitudes, freqs_hz)


def centroids(extractor, samples):
    blocks = extractor.centroids(
        samples, envelope.num_frames(len(samples), extractor.length, extractor.shift)
    )
    _, cf, cm = zip(*blocks)
    return np.concatenate(cf, axis=1), np.concatenate(cm, axis=1)


@pytest.mark.parametrize("name", signals())
def test_equals_the_plain_modules(name):
    samples, bank, options, orders = (
        signals()[name],
        FilterBankOptions(),
        EnvelopeOptions(),
        (0, 1, 2, 4, 6),
    )
    cf, cm = centroids(
        SubbandExtractor(bank, options, sample_rate_hz=RATE_HZ, orders=orders), samples
    )
    for index, order in enumerate(orders):
        expected_cf, expected_cm = plain(samples, order, bank, options)
        np.testing.assert_allclose(cf[index], expected_cf, rtol=1e-4)
        floor = options.magnitude_floor
        np.testing.assert_allclose(
            np.log(np.maximum(cm[index], floor)),
            np.log(np.maximum(expected_cm, floor)),
            rtol=1e-4,
            atol=1e-5,
        )


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
        (
            FilterBankOptions(num_filters=10),
            EnvelopeOptions(frame_length_ms=10.0625, frame_shift_ms=17.0, num_ceps=5),
        ),  # odd, with gaps
        (
            FilterBankOptions(num_filters=10),
            EnvelopeOptions(
                frame_length_ms=20.0, frame_shift_ms=3.0, num_ceps=5, min_freq_hz=100.0
            ),
        ),
    ],
)
def test_equals_the_plain_modules_at_other_settings(bank, options):
    samples, orders = vowel(5000), (0, 3, 5)
    cf, cm = centroids(
        SubbandExtractor(bank, options, sample_rate_hz=RATE_HZ, orders=orders), samples
    )
    for index, order in enumerate(orders):
        expected_cf, expected_cm = plain(samples, order, bank, options)
        np.testing.assert_allclose(cf[index], expected_cf, rtol=1e-4)
        np.testing.assert_allclose(cm[index], expected_cm, rtol=1e-4)


@pytest.mark.parametrize("num_samples", [320, 321, 479, 480, 640, 12345])
def test_any_length_gives_whole_frames(num_samples):
    samples = vowel(num_samples)
    extractor = SubbandExtractor(
        FilterBankOptions(), EnvelopeOptions(), sample_rate_hz=RATE_HZ, orders=(6,)
    )
    feats = extractor(samples)
    assert feats["cf_sd6"].shape == (1 + (num_samples - 320) // 160, 80)
    assert feats["cm_sd6"].shape == (1 + (num_samples - 320) // 160, 40)
    expected_cf, _ = plain(samples, 6, FilterBankOptions(), EnvelopeOptions())
    np.testing.assert_allclose(feats["cf_sd6"], expected_cf, rtol=1e-4)


@pytest.mark.parametrize(
    "options", [EnvelopeOptions(), EnvelopeOptions(frame_length_ms=2.0, frame_shift_ms=2.5)]
)
def test_blocks_do_not_show(options):
    extractor = SubbandExtractor(FilterBankOptions(), options, sample_rate_hz=RATE_HZ, orders=(1,))
    samples = vowel((2 * BLOCK + 5) * extractor.shift)
    cf, cm = centroids(extractor, samples)
    assert cf.shape[1] > 2 * BLOCK
    expected_cf, expected_cm = plain(samples, 1, FilterBankOptions(), options)
    np.testing.assert_allclose(cf[0], expected_cf, rtol=1e-4)
    np.testing.assert_allclose(cm[0], expected_cm, rtol=1e-4)


def test_a_long_recording_takes_little_more_memory_than_samples_and_features():
    samples = np.zeros(600 * RATE_HZ)
    extractor = SubbandExtractor(
        FilterBankOptions(num_filters=8),
        EnvelopeOptions(num_ceps=8),
        sample_rate_hz=RATE_HZ,
        orders=(0,),
        features=("cf",),
    )
    extractor(samples[:RATE_HZ])
    tracemalloc.start()
    try:
        feats = extractor(samples)["cf_sd0"]
        assert tracemalloc.get_traced_memory()[1] < feats.nbytes + 4e6
    finally:
        tracemalloc.stop()


def test_a_cached_loop_has_one_form():
    """With two, jobs that start at once on a cold cache may leave one under the other's name."""
    samples = vowel(8000)
    read_only = samples.copy()
    read_only.setflags(write=False)
    for extractor in (SubbandExtractor, TriangularExtractor):
        for orders in ((6,), (0, 2)):
            for sound in (samples, samples[1::2], samples.astype(np.float32), read_only):
                extractor(sample_rate_hz=RATE_HZ, orders=orders)(sound)
    assert len(_extract.signatures) == len(_extract_triangular.signatures) == 1


def test_past_does_not_depend_on_the_future():
    """Blocks leave no trace: a frame's values are the same bits whatever follows it."""
    extractor = SubbandExtractor(
        FilterBankOptions(), EnvelopeOptions(), sample_rate_hz=RATE_HZ, orders=(0, 6)
    )
    whole, part = extractor(vowel(9000)), extractor(vowel(9000)[:4000])
    for system, feats in part.items():
        np.testing.assert_array_equal(whole[system][: len(feats)], feats)


def test_orders_in_one_pass_are_the_bits_of_orders_alone():
    """Even orders share every step; what else is asked for does not show."""
    together = SubbandExtractor(
        FilterBankOptions(), EnvelopeOptions(), sample_rate_hz=RATE_HZ, orders=(6, 0, 2, 4)
    )(vowel(4000))
    for order in (0, 2, 4, 6):
        alone = SubbandExtractor(
            FilterBankOptions(), EnvelopeOptions(), sample_rate_hz=RATE_HZ, orders=(order,)
        )(vowel(4000))
        for feature in ("cf", "cm"):
            np.testing.assert_array_equal(together[f"{feature}_sd{order}"], alone[f"{feature}_sd{order}"])


def test_both_side_by_side():
    both = SubbandExtractor(
        FilterBankOptions(),
        EnvelopeOptions(),
        sample_rate_hz=RATE_HZ,
        orders=(6,),
        features=("cfcm",),
    )(vowel(4000))
    alone = SubbandExtractor(
        FilterBankOptions(), EnvelopeOptions(), sample_rate_hz=RATE_HZ, orders=(6,)
    )(vowel(4000))
    np.testing.assert_array_equal(
        both["cfcm_sd6"], np.concatenate([alone["cf_sd6"], alone["cm_sd6"]], axis=1)
    )


def test_level_moves_only_the_zeroth_cepstrum():
    extractor = SubbandExtractor(
        FilterBankOptions(), EnvelopeOptions(), sample_rate_hz=RATE_HZ, orders=(4,)
    )
    loud, soft = extractor(vowel(4000)), extractor(0.125 * vowel(4000))
    np.testing.assert_allclose(soft["cf_sd4"], loud["cf_sd4"], rtol=1e-5)
    np.testing.assert_allclose(
        loud["cm_sd4"][:, 0] - soft["cm_sd4"][:, 0], np.log(8) * np.sqrt(80), rtol=1e-5
    )
    np.testing.assert_allclose(soft["cm_sd4"][:, 1:], loud["cm_sd4"][:, 1:], atol=1e-4)


def test_recording_shorter_than_a_frame():
    extractor = SubbandExtractor(
        FilterBankOptions(), EnvelopeOptions(), sample_rate_hz=RATE_HZ, orders=(0,)
    )
    with pytest.raises(ValueError, match="recording: got 319 samples, need 320, one frame"):
        extractor(np.zeros(319))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e39])
def test_recording_that_is_none(bad):
    samples = np.zeros(1000)
    samples[500] = bad
    with pytest.raises(
        ValueError,
        match=rf"recording: got a peak of {re.escape(f'{abs(bad):g}')}, need a finite one",
    ):
        SubbandExtractor(
            FilterBankOptions(), EnvelopeOptions(), sample_rate_hz=RATE_HZ, orders=[0, 6]
        )(samples)


def test_settings_that_do_not_fit_the_bank():
    with pytest.raises(ValueError, match="num_ceps: got 40, need at most 20"):
        SubbandExtractor(
            FilterBankOptions(num_filters=20),
            EnvelopeOptions(),
            sample_rate_hz=RATE_HZ,
            orders=(0,),
        )
    with pytest.raises(ValueError, match="orders: got 80, need less than 80"):
        SubbandExtractor(
            FilterBankOptions(), EnvelopeOptions(), sample_rate_hz=RATE_HZ, orders=(0, 80)
        )
    with pytest.raises(ValueError, match="frames: got 320 samples every 0"):
        SubbandExtractor(
            FilterBankOptions(),
            EnvelopeOptions(frame_shift_ms=0.001),
            sample_rate_hz=RATE_HZ,
            orders=(0,),
        )
