import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from sdtools.errors import SdError
from sdtools.replay.acoustics import device_filters, play, record, replay, room_response
from sdtools.replay.devices import (
    Chain,
    Loudspeaker,
    Microphone,
    Recording,
    Resonance,
    Room,
    draw_loudspeaker,
    draw_microphone,
    draw_room,
)

RATE_HZ = 16000
CLEAR = Loudspeaker(low_hz=1, high_hz=np.inf)
ANECHOIC = Recording(
    Room(rt60_sec=0.1, drr_db=200, predelay_sec=0.01, seed=0), Microphone(1, np.inf), snr_db=200
)


def noise(num_samples=16000, seed=0):
    samples = np.random.default_rng(seed).standard_normal(num_samples)
    return 0.1 * samples


def sine(freq_hz, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * freq_hz * np.arange(RATE_HZ) / RATE_HZ)


def rms(samples):
    return np.sqrt(np.mean(np.square(samples)))


def draw_chain(rng):
    first, second = (
        Recording(draw_room(rng), draw_microphone(rng), rng.uniform(10, 40)) for _ in range(2)
    )
    return Chain(first, draw_loudspeaker(rng), second)


def gain_db(device, low_order, freq_hz):
    _, response = signal.sosfreqz(device_filters(device, RATE_HZ, low_order), [freq_hz], fs=RATE_HZ)
    return 20 * np.log10(abs(response[0]))


def test_room_has_the_stated_decay_and_ratio():
    room = Room(rt60_sec=0.4, drr_db=5, predelay_sec=0.004, seed=3)
    response = room_response(room, RATE_HZ)
    assert response[0] == 1 and not response[1:64].any() and response[64] != 0
    np.testing.assert_allclose(np.sum(response[1:] ** 2), 10**-0.5, rtol=1e-12)
    remaining_db = 10 * np.log10(
        np.cumsum(response[:63:-1] ** 2)[::-1]
    )  # Schroeder's backward integral
    slope = np.polyfit(np.arange(3200) / RATE_HZ, remaining_db[:3200], 1)[0]
    assert -60 / slope == pytest.approx(0.4, rel=0.03)


def test_same_seed_same_room_another_seed_another():
    room = Room(0.3, 6, 0.002, seed=1)
    assert np.array_equal(room_response(room, 8000), room_response(room, 8000))
    other = dataclasses.replace(room, seed=2)
    assert not np.array_equal(room_response(room, 8000), room_response(other, 8000))


@pytest.mark.parametrize(("thd2_percent", "thd3_percent"), [(4, 0), (0, 6), (3, 5)])
def test_sine_gains_the_stated_harmonics_and_nothing_else(thd2_percent, thd3_percent):
    loudspeaker = dataclasses.replace(
        CLEAR, thd2_percent=thd2_percent, thd3_percent=thd3_percent, impulse_response=(1.0,)
    )
    # No harmonic of 5 kHz is below half the sample rate, and none folds back.
    for freq_hz, orders in ((1000, (2, 3)), (3000, (2,)), (5000, ())):
        spectrum = np.abs(np.fft.rfft(play(sine(freq_hz), RATE_HZ, loudspeaker)))
        spectrum /= spectrum[freq_hz]
        for order, percent in ((2, thd2_percent), (3, thd3_percent)):
            if order in orders:
                assert spectrum[order * freq_hz] == pytest.approx(percent / 100, abs=1e-9)
        others = np.delete(spectrum, [0, freq_hz, *(order * freq_hz for order in orders)])
        assert others.max() < 1e-9


def test_bass_modulates_treble_through_the_excursion_alone():
    loudspeaker = dataclasses.replace(CLEAR, low_hz=200, force_loss=0.5, impulse_response=(1.0,))

    def sidebands(bass_hz):
        sound = play(0.8 * sine(bass_hz) + 0.2 * sine(4000), RATE_HZ, loudspeaker)
        spectrum = np.abs(np.fft.rfft(sound))
        return spectrum[4000 + 2 * bass_hz] / spectrum[4000]

    assert sidebands(50) > 0.05
    assert sidebands(1600) < 1e-3  # three octaves above the resonance the cone hardly moves


def test_band_limits_and_resonances_are_where_they_are_said_to_be():
    loudspeaker = Loudspeaker(low_hz=200, high_hz=5000)
    assert gain_db(loudspeaker, 2, 200) == pytest.approx(-3.01, abs=0.02)
    assert gain_db(loudspeaker, 2, 5000) == pytest.approx(-3.01, abs=0.02)
    assert gain_db(loudspeaker, 2, 50) == pytest.approx(-24, abs=0.5)  # two octaves of 12 dB
    assert gain_db(Microphone(200, np.inf), 1, 50) == pytest.approx(-12.3, abs=0.2)
    # The second resonance is above half the sample rate.
    with_bump = Microphone(1, np.inf, (Resonance(2000, 6, 4), Resonance(9000, 6, 4)))
    assert gain_db(with_bump, 1, 2000) == pytest.approx(6, abs=0.01)
    assert gain_db(with_bump, 1, 200) == pytest.approx(0, abs=0.1)
    with_notch = Microphone(1, np.inf, (Resonance(3000, -5, 2),))
    assert gain_db(with_notch, 1, 3000) == pytest.approx(-5, abs=0.01)


@pytest.mark.parametrize("snr_db", [0, 20])
@pytest.mark.parametrize("slope_db", [0, -6])
def test_noise_has_the_stated_level_and_slope(snr_db, slope_db):
    speech = noise(32000)
    noisy = dataclasses.replace(ANECHOIC, snr_db=snr_db, noise_slope_db=slope_db)
    heard = record(speech, RATE_HZ, noisy, np.random.default_rng(1))
    clear = record(speech, RATE_HZ, ANECHOIC, np.random.default_rng(1))
    clear = clear * np.dot(heard, clear) / np.dot(clear, clear)
    added = heard - clear
    assert 20 * np.log10(rms(clear) / rms(added)) == pytest.approx(snr_db, abs=0.5)
    power = np.abs(np.fft.rfft(added)) ** 2
    octaves = 10 * np.log10([power[2 * f : 4 * f].mean() for f in (500, 1000, 2000, 4000 - 1)])
    np.testing.assert_allclose(np.diff(octaves), slope_db, atol=0.7)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32), num_samples=st.integers(400, 20000), amplitude=st.floats(1e-4, 0.3)
)
def test_any_chain_keeps_length_and_level_and_clips_nothing(seed, num_samples, amplitude):
    rng = np.random.default_rng(seed)
    samples = amplitude * rng.uniform(-1, 1, num_samples)
    copy = replay(samples, RATE_HZ, draw_chain(rng), rng)
    peak = np.max(np.abs(copy))
    assert copy.shape == samples.shape and peak <= 0.99
    assert rms(copy) == pytest.approx(rms(samples), rel=1e-9) or peak == pytest.approx(0.99)


def test_level_makes_no_difference_but_level():
    chain = draw_chain(np.random.default_rng(5))
    loud, soft = (
        replay(amplitude * noise(), RATE_HZ, chain, np.random.default_rng(0))
        for amplitude in (1, 0.01)
    )
    np.testing.assert_allclose(soft, 0.01 * loud, rtol=1e-6, atol=1e-9)


def test_replay_is_time_aligned():
    samples = noise()
    for seed in range(5):
        chain = draw_chain(np.random.default_rng(seed))
        copy = replay(samples, RATE_HZ, chain, np.random.default_rng(0))
        lag = np.argmax(np.abs(signal.correlate(copy, samples, "full"))) - (len(samples) - 1)
        assert 0 <= lag <= 4


def test_loud_result_is_scaled_down_not_clipped():
    loud, soft = (
        play(sine(100, a) ** 9, RATE_HZ, Loudspeaker(low_hz=500, high_hz=7000)) for a in (1, 0.7)
    )
    assert np.max(np.abs(loud)) == pytest.approx(0.99) and rms(loud) < 0.95 * rms(sine(100, 1) ** 9)
    np.testing.assert_allclose(loud / rms(loud), soft / rms(soft), atol=1e-9)


def test_measured_response_takes_the_place_of_the_linear_part():
    samples = noise()
    delayed = dataclasses.replace(
        CLEAR, low_hz=300, high_hz=3000, impulse_response=(0.1, 0.0, -2.0, 1.0)
    )
    want = np.convolve(samples, [0.1, 0, -2, 1])[2 : 2 + len(samples)]  # its peak is delay zero
    got = play(samples, RATE_HZ, delayed)
    np.testing.assert_allclose(got / rms(got), want / rms(want), atol=1e-9)


def test_clear_chain_changes_nothing_and_no_first_recording_is_skipped():
    samples = noise()
    chain = Chain(None, dataclasses.replace(CLEAR, impulse_response=(1.0,)), ANECHOIC)
    flat = replay(samples, RATE_HZ, chain, np.random.default_rng())
    assert rms(flat - samples) < 2e-2 * rms(samples)  # what the 1 Hz high-pass takes


def test_same_rng_same_samples():
    chains = [draw_chain(np.random.default_rng(seed)) for seed in (7, 7, 8)]
    copies = [replay(noise(), RATE_HZ, chain, np.random.default_rng(0)) for chain in chains]
    assert chains[0] == chains[1] != chains[2]
    assert np.array_equal(copies[0], copies[1]) and not np.allclose(copies[0], copies[2])


@pytest.mark.parametrize("amplitude", [1.002, 7.9])
def test_recordings_beyond_full_scale_are_replayed(amplitude):
    """Lossy codecs decode a little more than full scale."""
    chain = draw_chain(np.random.default_rng(5))
    loud, soft = (
        replay(sine(300, peak), RATE_HZ, chain, np.random.default_rng(0)) for peak in (amplitude, 1)
    )
    assert np.max(np.abs(loud)) <= 0.99
    np.testing.assert_allclose(loud / rms(loud), soft / rms(soft), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("samples", "what", "got"),
    [
        (np.zeros((2, 100)), "shape", (2, 100)),
        ([], "number of samples", 0),
        (np.zeros(100), "they are digital silence", None),
        ([0.1, np.nan], "sample 1", np.nan),
        ([3000.0, -1], "peak", "3000"),
        (np.array([3000, -1]), "type", np.dtype(int)),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        lambda samples: record(samples, RATE_HZ, ANECHOIC, np.random.default_rng()),
        lambda samples: play(samples, RATE_HZ, CLEAR),
        lambda samples: replay(samples, RATE_HZ, Chain(None, CLEAR, ANECHOIC), None),
    ],
    ids=["record", "play", "replay"],
)
def test_bad_samples_are_refused(samples, what, got, use):
    with pytest.raises(SdError) as info:
        use(samples)
    assert (info.value.who, info.value.what) == ("samples", what)
    assert str(info.value.got) == str(got)
