"""CQCC: closed forms, direct sums, the inverse of the frame, bad input."""

import re
import tracemalloc

import numpy as np
import pytest
import scipy.interpolate
from fields import fails
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtools.features.cqcc import MAX_FRAMES, CqccExtractor, CqccOptions

RATE_HZ = 16000
FLOOR = CqccOptions.power_floor


@pytest.fixture(scope="module")
def extractor():
    return CqccExtractor(CqccOptions(), sample_rate_hz=RATE_HZ)


@pytest.fixture(scope="module")
def cqcc(extractor):
    """Function from samples to the features."""
    return lambda samples: extractor(samples)["cqcc"]


def noise(num_samples, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(num_samples)


def transform(extractor, samples):
    """X of all bins, (num_bins, num_frames)."""
    return np.concatenate([coefs for _, coefs in extractor.transform(samples)])


def test_bins_are_those_of_the_asvspoof_baseline(extractor):
    assert len(extractor.freqs_hz) == 863
    np.testing.assert_allclose(extractor.freqs_hz[[0, 96, 192]], [15.625, 31.25, 62.5], rtol=1e-12)
    gamma_hz = 228.7 * (2 ** (1 / 96) - 2 ** (-1 / 96))
    np.testing.assert_allclose(
        extractor.widths_hz,
        extractor.freqs_hz * (2 ** (1 / 96) - 2 ** (-1 / 96)) + gamma_hz,
        rtol=1e-12,
    )
    assert (
        extractor.freqs_hz[-1] + extractor.widths_hz[-1] / 2
        <= 8000
        < extractor.freqs_hz[-1] * 2 ** (1 / 96) + 60
    )
    assert extractor.shift == 136 == int(RATE_HZ / extractor.widths_hz[-1])


@pytest.mark.parametrize("k", [200, 500, 700, 862])
def test_sine_peaks_in_its_bin_with_its_amplitude(extractor, k):
    n = np.arange(3 * RATE_HZ)
    magnitudes = np.abs(
        transform(extractor, 0.3 * np.sin(2 * np.pi * extractor.freqs_hz[k] / RATE_HZ * n))[
            :, 150:-150
        ]
    )
    assert (magnitudes.argmax(axis=0) == k).all()
    np.testing.assert_allclose(magnitudes[k], 0.3, rtol=1e-3)


def test_click_peaks_in_the_frame_at_its_sample(extractor):
    samples = np.zeros(200 * 136)
    samples[70 * 136] = 1
    magnitudes = np.abs(transform(extractor, samples))
    assert (magnitudes.argmax(axis=1) == 70).all()
    np.testing.assert_allclose(magnitudes[:, 69], magnitudes[:, 71], rtol=1e-9)


def test_silence_is_the_floor(extractor, cqcc):
    feats = cqcc(np.zeros(5000))
    num_points = 1 + int((extractor.freqs_hz[-1] - 15.625) / (15.625 / 16))
    np.testing.assert_allclose(feats[:, 0], np.sqrt(num_points) * np.log(FLOOR), rtol=1e-6)
    np.testing.assert_allclose(feats[:, 1:20], 0, atol=1e-6)
    np.testing.assert_allclose(feats[:, 20], np.log(FLOOR), rtol=1e-6)


def test_silence_between_sounds_is_finite(cqcc):
    samples = noise(20000)
    samples[5000:15000] = 0
    assert np.isfinite(cqcc(samples)).all()


def test_log_energy_of_a_constant(cqcc):
    samples = np.full(10 * 136, 0.5)
    energies = np.exp(cqcc(samples)[:, -1])
    np.testing.assert_allclose(energies[2:-1], 320 / 4, rtol=1e-5)
    np.testing.assert_allclose(energies[[0, -1]], [160 / 4, (160 + 136) / 4], rtol=1e-5)
    assert CqccExtractor(CqccOptions(log_energy=False), sample_rate_hz=RATE_HZ)(samples)[
        "cqcc"
    ].shape == (10, 20)


@given(st.integers(544, 3000))
@settings(max_examples=20, deadline=None)
def test_a_frame_every_shift_whatever_the_length(cqcc, num_samples):
    assert cqcc(noise(num_samples)).shape == (-(-num_samples // 136), 21)


@given(st.integers(4, 30), st.integers(0, 40), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_rotation_by_whole_frames_rotates_the_frames(cqcc, num_frames, shift, seed):
    samples = noise(num_frames * 136, seed)
    rotated = cqcc(np.roll(samples, shift * 136))[:, :20]
    np.testing.assert_allclose(
        rotated, np.roll(cqcc(samples)[:, :20], shift, axis=0), rtol=1e-4, atol=1e-4
    )


@given(st.floats(0.01, 10), st.integers(544, 5000))
@settings(max_examples=20, deadline=None)
def test_gain_moves_the_0th_coefficient_and_the_energy_alone(cqcc, gain, num_samples):
    samples = noise(num_samples)
    expected = np.zeros(21)
    expected[[0, 20]] = 2 * np.log(gain) * np.array([np.sqrt(8059), 1])
    np.testing.assert_allclose(
        cqcc(gain * samples) - cqcc(samples),
        expected + np.zeros((len(cqcc(samples)), 1)),
        atol=2e-3,
    )


def slow_cqcc(samples, options, rate_hz, shift):
    """Cepstra by direct sums, and scipy's spline through the bins."""
    num_frames = int(np.ceil(len(samples) / shift))
    size = num_frames * shift
    n, m = np.arange(len(samples)), np.arange(num_frames)
    dft = [sum(samples * np.exp(-2j * np.pi * j / size * n)) for j in range(size // 2 + 1)]
    step = 2 ** (1 / options.bins_per_octave)
    freqs_hz, log_power = [], []
    for k in range(options.num_octaves * options.bins_per_octave):
        freq_hz = rate_hz / 2 ** (options.num_octaves + 1) * step**k
        width_hz = (step - 1 / step) * (freq_hz + 228.7)
        if freq_hz + width_hz / 2 > rate_hz / 2:
            break
        width_hz = max(width_hz, 4 * rate_hz / size)
        distances_hz = np.arange(size // 2 + 1) * rate_hz / size - freq_hz
        x = np.zeros(num_frames, complex)
        for j in np.flatnonzero(np.abs(distances_hz) < width_hz / 2):
            window = np.cos(np.pi * distances_hz[j] / width_hz) ** 2
            x += 2 / size * window * dft[j] * np.exp(2j * np.pi * j * m * shift / size)
        freqs_hz.append(freq_hz)
        log_power.append(np.log(np.maximum(np.abs(x) ** 2, options.power_floor)))
    grid_hz = np.arange(freqs_hz[0], freqs_hz[-1], freqs_hz[0] / options.first_octave_samples)
    spectrum = scipy.interpolate.CubicSpline(freqs_hz, log_power)(grid_hz)
    n = np.arange(len(grid_hz))
    ceps = [
        np.sqrt((1 if k == 0 else 2) / len(n)) * (np.cos(np.pi * k * (n + 0.5) / len(n)) @ spectrum)
        for k in range(options.num_ceps)
    ]
    return np.stack(ceps, axis=1)


@pytest.mark.parametrize(
    ("num_samples", "options", "rate_hz", "shift"),
    [
        (545, CqccOptions(log_energy=False), 16000, 136),
        (2001, CqccOptions(log_energy=False), 16000, 136),
        (1237, CqccOptions(24, 6, 3.0, 5, 13, False), 8000, 24),
        (701, CqccOptions(12, 5, 1.0, 3, 7, False), 11025, 11),
    ],
)
def test_like_direct_sums(num_samples, options, rate_hz, shift):
    samples = noise(num_samples)
    feats = CqccExtractor(options, sample_rate_hz=rate_hz)(samples)["cqcc"]
    np.testing.assert_allclose(
        feats, slow_cqcc(samples, options, rate_hz, shift), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("num_samples", [544, 5000, 16001])
def test_frame_inverts_to_the_signal(extractor, num_samples):
    """Dual windows g / sum g^2, because no window is longer than its inverse DFT.

    0 Hz and fs/2 have windows of their own.
    """
    samples = noise(num_samples)
    coefs = transform(extractor, samples)
    num_frames = coefs.shape[1]
    size = num_frames * 136
    lines = np.arange(size // 2 + 1)
    freqs_hz = lines * RATE_HZ / size
    edge_windows = [freqs_hz < extractor.freqs_hz[0], freqs_hz > extractor.freqs_hz[-1]]
    edge_coefs = [
        np.fft.irfft(np.fft.rfft(samples, size) * window, size) for window in edge_windows
    ]

    numerator, denominator = np.zeros(len(lines), complex), np.zeros(len(lines))
    for window, x in zip(edge_windows, edge_coefs):
        numerator += window * np.fft.rfft(x)
        denominator += window
    for freq_hz, width_hz, x in zip(extractor.freqs_hz, extractor.widths_hz, coefs):
        places = (freqs_hz - freq_hz) / max(width_hz, 4 * RATE_HZ / size)
        window = np.where(np.abs(places) < 0.5, np.cos(np.pi * places) ** 2, 0)
        assert 1 <= np.count_nonzero(window) <= num_frames
        numerator += window * np.fft.fft(x)[lines % num_frames] * (136 / 2)
        denominator += window**2
    assert denominator.min() > 0.1
    inverse = np.fft.irfft(numerator / denominator, size)
    np.testing.assert_allclose(inverse[:num_samples], samples, rtol=0, atol=1e-10)
    np.testing.assert_allclose(inverse[num_samples:], 0, rtol=0, atol=1e-10)


def test_a_long_recording_in_stretches_is_like_the_whole_and_takes_little_memory(extractor):
    """Noise on and off in turns, 60 dB apart, for 40 s: the hardest case for the ends of stretches.

    The transform of the whole would take 65 MB.
    """
    samples = noise(40 * RATE_HZ)
    samples *= np.where(np.arange(len(samples)) // RATE_HZ % 2, 1, 1e-3)
    tracemalloc.start()
    try:
        feats = extractor(samples)["cqcc"][:, :20]
        assert tracemalloc.get_traced_memory()[1] < 2 * samples.nbytes + 15e6
    finally:
        tracemalloc.stop()
    whole = extractor.cepstra(samples)
    assert len(feats) == len(whole) == 4706 > MAX_FRAMES
    errors = feats - whole
    assert (np.sqrt((errors**2).mean(axis=0)) < 1e-3 * whole.std(axis=0)).all()
    assert np.abs(errors).max() > 1e-3  # it was in stretches


@pytest.mark.parametrize("num_samples", [0, 1, 543])
def test_short_recording(cqcc, num_samples):
    need = re.compile("544, four frame" if num_samples else "1 or more")
    with fails(who="samples", what="number of samples", got=num_samples, need=need):
        cqcc(noise(num_samples))


def test_recording_that_is_not_finite(cqcc):
    samples = noise(2000)
    samples[1000] = np.nan
    with fails(who="samples", what="sample 1000"):
        cqcc(samples)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bins_per_octave", 0),
        ("num_octaves", -1),
        ("first_octave_samples", 0),
        ("num_ceps", 0),
        ("frame_shift_ms", 0.0),
        ("frame_length_ms", -1.0),
        ("power_floor", 0.0),
    ],
)
def test_settings_that_make_no_features(name, value):
    with fails(who=f"--{name.replace('_', '-')}", got=value):
        CqccOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "got", "need"),
    [
        ("num_octaves", 13, "1247 bins from 0.976562 Hz, 3.31669 Hz", "4 bins"),
        ("frame_shift_ms", 10.0, "10, 160 samples", "1 to 136 .* 117.2 Hz wide"),
        ("frame_shift_ms", 0.01, "0.01, 0 samples", "1 to 136 "),
        ("frame_length_ms", 0.01, "0.01", "one sample"),
        ("num_ceps", 8060, "8060", "at most 8059"),
    ],
)
def test_settings_that_do_not_fit_the_rate(name, value, got, need):
    who = re.compile(f"^--{name.replace('_', '-')}")
    with fails(who=who, got=re.compile(got), need=re.compile(need)):
        CqccExtractor(CqccOptions(**{name: value}), sample_rate_hz=RATE_HZ)
