"""Modulation features in closed form, against direct sums, and laws that they must keep."""

import cmath
import math
import re

import numpy as np
import pytest
from fields import fails

from sdtools.features.filterbank import band_edges_hz
from sdtools.features.modulation import FRAMES_PER_BLOCK, ModulationExtractor, ModulationOptions
from sdtools.features.triangular import TriangularOptions

RATE_HZ = 16000
FEATURES = ("mcf", "mse", "stcc")


def extractor(bands=TriangularOptions(), options=ModulationOptions(), features=FEATURES):
    return ModulationExtractor(bands, options, sample_rate_hz=RATE_HZ, features=features)


def noise(num_samples, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(num_samples)


def cosine_transform(values, num_ceps=40):
    n = np.arange(len(values)) + 0.5
    out = [
        math.sqrt(2 / len(values)) * (values @ np.cos(np.pi * k * n / len(values)))
        for k in range(num_ceps)
    ]
    return np.array([out[0] / math.sqrt(2), *out[1:]])


@pytest.mark.parametrize("bin_number", range(2, 24))
def test_centroid_of_a_modulated_amplitude_is_exact(bin_number):
    """1 + m cos, of any phase and depth, at a frequency of the long window."""
    mod = extractor()
    freq_hz, t = mod.freqs_hz[bin_number - 1], np.arange(120) / 100
    trajectories = np.stack(
        [0.2 * (1 + m * np.cos(2 * np.pi * freq_hz * t + m)) for m in (0.01, 0.5, 1.0)], axis=1
    )
    windows = np.lib.stride_tricks.sliding_window_view(trajectories, 50, axis=0)
    np.testing.assert_allclose(mod.centroids(windows), freq_hz, rtol=1e-9)


@pytest.mark.parametrize("freq_hz", [8.0, 4.0, 7.0, 20.0])
@pytest.mark.parametrize("carrier_hz", [150.0, 1013.7, 6000.0])
def test_centroid_of_amplitude_modulation(carrier_hz, freq_hz):
    """Of a real tone, within a tenth of the long window's spacing of 2 Hz, also between (7 Hz)."""
    mod, t = extractor(), np.arange(2 * RATE_HZ) / RATE_HZ
    amplitudes = mod.amplitudes(
        0.3 * (1 + 0.5 * np.cos(2 * np.pi * freq_hz * t)) * np.sin(2 * np.pi * carrier_hz * t)
    )
    band = amplitudes.mean(axis=0).argmax()
    centroids = mod.centroids(np.lib.stride_tricks.sliding_window_view(amplitudes, 50, axis=0))
    assert np.abs(centroids[:, band] - freq_hz).max() < (0.2 if freq_hz < 20 else 0.4)


def test_steady_band_has_the_mean_frequency():
    mod = extractor()
    assert mod.freqs_hz.tolist() == [2.0 * k for k in range(1, 26)]
    np.testing.assert_array_equal(mod.centroids(np.full((3, 80, 50), 0.7)), 26.0)


def test_amplitudes_against_direct_sums():
    mod, x = extractor(), noise(480)
    got = mod.amplitudes(x)
    edges_hz = band_edges_hz(TriangularOptions(), RATE_HZ)
    assert got.shape == (2, 80) and mod.fft_size == 1024
    for band in (0, 1, 40, 79):
        low, centre, high = edges_hz[band : band + 3]
        energy = 0
        for line in range(513):
            freq_hz = line * RATE_HZ / 1024
            if low < freq_hz < high:
                weight = (
                    (freq_hz - low) / (centre - low)
                    if freq_hz < centre
                    else (high - freq_hz) / (high - centre)
                )
                frame = x[160:] * np.hamming(320)
                energy += (
                    weight
                    * abs(
                        sum(
                            v * cmath.exp(-2j * cmath.pi * line * n / 1024)
                            for n, v in enumerate(frame)
                        )
                    )
                    ** 2
                )
        assert got[1, band] == pytest.approx(math.sqrt(energy), rel=1e-9)


def test_features_against_direct_sums():
    """Mirrored amplitudes, Hann window without the mean, DFT, Eq. 6.

    In a recording longer than a block, at both ends and inside.
    """
    x = noise(160 * (FRAMES_PER_BLOCK + 20))
    mod = extractor()
    feats, a = mod(x), mod.amplitudes(x)
    num = len(a)
    assert num == FRAMES_PER_BLOCK + 19 and all(
        f.shape == (num, 40) and f.dtype == np.float32 for f in feats.values()
    )
    for t in (0, 1, 30, FRAMES_PER_BLOCK - 1, FRAMES_PER_BLOCK, num - 1):
        frames = [
            -1 - i if i < 0 else 2 * num - 1 - i if i >= num else i for i in range(t - 25, t + 25)
        ]
        hann = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / 50) for n in range(50)]) / 25
        static = hann @ a[frames]
        lines = [
            abs(
                (
                    hann[:, None]
                    * (a[frames] - static)
                    * np.exp(-2j * np.pi * k * np.arange(50) / 50)[:, None]
                ).sum(axis=0)
            )
            for k in range(1, 26)
        ]
        centroids = sum(2.0 * k * line for k, line in enumerate(lines, 1)) / sum(lines)
        np.testing.assert_allclose(
            feats["mcf"][t], cosine_transform(centroids), rtol=1e-5, atol=1e-4
        )
        np.testing.assert_allclose(
            feats["mse"][t], cosine_transform(np.log(static**2)), rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(
            feats["stcc"][t], cosine_transform(np.log(a[t] ** 2)), rtol=1e-5, atol=1e-5
        )


def test_level_moves_only_the_zeroth_energy():
    loud, soft = extractor()(noise(8000)), extractor()(0.125 * noise(8000))
    np.testing.assert_allclose(soft["mcf"], loud["mcf"], rtol=1e-5, atol=1e-4)
    for feature in ("mse", "stcc"):
        np.testing.assert_allclose(
            loud[feature][:, 0] - soft[feature][:, 0], 2 * np.log(8) * np.sqrt(80), rtol=1e-5
        )
        np.testing.assert_allclose(soft[feature][:, 1:], loud[feature][:, 1:], atol=1e-4)


def test_a_feature_alone_is_the_same_bits():
    together = extractor()(noise(4000))
    for feature in FEATURES:
        alone = extractor(features=(feature,))(noise(4000))
        assert list(alone) == [feature]
        np.testing.assert_array_equal(alone[feature], together[feature])


@pytest.mark.parametrize("num_samples", [320, 479, 480, 5000, 16001])
def test_any_length_gives_whole_frames(num_samples):
    for feats in extractor()(noise(num_samples)).values():
        assert feats.shape == (1 + (num_samples - 320) // 160, 40) and np.isfinite(feats).all()


def test_silence_is_floored():
    feats = extractor()(np.zeros(480))
    np.testing.assert_allclose(
        feats["mcf"], np.tile(np.eye(1, 40) * 26 * np.sqrt(80), (2, 1)), atol=1e-4
    )
    for feature in ("mse", "stcc"):
        np.testing.assert_allclose(
            feats[feature], np.tile(np.eye(1, 40) * np.log(1e-20) * np.sqrt(80), (2, 1)), atol=1e-4
        )


def test_recording_that_gives_no_features():
    with fails(who="samples", got=319, need=re.compile("320, one frame")):
        extractor()(noise(319))
    with fails(who="samples", what="sample 7"):
        extractor()(np.where(np.arange(1600) == 7, np.nan, noise(1600)))


def test_long_window_of_few_frames():
    assert len(extractor(options=ModulationOptions(40.0)).freqs_hz) == 2
    with fails(who="--modulation-window-ms", got=34.0, need=re.compile("40.0, four frame shifts")):
        extractor(options=ModulationOptions(34.0))
