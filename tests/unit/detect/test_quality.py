"""What is measured of a recording, on sounds whose figures are known."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import resample_poly

from sdtools.detect.quality import MAX_CLIPPED, Quality, Ranges, find_doubts, measure
from sdtools.errors import SdError
from sdtools.scoring.json_files import Fields

RATE_HZ = 16000
LOW_AND_HIGH = ((2.0, -30.0, 7000.0), (4.0, -20.0, 7900.0))


def noise(seconds, seed=0, rms=0.05):
    return rms * np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ))


def test_levels_of_a_sine():
    """Peak 0.5: -6.02 dBFS peak, -9.03 dBFS RMS."""
    q = measure(0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ), RATE_HZ)
    assert q.level_dbfs == pytest.approx(-9.0309, abs=1e-3)
    assert (q.duration_sec, q.clipped, q.sounding, q.unusable_reason) == (1, 0, 1, "")


def test_clipping_is_runs_at_full_scale():
    """A sine whose tops are cut: the share of samples above the cut is an arcsine."""
    x = np.sin(2 * np.pi * 50 * np.arange(2 * RATE_HZ) / RATE_HZ)
    cut = np.clip(1.25 * x, -1, 1)
    expected = 1 - 2 * np.arcsin(0.8) / np.pi
    assert measure(cut, RATE_HZ).clipped == pytest.approx(expected, abs=0.01)
    assert "clipped (40.6 % of samples)" in find_doubts(measure(cut, RATE_HZ), RATE_HZ, "", None)
    assert measure(0.3 * cut, RATE_HZ).clipped == 0  # far from full scale nobody can tell
    assert measure(0.99 * x, RATE_HZ).clipped < MAX_CLIPPED


@pytest.mark.parametrize(
    ("rate_hz", "model_hz", "is_narrow"),
    [(16000, 16000, False), (48000, 16000, False), (48000, 48000, True)],
)
def test_bandwidth(rate_hz, model_hz, is_narrow):
    """Noise up to 8 kHz and the slope of the resampling filter: narrow for a 48 kHz model only."""
    x = resample_poly(noise(1), rate_hz // RATE_HZ, 1)
    q = measure(x, rate_hz)
    assert 7800 < q.bandwidth_hz < 10500
    assert any("narrow-band" in doubt for doubt in find_doubts(q, model_hz, "", None)) == is_narrow


def test_a_telephone_band_is_seen():
    x = np.round(resample_poly(resample_poly(noise(2), 1, 2), 2, 1) * 2**15) / 2**15
    q = measure(x, RATE_HZ)
    assert 3900 < q.bandwidth_hz < 5300
    (doubt,) = find_doubts(q, RATE_HZ, "", None)
    assert doubt.startswith("narrow-band (nothing above ")


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(RATE_HZ), "digital silence throughout"),
        (np.full(RATE_HZ, 0.3), "digital silence throughout"),
        (np.append(np.zeros(RATE_HZ // 2), 1.0), "digital silence throughout"),
        (np.append(np.zeros(2 * RATE_HZ), noise(0.02)), "silence: 1 % of it is above -70 dBFS"),
        (noise(1, rms=1e-5), "silence: 0 % of it is above -70 dBFS"),
        (np.full(RATE_HZ, 0.3) + noise(1, rms=1e-5), "silence: 0 % of it is above -70 dBFS"),
        (noise(0.1), "too short: 0.10 s, need 0.2 s"),
        (noise(0.01), "too short: 0.01 s, need 0.2 s"),
        (np.zeros(0), "too short: 0.00 s, need 0.2 s"),
        (noise(0.2), ""),
    ],
)
def test_what_cannot_be_judged(samples, reason):
    assert measure(samples, RATE_HZ).unusable_reason == reason


@pytest.mark.parametrize(
    ("samples", "codec", "doubts"),
    [
        (np.append(noise(0.4), np.zeros(5 * RATE_HZ)), "", ["mostly silence (7 % of it is sound)"]),
        (noise(0.5), "", ["short (0.50 s)"]),
        (noise(2, rms=0.001), "", ["quiet (-60 dBFS)"]),
        (noise(2), "opus", ["lossy codec (opus)"]),
    ],
)
def test_doubts_of_a_model_whose_recordings_are_unknown(samples, codec, doubts):
    assert find_doubts(measure(samples, RATE_HZ), RATE_HZ, codec, None) == doubts


def test_doubts_compare_with_the_training_recordings():
    low, high = (Quality(s, level, 0.0, 1.0, hz, 0.0) for s, level, hz in LOW_AND_HIGH)
    usual = Ranges.of([low] * 50 + [high] * 50, ["opus", "mp3", "opus"])
    assert usual == Ranges(100, (2, 4), (-30, -20), (7000, 7900), ("mp3", "opus"))
    assert Ranges.from_json(Fields(json.loads(json.dumps(asdict(usual))))) == usual

    def doubts(codec="", **changes):
        quality = replace(low, **changes)
        return [doubt.split(" (")[0] for doubt in find_doubts(quality, RATE_HZ, codec, usual)]

    assert doubts() == doubts("opus") == doubts(duration_sec=60.0, level_dbfs=-5.0) == []
    assert doubts(duration_sec=1.9) == ["short"]
    assert doubts(level_dbfs=-54.0) == [] and doubts(level_dbfs=-56.0) == ["quiet"]
    assert doubts(bandwidth_hz=6000.0) == [] and doubts(bandwidth_hz=5900.0) == ["narrow-band"]
    assert doubts("aac") == ["lossy codec"]
    (why,) = find_doubts(replace(low, duration_sec=1.9), RATE_HZ, "", usual)
    assert why == "short (1.90 s; in training 2.0 s or more)"


def test_common_ranges_are_those_of_both_classes():
    live = Ranges(10, (2, 4), (-30, -20), (7000, 7900), ("mp3", "opus"))
    replayed = Ranges(20, (1, 3), (-35, -25), (3900, 7800), ("aac", "opus"))
    common = Ranges(30, (2, 3), (-30, -25), (7000, 7800), ("opus",))
    assert live.common(replayed) == replayed.common(live) == common


@pytest.mark.parametrize(
    ("name", "value"), [("codecs", "opus"), ("level_dbfs", [1]), ("num_recordings", None)]
)
def test_damaged_ranges_are_refused(name, value):
    record = json.loads(json.dumps(asdict(Ranges(1, (2, 4), (-30, -20), (7000, 7900), ()))))
    with pytest.raises(SdError, match=name):
        Ranges.from_json(Fields({**record, name: value}))


@pytest.mark.parametrize("value", [0, 0.3])
def test_digital_silence_is_a_share_of_frames(value):
    """Half a second of one value in two; noise below a step of 16 bits is none."""
    x = np.concatenate([noise(0.75), np.full(RATE_HZ // 2, value), noise(0.75)])
    assert measure(x, RATE_HZ).digital_silence == pytest.approx(0.25, abs=0.02)
    assert measure(noise(1, rms=1e-6), RATE_HZ).digital_silence == 0


def test_an_offset_and_an_odd_rate():
    """An offset hides neither level nor band; a rate of a few hertz is measured, too."""
    plain, offset = (measure(noise(1) + add, RATE_HZ) for add in (0, 0.2))
    assert offset.level_dbfs == pytest.approx(plain.level_dbfs, abs=0.01)
    assert offset.bandwidth_hz == plain.bandwidth_hz
    assert measure(noise(1)[:100], 20).duration_sec == 5


@given(gain=st.floats(1e-3, 1), seed=st.integers(0, 2**32 - 1))
def test_a_gain_changes_the_level_alone(gain, seed):
    x = noise(0.3, seed, rms=0.1)
    x *= 0.49 / np.abs(x).max()
    before, after = measure(x, RATE_HZ), measure(gain * x, RATE_HZ)
    level_dbfs = before.level_dbfs + 20 * np.log10(gain)
    assert after.level_dbfs == pytest.approx(level_dbfs, abs=1e-9)
    assert (after.bandwidth_hz, after.clipped) == (before.bandwidth_hz, 0)
    assert after.duration_sec == before.duration_sec
