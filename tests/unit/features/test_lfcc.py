import math

import numpy as np
import pytest

from sdtools.errors import SdError
from sdtools.features.lfcc import LfccExtractor, LfccOptions

SETTINGS = {  # of the ASVspoof 2019 and 2021 PA baselines
    "2019": LfccOptions(),
    "2021": LfccOptions(frame_length_ms=30, fft_length=1024, num_filters=70, num_ceps=19),
}


def slow_lfcc(samples, options, rate_hz):
    """The definition, one number at a time."""
    size = round(options.frame_length_ms * rate_hz / 1000)
    shift, points = size // 2, options.fft_length
    edges = np.linspace(0, rate_hz / 2, options.num_filters + 2)
    feats = []
    start = 0
    while True:
        frame = [samples[i] if i < len(samples) else 0.0 for i in range(start, start + size)]
        window = [0.54 - 0.46 * math.cos(2 * math.pi * i / (size - 1)) for i in range(size)]
        frame = np.array(frame) * window
        turns = np.outer(np.arange(points // 2 + 1), np.arange(size)) / points
        power = np.abs(np.exp(-2j * np.pi * turns) @ frame) ** 2
        logs = []
        for low, centre, high in zip(edges, edges[1:], edges[2:]):
            energy = 0.0
            for k, value in enumerate(power):
                f = k * rate_hz / points
                if low < f < high:
                    rises = f <= centre
                    energy += value * (
                        (f - low) / (centre - low) if rises else (high - f) / (high - centre)
                    )
            logs.append(math.log10(energy + 2.2e-16))
        n = len(logs)
        ceps = []
        for q in range(options.num_ceps):
            scale = math.sqrt((1 if q == 0 else 2) / n)
            terms = (x * math.cos(math.pi * q * (2 * i + 1) / (2 * n)) for i, x in enumerate(logs))
            ceps.append(scale * sum(terms))
        feats.append(ceps)
        if start + size >= len(samples):
            return np.array(feats)
        start += shift


@pytest.mark.parametrize("year", SETTINGS)
def test_equals_the_slow_definition(year):
    options = SETTINGS[year]
    samples = np.random.default_rng(3).uniform(-0.5, 0.5, 2000)
    got = LfccExtractor(options, sample_rate_hz=16000)(samples)["lfcc"]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, slow_lfcc(samples, options, 16000), atol=1e-5)


def test_blocks_change_nothing(monkeypatch):
    samples = np.random.default_rng(4).uniform(-0.5, 0.5, 8000)
    extractor = LfccExtractor(sample_rate_hz=16000)
    whole = extractor(samples)["lfcc"]
    monkeypatch.setattr("sdtools.features.lfcc.FRAMES_PER_BLOCK", 7)
    np.testing.assert_allclose(extractor(samples)["lfcc"], whole, atol=1e-6)


@pytest.mark.parametrize(("num_samples", "num_frames"), [(1, 1), (320, 1), (321, 2), (480, 2)])
def test_the_last_frame_is_filled_with_zeros(num_samples, num_frames):
    feats = LfccExtractor(sample_rate_hz=16000)(np.full(num_samples, 0.1))["lfcc"]
    assert feats.shape == (num_frames, 20) and np.isfinite(feats).all()


def test_silence_is_finite():
    assert np.isfinite(LfccExtractor(sample_rate_hz=16000)(np.zeros(999))["lfcc"]).all()


@pytest.mark.parametrize(
    ("settings", "who"),
    [
        ({"frame_length_ms": 0}, "--frame-length-ms"),
        ({"num_ceps": 21}, "--num-ceps, --num-filters, --fft-length"),
        ({"fft_length": 256}, "--fft-length"),
        ({"fmin_hz": 9000}, "--fmin-hz, --fmax-hz"),
        ({"fmax_hz": 9000}, "--fmin-hz, --fmax-hz"),
    ],
)
def test_settings_that_do_not_fit(settings, who):
    with pytest.raises(SdError) as info:
        LfccExtractor(LfccOptions(**settings), sample_rate_hz=16000)
    assert info.value.who == who
